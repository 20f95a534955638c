"""The last check before a request leaves for AWS."""

from collections.abc import Callable
from dataclasses import fields

from botocore.client import BaseClient

from ephemeral_endpoints.aws.clients import Clients


def fence(clients: Clients, check: Callable[[], None]) -> Clients:
    """Have ``check`` called, in the calling thread, right before every request of these clients; returns them.

    No request leaves if it raises. (botocore's event ``before-send``, which follows signing and precedes the
    connection.)
    """
    for each in fields(clients):
        client = getattr(clients, each.name)
        if isinstance(client, BaseClient):
            client.meta.events.register("before-send", lambda **_: check())
    return clients
