"""What happens right before each request to AWS, and right after."""

from collections.abc import Callable

from botocore.client import BaseClient


def watch_dates(client: BaseClient, note: Callable[[str | None], None]) -> None:
    """Call ``note`` with the Date of every answer to the client, in the calling thread."""
    client.meta.events.register("after-call", lambda http_response, **_: note(http_response.headers.get("Date")))


def fence(client: BaseClient, check: Callable[[], None]) -> None:
    """Call ``check`` in the calling thread right before every request of the client.

    The request is not sent if it raises. (botocore's event ``before-send`` follows signing and precedes the
    connection.)
    """
    client.meta.events.register("before-send", lambda **_: check())
