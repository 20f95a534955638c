"""The condition ``RouteReady``, and the proof of ``Ready``: a request through the URL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from ephemeral_endpoints.engine.conditions import (
    Cause,
    ConditionStatus,
    ConditionType,
    ConditionUpdate,
    Progress,
    Stage,
    of_resources,
)
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import EVENTS, READY, Finality, ReasonGroup
from ephemeral_endpoints.features.routing.answers import Answer, SampleAnswer
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.routing.specs import ROUTE_READY

REASONS: Final = ReasonGroup(ROUTE_READY)

SERVING: Final = REASONS.normal("Serving", READY, meaning="A request through the public URL has reached this revision.")
NOT_ANSWERING: Final = REASONS.transient(
    "NotAnswering",
    READY,
    meaning="Everything exists, but the URL does not answer with 200 yet. The message says what it answers.",
    remedy="wait a minute; then read the logs of the forwarder and of the endpoint, which `status.resources` names",
)
SAMPLE_REFUSED: Final = REASONS.for_author(
    "SampleRefused",
    finality=Finality.RECOVERABLE,
    meaning="A request through the URL reaches the model, but the model does not answer the sample that "
    "`spec.api.readiness` names with 2xx. The message has the model's status and words.",
    remedy="correct the model and push a commit, or correct the sample in `spec.api.samples`",
)
INVOCATION_DENIED: Final = REASONS.for_platform(
    "InvocationDenied",
    meaning="The role of the forwarder may not invoke the endpoint or, for asynchronous inference, not use the bucket.",
    remedy="grant the class's `forwarderRoleArn` what [the example policy](iam.md) grants; for asynchronous inference "
    "also look at the policies of the bucket and of its key",
)
URL_CHANGED: Final = REASONS.normal(
    "UrlChanged",
    EVENTS,
    meaning="The URL of the object is another one: because of the class's domain, `spec.api.mode`, or `spec.api.path`.",
)
ROUTED: Final = REASONS.normal("Routed", meaning="The URL leads to the endpoint.")
WAITING_FOR_TOKEN: Final = REASONS.transient(
    "WaitingForToken", meaning="The operator creates the URL once the Secret with the token exists."
)
PATH_CONFLICT: Final = REASONS.for_author(
    "PathConflict",
    finality=Finality.RECOVERABLE,
    meaning="Another object, which the message names, has the path, or one above or below it: a URL takes all requests "
    "below its path. That object keeps its path for as long as it wants it.",
    remedy="choose another `spec.api.path`, or wait until that object asks for another path or ends",
)


class IssuerMissing(ReconcileError):
    """An object takes JWTs, and its class does not say whose."""

    awaited = "a change of the class"
    reason = REASONS.for_platform(
        "IssuerMissing",
        finality=Finality.PERMANENT,
        meaning="`spec.api.auth.type` is JWT, but the class names no issuer. The URL takes only the token in the "
        "object's Secret.",
        remedy="set `spec.routing.auth.jwt` of the class, see [who may call](call.md#who-may-call)",
    )


class ApiFull(ReconcileError):
    """An object needs more routes than its API has room for."""

    reason = REASONS.for_author(
        "ApiFull",
        finality=Finality.RECOVERABLE,
        meaning="The URL needs further routes, for `spec.api.auth` or `spec.api.cors`, and the HTTP API that it is in "
        "has reached AWS's limit of 300. What was served before goes on, with the authentication of before.",
        remedy="set `spec.api.mode` to Dedicated, or delete the object and create it again, which gives it another "
        "URL; or wait until other objects of the class have ended",
    )


class SchemaInvalid(ReconcileError):
    """A schema of the API is none, or none that a forwarder may have."""

    awaited = "a change of the spec or of the ConfigMap"
    reason = REASONS.for_author(
        "SchemaInvalid",
        meaning="`spec.api.requestSchema` or `spec.api.responseSchema` is not a JSON Schema of draft 2020-12, refers "
        "to what is not in it, or has a pattern that can take long. The message has the pointer into the schema. What "
        "was served before goes on.",
        remedy="correct the schema in the object or in its ConfigMap, see [schemas](schemas.md)",
    )


class SchemaUnavailable(ReconcileError):
    """A schema of the API is in a ConfigMap that does not have it."""

    reason = REASONS.for_author(
        "SchemaUnavailable",
        finality=Finality.RECOVERABLE,
        meaning="A ConfigMap or a key of it that `spec.api.requestSchema` or `spec.api.responseSchema` names does not "
        "exist. The operator waits for it; what serves goes on serving.",
        remedy="create or correct the ConfigMap that the message names",
    )


class SampleInvalid(ReconcileError):
    """A sample of the API does not match the schema of its requests."""

    awaited = "a change of the spec or of the ConfigMap"
    reason = REASONS.for_author(
        "SampleInvalid",
        meaning="A sample of `spec.api.samples` does not match `spec.api.requestSchema`. The message names the sample, "
        "and has the pointer into it. What was served before goes on.",
        remedy="correct the sample or the schema",
    )


_DENIED: Final[Mapping[str | None, str]] = MappingProxyType(
    {
        "invocation-denied": "invoke the endpoint",
        "storage-refused": "read and write the requests and results of asynchronous inference in S3",
    }
)
_HELD: Final = Cause(WAITING_FOR_TOKEN, "waiting for the Secret with the token")


def route_ready(  # noqa: PLR0913 - all that the condition tells
    progress: Progress,
    path: PathState,
    admission: str,
    refusal: Cause | None = None,
    api_error: ReconcileError | None = None,
    *,
    note: str = "",
) -> Stage:
    """Whether the URL leads to the endpoint.

    ``admission`` says how callers authenticate, ``refusal`` the answer of the URL that somebody must act on, and
    ``api_error`` why the way that existed stays as it is. ``note`` says why the URL is not that below the custom
    domain of the class.
    """
    message = "the URL leads to the endpoint"
    if admission:
        message = f"{message}; {admission}"
    if path.waiting:
        message = f"{message}; {_waiting(path.waiting)} for its path"
    if note:
        message = f"{message}; {note}"
    obstacle = _obstacle(path)
    update = of_resources(
        ROUTE_READY,
        progress,
        done=Cause(ROUTED, message),
        failure=obstacle,
        held=Cause.of(api_error) if api_error else _HELD,
    )
    if refusal and update.status is ConditionStatus.TRUE:
        update = ConditionUpdate.of(ROUTE_READY, ConditionStatus.FALSE, refusal)
    return Stage(update, permanent=obstacle if path.refused else None)


def refused(answer: Answer, role_arn: str) -> Cause | None:
    """The cause that an answer of the URL is, None if it may change by itself. ``role_arn`` is the forwarder's role."""
    if answer.sample:
        return Cause(SAMPLE_REFUSED, _sample_message(answer.sample))
    if answer.kind in _DENIED:
        message = (
            f"the role {role_arn} may not {_DENIED[answer.kind]}: a platform engineer must grant it; the operator "
            "tries again every minute"
        )
        return Cause(INVOCATION_DENIED, message)
    return None


def proof(
    *, answered: bool | None, answer: str, note: str, asleep: Cause | None = None, is_proven: bool = True
) -> ConditionUpdate:
    """The condition ``Ready`` once all stages are done.

    ``answered`` says whether a request through the URL was answered, None if none was sent; ``answer`` is what came
    instead. ``note`` is added to the message if it was answered. An object that is ``asleep`` counts as ready if this
    revision ``is_proven``: it served before.
    """
    if asleep:
        cause = replace(asleep, message=f"{asleep.message}; {note}") if note else asleep
        status = ConditionStatus.TRUE if is_proven else ConditionStatus.FALSE
        return ConditionUpdate.of(ConditionType.READY, status, cause)
    if not answered:
        cause = Cause(NOT_ANSWERING, answer or "the operator has not sent a request through the URL yet")
        return ConditionUpdate.of(ConditionType.READY, ConditionStatus.FALSE, cause)
    message = "the URL leads to this revision"
    cause = Cause(SERVING, f"{message}; {note}" if note else message)
    return ConditionUpdate.of(ConditionType.READY, ConditionStatus.TRUE, cause)


def _obstacle(path: PathState) -> Cause | None:
    """Why the object does not have the path that it asks for."""
    if path.refused:
        return Cause.of(path.refused)
    if path.holder is None:
        return None
    message = (
        f"the path, or one above or below it, belongs to {path.holder}, which keeps it for as long as it wants it: "
        "choose another spec.api.path; otherwise this object waits until that one asks for another path or ends"
    )
    return Cause(PATH_CONFLICT, message)


def _waiting(names: Sequence[str]) -> str:
    """The objects that wait, as the beginning of a sentence."""
    if len(names) == 1:
        return f"{names[0]} waits"
    more = f"{len(names) - 1} other{'s' if len(names) > len('ab') else ''}"
    return f"{names[0]} and {more} wait"


def _sample_message(answer: SampleAnswer) -> str:
    model = f"variant {answer.variant}" if answer.variant else "the model"
    match answer.status:
        case None:
            said = f"{model} failed on the sample {answer.sample}"
        case 0:
            said = f"{model} did not answer the sample {answer.sample} in time, or its server ended"
        case status:
            said = f"{model} answered the sample {answer.sample} with {status}"
    words = f': "{answer.words}"' if answer.words else "; its log says why"
    return (
        f"{said}{words}; correct the model and push a commit, or correct spec.api.samples. The operator sends the "
        "sample at once after a change, and otherwise after minutes, at last every hour"
    )


def url_change(before: str | None, after: str | None) -> str | None:
    """What people are told of another URL; None if it is the same one, or the first."""
    if not before or not after or before == after:
        return None
    return f"the URL changed from {before} to {after}: callers must use the new one; status.url has it"
