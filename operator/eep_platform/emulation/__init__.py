"""What all emulated AWS services share: requests, errors, pages, settings, and the way to other services."""
