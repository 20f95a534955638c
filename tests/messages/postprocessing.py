"""The messages of the condition ``Postprocessed``."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.engine.objects import endpoint, subject

from ephemeral_endpoints.features.routing.bases import Unfit
from ephemeral_endpoints.features.routing.postprocessing import policy

_NAMED = {"api": {"postprocess": {"endpoint": "classifier"}}}
_LISTED = {"api": {"postprocess": {"sageMakerEndpoint": "shared"}}}


def conditions() -> Iterator[tuple[str, str]]:
    found = (
        *(policy.condition(subject(_NAMED), each) for each in Unfit),
        *(policy.condition(subject(_NAMED), replace(subject(), endpoint=each)) for each in _others()),
        policy.condition(subject(_LISTED), None),
        policy.condition(subject(_LISTED, {"routing": {"postprocessors": ("shared",)}}), None),
    )
    yield from ((f"{each.type}={each.status} {each.reason}", each.message) for each in found if each)


def _others() -> Iterator[Any]:
    for conditions in (
        (("Ready", "True", "Serving"),),
        (("Ready", "True", "Serving"), ("Active", "False", "Asleep")),
        (("Ready", "False", "Creating"),),
        (),
    ):
        listed = [{"type": name, "status": status, "reason": reason} for name, status, reason in conditions]
        yield endpoint({"status": {"revision": "4f1c2d3", "conditions": [_whole(each) for each in listed]}})


def _whole(condition: dict[str, str]) -> dict[str, object]:
    return {"message": "", "observedGeneration": 1, "lastTransitionTime": "2026-11-30T00:00:00Z", **condition}
