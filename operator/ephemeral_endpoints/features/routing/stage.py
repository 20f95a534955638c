"""The condition ``RouteReady``, and the proof of ``Ready``: a request through the URL."""

from collections.abc import Mapping, Sequence
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
from ephemeral_endpoints.engine.reasons import READY, Finality, ReasonGroup
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
ROUTED: Final = REASONS.normal("Routed", meaning="The URL leads to the endpoint.")
WAITING_FOR_TOKEN: Final = REASONS.transient(
    "WaitingForToken", meaning="The operator creates the URL once the Secret with the token exists."
)
PATH_CONFLICT: Final = REASONS.for_author(
    "PathConflict",
    finality=Finality.RECOVERABLE,
    meaning="Another object has the path, which the message names. It keeps the path for as long as it wants it.",
    remedy="choose another `spec.api.path`, or wait until that object asks for another path or ends",
)

_DENIED: Final[Mapping[str | None, str]] = MappingProxyType(
    {
        "invocation-denied": "invoke the endpoint",
        "storage-refused": "read and write the requests and results of asynchronous inference in S3",
    }
)
_HELD: Final = Cause(WAITING_FOR_TOKEN, "waiting for the Secret with the token")


def route_ready(progress: Progress, path: PathState, token_secret: str | None, refusal: Cause | None = None) -> Stage:
    """Whether the URL leads to the endpoint.

    ``token_secret`` is the Secret with the token that the URL requires, ``refusal`` the answer of the URL that somebody
    must act on.
    """
    message = "the URL leads to the endpoint"
    if token_secret:
        message = f"{message}; authenticate with the token in Secret {token_secret}"
    if path.waiting:
        message = f"{message}; {_waiting(path.waiting)} for its path"
    obstacle = _obstacle(path)
    update = of_resources(
        ROUTE_READY,
        progress,
        done=Cause(ROUTED, message),
        failure=obstacle,
        held=_HELD,
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


def proof(*, answered: bool | None, answer: str, note: str) -> ConditionUpdate:
    """The condition ``Ready`` once all stages are done.

    ``answered`` says whether a request through the URL was answered, None if none was sent; ``answer`` is what came
    instead. ``note`` is added to the message if it was answered.
    """
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
        f"the path belongs to {path.holder}, which keeps it for as long as it wants it: choose another spec.api.path; "
        "otherwise this object waits until that one asks for another path or ends"
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
