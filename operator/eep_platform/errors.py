"""Errors of the embedded platform, with messages for its user."""


class PlatformError(Exception):
    """An operation on the platform failed; the message says what happened and what to do."""
