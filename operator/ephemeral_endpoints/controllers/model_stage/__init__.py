"""What happens to a ModelStage."""
