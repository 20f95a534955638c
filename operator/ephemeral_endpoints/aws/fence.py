"""The last check before a request leaves for AWS."""

from collections.abc import Callable

from botocore.client import BaseClient


def fence(client: BaseClient, check: Callable[[], None]) -> None:
    """Have ``check`` called, in the calling thread, right before every request of the client.

    No request leaves if it raises. (botocore's event ``before-send``, which follows signing and precedes the
    connection.)
    """
    client.meta.events.register("before-send", lambda **_: check())
