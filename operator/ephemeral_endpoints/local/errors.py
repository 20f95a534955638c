"""What goes wrong with the embedded platform, as the person in front of it should read it."""


class PlatformError(Exception):
    """The platform could not be brought up, found or ended; the message says what happened and what to do."""
