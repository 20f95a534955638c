"""The status of an object as the API server keeps it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from ephemeral_endpoints.api.base import Condition
from ephemeral_endpoints.api.endpoint import Cost, EphemeralEndpointStatus, ResolvedImage, Resource, ServedVariant
from ephemeral_endpoints.core.conditions import Verdict
from ephemeral_endpoints.core.cost import Bill
from ephemeral_endpoints.core.images import is_digest, is_image
from ephemeral_endpoints.core.resources import Haves, Kind
from ephemeral_endpoints.core.serving import Served


def conditions(
    verdicts: Iterable[Verdict], before: Iterable[Condition], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Conditions whose transition times move only when their status does."""
    known = {condition.type: condition for condition in before}
    made = []
    for verdict in verdicts:
        previous = known.get(verdict.type)
        same = previous is not None and previous.status == verdict.truth
        made.append(
            Condition(
                type=verdict.type,
                status=verdict.truth.value,
                observed_generation=generation,
                last_transition_time=previous.last_transition_time if previous and same else now,
                reason=verdict.reason,
                message=verdict.message,
            )
        )
    return tuple(made)


def transitions(before: EphemeralEndpointStatus, after: EphemeralEndpointStatus) -> tuple[Condition, ...]:
    """The conditions that say something new: another status or another reason."""
    known = {condition.type: (condition.status, condition.reason) for condition in before.conditions}
    return tuple(each for each in after.conditions if known.get(each.type) != (each.status, each.reason))


def inventory(haves: Haves) -> tuple[Resource, ...]:
    """What exists, for people: sorted, so that equal inventories are equal."""
    return tuple(Resource(kind=key.kind, name=key.name, arn=haves[key].arn or None) for key in sorted(haves))


def resolved_image(uri: str, digests: Mapping[str, str]) -> ResolvedImage | None:
    """The pin, once there is one; ``digests`` are by image."""
    digest = digests.get(uri)
    return ResolvedImage(uri=uri, digest=digest) if digest else None


def recorded_images(status: EphemeralEndpointStatus) -> list[ResolvedImage]:
    """The pins that a status records, without what no operator has written: others may have rights to it too."""
    recorded = [status.image, *(variant.image for variant in status.variants)]
    return [image for image in recorded if image and is_image(image.uri) and is_digest(image.digest)]


def served_variants(variants: tuple[Served, ...], digests: Mapping[str, str]) -> tuple[ServedVariant, ...]:
    """The models behind the URL, where there are several."""
    if len(variants) == 1:
        return ()
    return tuple(
        ServedVariant(
            name=each.name,
            weight=each.weight,
            endpoint_name=each.endpoint,
            image=resolved_image(each.image, digests),
        )
        for each in variants
    )


def cost(bill: Bill | None, haves: Haves | None, before: Cost | None) -> Cost | None:
    """What stands costs; what was told before stands while it is not known."""
    if haves is not None and not any(key.kind is Kind.ENDPOINT for key in haves):
        bill = Bill()
    return before if bill is None else Cost(hourly_usd=bill.hourly)


def merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON merge patch (RFC 7386) that turns ``before`` into ``after``, neither of which holds nulls.

    None if there is nothing to change.
    """
    return _changes(before, after) or None


def _changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    changed = (key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return {key: _change(before.get(key), after.get(key)) for key in changed}


def _change(before: object, after: object) -> object:
    # Objects are merged member by member, so that a member which is to go has to be named.
    return _changes(before, after) if isinstance(before, dict) and isinstance(after, dict) else after
