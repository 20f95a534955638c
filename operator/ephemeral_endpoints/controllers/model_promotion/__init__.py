"""What happens to a ModelPromotion."""
