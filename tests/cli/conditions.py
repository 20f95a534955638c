"""Conditions as the operator writes them, for objects that commands show and wait for."""

from typing import Any

SINCE = "2026-11-29T12:00:00Z"


def condition(type_: str, status: str, reason: str, message: str = "", *, generation: int = 1) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": SINCE,
    }


def status(*conditions: dict[str, Any], generation: int = 1, **fields: object) -> dict[str, Any]:
    return {"observedGeneration": generation, "conditions": list(conditions), **fields}


def working(*stages: dict[str, Any], generation: int = 1, **fields: object) -> dict[str, Any]:
    return status(
        condition("Ready", "False", "Creating", "waiting", generation=generation),
        condition("Reconciling", "True", "Creating", "waiting", generation=generation),
        condition("Stalled", "False", "NotStalled", "no permanent error", generation=generation),
        *stages,
        generation=generation,
        **fields,
    )


def ready(*stages: dict[str, Any], generation: int = 1, revision: str = "1f0c2a9", **fields: object) -> dict[str, Any]:
    return status(
        condition("Ready", "True", "Serving", "serves", generation=generation),
        condition("Reconciling", "False", "UpToDate", "nothing is left to do", generation=generation),
        condition("Stalled", "False", "NotStalled", "no permanent error", generation=generation),
        *stages,
        generation=generation,
        revision=revision,
        **fields,
    )


def stalled(reason: str, message: str, *, stage: str = "ImageReady", generation: int = 1) -> dict[str, Any]:
    return status(
        condition("Ready", "False", reason, message, generation=generation),
        condition("Reconciling", "False", reason, "waiting for a change of the spec", generation=generation),
        condition("Stalled", "True", reason, message, generation=generation),
        condition(stage, "False", reason, message, generation=generation),
        generation=generation,
    )
