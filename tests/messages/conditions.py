"""What the conditions of objects and classes say, and the Events."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

from tests.engine.objects import endpoint as an_endpoint
from tests.engine.test_drift import DESIRED, ENDPOINT_WANT, NOON, SETTLED, THERE, WANT
from tests.features.capacity.test_policy import refused as refused_by_quota
from tests.features.test_stages import (
    ENDPOINT,
    GIVEN_UP,
    NO_IMAGE,
    NO_PATH,
    NO_TOKEN,
    OWN,
    ROUTE,
    SERVING,
    condition_input,
    endpoint,
    tried,
    without,
)
from tests.messages import errors

from ephemeral_endpoints.api.v1alpha1.base import ObjectMeta
from ephemeral_endpoints.api.v1alpha1.endpoint import ExpiryAction
from ephemeral_endpoints.api.v1alpha1.routing import RoutingPolicy
from ephemeral_endpoints.controllers.endpoint import reasons as of_endpoints
from ephemeral_endpoints.controllers.endpoint_class.reasons import class_condition
from ephemeral_endpoints.engine.conditions import (
    Cause,
    ConditionUpdate,
    of_suspended,
    of_terminating,
    of_waiting,
    without_account,
)
from ephemeral_endpoints.engine.drift import repair_message
from ephemeral_endpoints.engine.errors import Denied, InProgress
from ephemeral_endpoints.engine.plan import Create, Step, Update
from ephemeral_endpoints.engine.resources import Key, Phase
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.capacity.policy import makes_room
from ephemeral_endpoints.features.expiry import stage as expiry
from ephemeral_endpoints.features.expiry.brake import LEAST, ExpiryBrake
from ephemeral_endpoints.features.expiry.policy import why_retired
from ephemeral_endpoints.features.routing.answers import Answer, SampleAnswer
from ephemeral_endpoints.features.routing.policy import PathState, refused_path
from ephemeral_endpoints.features.routing.stage import refused
from ephemeral_endpoints.features.serving.failures import Endpoints, stuck_message
from ephemeral_endpoints.features.serving.recreation import Recreation
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.features.stages import ConditionInput, of_active

_LEFT = (OWN[ENDPOINT],)
_DENIED = Denied("no permission for sagemaker:DeleteEndpoint", operation="DeleteEndpoint", is_quoted=True)
_CONFLICT = InProgress(
    "Cannot delete Integration referenced by Route (ConflictException)", operation="DeleteIntegration", is_quoted=True
)
_TTL_IS_CUT = "spec.lifecycle.ttl is longer than the class allows: the class's maxTtl applies"
_PING = "The primary container for production variant all did not pass the ping health check."
_SHORTAGE = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."
_FAILURES = (
    _SHORTAGE,
    "The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances.",
    "The role 'r' does not have BatchGetImage permission for the image: 'i'.",
    "Request to service failed. If failure persists after retry, contact customer support.",
)
_RECREATION = Recreation("c", makes_room(refused_by_quota(1, 1, 1), {"ml.m5.large": 1}, {"ml.m5.large": 1}), NOON)
_TOO_LARGE = "Image size 13279248421 is greater than supported size 10737418240"
_NO_START = "CannotStartContainerError."
_LINES = ("ModuleNotFoundError: No module named 'torch'", "exit status 1")
_STUCK = stuck_message(
    replace(OWN[ENDPOINT], phase=Phase.BUSY, status="Creating", since=NOON), timedelta(minutes=30), str(HourlyCost())
)
_ROLE = "arn:aws:iam::123456789012:role/forwarder"
_REFUSALS = (
    Answer(ok=False, kind="sample-refused", sample=SampleAnswer("greeting", None, 500, "KeyError: 'text'")),
    Answer(ok=False, kind="sample-refused", sample=SampleAnswer("greeting", "after", 422, "")),
    Answer(ok=False, kind="sample-refused", sample=SampleAnswer("greeting", None, 0, "")),
    Answer(ok=False, kind="sample-refused", sample=SampleAnswer("greeting", None, None, "KeyError: 'text'")),
    Answer(ok=False, kind="invocation-denied"),
    Answer(ok=False, kind="storage-refused"),
)
_REFUSED_PATHS = [
    found
    for path, allowed in (("/nlp/pr-41", ()), ("/vision/pr-42/v1", ()), ("/vision/pr-42/v1", ("/public/*",)))
    if (found := refused_path(an_endpoint({"spec": {"api": {"path": path}}}), RoutingPolicy(allowed_paths=allowed)))
]
_OBJECTS: tuple[ConditionInput, ...] = (
    SERVING,
    condition_input(note=_TTL_IS_CUT, token_secret="pr-42-endpoint-token"),  # noqa: S106 - a name
    condition_input(answered=None),
    condition_input(answered=False, answer="the URL answers 503 Service Unavailable: The model is starting."),
    *(condition_input(answered=False, refusal=refused(answer, _ROLE)) for answer in _REFUSALS),
    condition_input(image=None, desired=NO_IMAGE, own={}),
    condition_input(desired=NO_IMAGE, own={}, environment_error=next(errors.environment())),
    condition_input(own=without(ENDPOINT)),
    condition_input(own=endpoint(Phase.READY, "earlier", status="InService")),
    *(condition_input(own=endpoint(Phase.BUSY, status=word)) for word in ("SystemUpdating", "RollingBack")),
    condition_input(own=endpoint(Phase.DELETING, status="Deleting")),
    condition_input(own=endpoint(Phase.FAILED)),
    condition_input(own=endpoint(Phase.FAILED, detail=_PING), endpoints=tried(2), last_lines=_LINES),
    condition_input(own=endpoint(Phase.BUSY, status="Creating"), endpoints=tried(1)),
    condition_input(own=endpoint(Phase.FAILED, detail=_PING), endpoints=tried(5), last_lines=_LINES),
    condition_input(own=endpoint(Phase.IMPAIRED, status="OutOfService", detail=_PING), endpoints=tried(1)),
    condition_input(own=endpoint(Phase.BUSY, status="Creating"), endpoints=Endpoints(stuck=_STUCK)),
    condition_input(own=endpoint(Phase.READY, "earlier", detail=_PING), endpoints=GIVEN_UP),
    condition_input(
        own=endpoint(Phase.READY, "earlier", detail=_SHORTAGE), endpoints=tried(3, _SHORTAGE, is_rollback=True)
    ),
    *(condition_input(own=endpoint(Phase.FAILED, detail=why), endpoints=tried(1, why)) for why in _FAILURES),
    *(condition_input(own=endpoint(Phase.FAILED, detail=_NO_START), endpoints=tried(n, _NO_START)) for n in (1, 5)),
    condition_input(own=endpoint(Phase.FAILED, detail=_TOO_LARGE), endpoints=tried(5, _TOO_LARGE)),
    condition_input(own=endpoint(Phase.IMPAIRED, "earlier", status="UpdateRollbackFailed"), endpoints=GIVEN_UP),
    condition_input(own=without(ENDPOINT), endpoints=Endpoints(recreated={ENDPOINT: _RECREATION.message})),
    condition_input(desired=NO_TOKEN),
    condition_input(desired=NO_PATH, path=PathState(holder="nlp/pr-41")),
    *(
        condition_input(path=PathState(waiting=tuple(f"nlp/pr-{number}" for number in range(43, last))))
        for last in (44, 46)
    ),
    *(condition_input(desired=NO_PATH, path=PathState(refused=each)) for each in _REFUSED_PATHS),
    condition_input(errors={ENDPOINT: _DENIED}),
)


_WHY_RETIRED = why_retired(
    ExpiryAction.AUTO, ObjectMeta(name="pr-42", labels={"resourceset.fluxcd.controlplane.io/name": "previews"})
)


def of_objects() -> Iterator[tuple[str, str]]:
    for given in _OBJECTS:
        yield from _rows(of_active(given))
    for cause in (expiry.DELETED, expiry.expired(None), expiry.expired(_WHY_RETIRED)):
        yield from _rows(of_terminating(cause, (), {}))
        yield from _rows(of_terminating(cause, _LEFT, {ENDPOINT: _DENIED}))
        yield from _rows(of_terminating(cause, endpoint(Phase.BUSY, status="Creating").values(), {ROUTE: _CONFLICT}))
    for is_tagged in (True, False):
        problem = None if is_tagged else _DENIED
        yield from _rows(expiry.of_retained(_LEFT, is_deleted=True, is_tagged=is_tagged, problem=problem))
    yield from _rows(expiry.of_retained((), is_deleted=False, is_tagged=True, problem=None))
    yield from (row for each in _held() for row in _rows(expiry.of_held(each)))
    yield from _rows(of_suspended())
    for name in ("gpu", None):
        yield from _rows(of_waiting(of_endpoints.class_not_found(name)))
    refusal = "namespace nlp may not use class gpu: name another class in spec.className"
    yield from _rows(of_waiting(of_endpoints.class_refused("gpu", refusal)))
    yield from _rows(without_account(_DENIED))


def of_classes() -> Iterator[tuple[str, str]]:
    yield from _rows([class_condition(None), *(class_condition(error) for error in errors.OF_CLASSES)])
    denied = Denied("not authorized to perform: iam:GetRole", operation="GetRole", is_quoted=True)
    yield from _rows([class_condition(None, denied)])


def _held() -> Iterator[Cause]:
    """Why an object that has expired is held: clocks differ, or too many objects have expired."""
    for differs in ("the operator's clock is 15 d ahead of that of the Kubernetes API server", None):
        disagreement = partial(str, differs) if differs else lambda: None
        brake = ExpiryBrake(disagreement, lambda: 0, ended=tuple, share=1, clock=lambda: 0.0)
        causes = [brake.hold(str(uid)) for uid in range(LEAST + 1)]
        yield from filter(None, causes[-1:])


def events() -> Iterator[tuple[str, str]]:
    yield f"Normal {expiry.EXPIRED}", expiry.EXPIRED_EVENT
    yield from ((f"Warning {each.reason}", each.message) for each in _held())
    yield f"Normal {expiry.RETAINED}", expiry.retained_event([ENDPOINT, Key(MODEL, "m")])
    yield f"Warning {of_endpoints.ABANDONED}", of_endpoints.abandoned_event(map(str, [ENDPOINT]))
    yield f"Warning {of_endpoints.ABANDONED}", of_endpoints.abandoned_event([])
    steps: list[Step] = [Create(WANT), Update(ENDPOINT_WANT, replace(THERE[ENDPOINT_WANT.key], phase=Phase.READY))]
    drift = SETTLED.taken(steps[0], NOON).seen(DESIRED, THERE).taken(steps[0], NOON).taken(steps[1], NOON)
    yield f"Normal {of_endpoints.DRIFT_REPAIRED}", repair_message(steps, drift.repairs)


def _rows(updates: Iterable[ConditionUpdate]) -> Iterator[tuple[str, str]]:
    return ((f"{update.type}={update.status} {update.reason}", update.message) for update in updates)
