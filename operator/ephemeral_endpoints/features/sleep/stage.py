"""The condition ``Active``, and what the others say of an object that is asleep."""

from typing import Final

from ephemeral_endpoints.api.v1alpha1.base import Condition
from ephemeral_endpoints.api.v1alpha1.duration import format_duration
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.reasons import READY, ReasonGroup
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY
from ephemeral_endpoints.features.sleep.policy import ACTIVE, AFTER_HOURS, Rest, is_asleep, rules_of, wakes_on_request
from ephemeral_endpoints.features.subject import Subject

REASONS: Final = ReasonGroup(ACTIVE)

ASLEEP: Final = REASONS.normal(
    "Asleep",
    *(ACTIVE, READY, ENDPOINT_READY),
    meaning="The endpoint is deleted and costs nothing; URL, token, image, model and configuration stay. One with "
    "provisioned concurrency stays too, and answers without it. The message says what wakes it. See [sleep](sleep.md).",
)
WAKING: Final = REASONS.transient(
    "Waking",
    meaning="SageMaker is creating the endpoint again, or giving it its provisioned concurrency back, which takes some "
    "minutes. Where it waits for capacity or fails, `EndpointReady` says so.",
)
AWAKE: Final = REASONS.normal("Awake", meaning="The endpoint is not asleep. The message says when it will be.")

_CREATING: Final = "the endpoint is being created again; until it serves, the URL answers 503"
_WARMING: Final = "the endpoint is getting its provisioned concurrency back; until then it answers with cold starts"
_UNTIL_THEN: Final = "; until then it answers with cold starts, without its provisioned concurrency"
_ANSWERS: Final = "it answers with cold starts, without its provisioned concurrency, and gets that back by"


def asleep(subject: Subject, rest: Rest) -> Cause:
    """Why the object is asleep, and what wakes it."""
    state = f"the endpoint is asleep: {rest.why}"
    if rest.is_forced:
        return Cause(ASLEEP, f"{state}{_UNTIL_THEN if rest.answers else ''}")
    name = subject.endpoint.metadata.name
    request = ["a request to the URL"] if wakes_on_request(subject) else []
    ways = [*request, f"`eep wake {name}`", "a change of its spec or commit"]
    at = f", at the latest at {rest.next_at:%Y-%m-%d %H:%M} UTC" if rest.next_at else ""
    by = _ANSWERS if rest.answers else "it wakes by"
    return Cause(ASLEEP, f"{state}; {by} {', '.join(ways[:-1])} or {ways[-1]}{at}")


def is_resting(endpoint: EphemeralEndpoint) -> bool:
    """Whether the object is asleep by its status, or not yet awake again."""
    active = _active(endpoint)
    return active is not None and (is_asleep(endpoint) or active.reason == WAKING.name)


def activity(subject: Subject, rest: Rest, *, serves: bool) -> ConditionUpdate | None:
    """Whether the object is awake; None if it sleeps neither by rules nor by command.

    ``serves``: its endpoint does, with all that it has awake.
    """
    if rest.is_asleep:
        return ConditionUpdate.of(ACTIVE, ConditionStatus.FALSE, asleep(subject, rest))
    if _active(subject.endpoint) is None and rules_of(subject) is None and not rest.why:
        return None
    if is_resting(subject.endpoint) and not serves:
        cause = Cause(WAKING, _WARMING if rest.answers else _CREATING)
        return ConditionUpdate.of(ACTIVE, ConditionStatus.TRUE, cause)
    return ConditionUpdate.of(ACTIVE, ConditionStatus.TRUE, Cause(AWAKE, _awake(subject, rest)))


def _active(endpoint: EphemeralEndpoint) -> Condition | None:
    return next((each for each in endpoint.status.conditions if each.type == ACTIVE), None)


def _awake(subject: Subject, rest: Rest) -> str:
    if rest.why:
        return f"the endpoint sleeps as soon as this revision is served and its checks have ended, because {rest.why}"
    rules = rules_of(subject)
    if rules is None or not (rules.idle_timeout or rules.schedule):
        return "the endpoint is awake, and sleeps only by a command"
    timeout = rules.idle_timeout or AFTER_HOURS
    unused = f"once it was not used for {format_duration(timeout)}"
    if rules.schedule is None:
        return f"the endpoint is awake, and sleeps {unused}"
    where = f"{', '.join(rules.schedule.awake)} {rules.schedule.time_zone}"
    return f"the endpoint is awake, and sleeps outside of {where} {unused}"
