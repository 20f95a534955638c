"""Every request to a forge goes wrong in every way, and the pull request shows what it should in the end."""
