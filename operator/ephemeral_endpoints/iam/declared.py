"""The IAM actions that the operator's code declares, beside the calls that need them."""

from dataclasses import fields
from typing import Final

from ephemeral_endpoints.aws import clients, codebuild, images, logs, wakeups
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.components import components

_NOWHERE: Final = Scope("none", "0" * 12, "none")


def declared() -> frozenset[str]:
    """Every action that anything in the operator declares."""
    unconnected = Clients(**{each.name: None for each in fields(Clients)})  # type: ignore[arg-type]  # nothing is called
    parts = (each.actions for each in components(unconnected, _NOWHERE))
    beside = (clients.ACTIONS, codebuild.ACTIONS, images.ACTIONS, logs.READ_ACTIONS, wakeups.ACTIONS)
    return frozenset().union(*parts, *beside)
