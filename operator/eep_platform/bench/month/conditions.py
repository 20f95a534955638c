"""What the status of an object says: the conditions by which it sleeps and wakes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine import status
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import ObservedResources, Phase
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.features.sleep.policy import Rest
from ephemeral_endpoints.features.sleep.stage import activity, asleep
from ephemeral_endpoints.features.stages import ConditionInput, of_active
from ephemeral_endpoints.features.subject import Subject


def conditions_of(
    subject: Subject, desired: DesiredState, own: ObservedResources, others: ObservedResources, rest: Rest
) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object whose image is known and whose URL answers when everything is there."""
    serves = any(each.key.kind is ENDPOINT and each.phase is Phase.READY for each in own.values())
    given = ConditionInput(
        desired,
        own,
        others,
        ImageState(digest="sha256:" + "0" * 64),
        path=PathState(),
        answered=serves,
        asleep=asleep(subject, rest) if rest.is_asleep else None,
    )
    active = activity(subject, rest, serves=serves)
    return (*of_active(given), *([active] if active else []))


def wire(updates: Iterable[ConditionUpdate], endpoint: EphemeralEndpoint, now: datetime) -> list[dict[str, Any]]:
    """The conditions as the API server keeps them, with the times of their transitions."""
    known, generation = endpoint.status.conditions, endpoint.metadata.generation
    return [each.to_wire() for each in status.conditions(updates, known, generation=generation, now=now)]
