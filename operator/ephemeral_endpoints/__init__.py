"""Every pull request its own live model endpoint on AWS, and nothing left behind."""

__version__ = "0.1.0"
