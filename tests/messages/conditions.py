"""What the conditions of objects and classes say, and the Events."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from tests.engine.objects import endpoint as an_endpoint
from tests.engine.objects import subject
from tests.engine.test_drift import DESIRED, ENDPOINT_WANT, NOON, SETTLED, THERE, WANT
from tests.features.capacity.test_policy import refused as refused_by_quota
from tests.features.checks.test_stage import run as check_run
from tests.features.reviews.pull_requests.test_stage import pull_requests
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
from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome
from ephemeral_endpoints.api.v1alpha1.lifecycle import ExpiryAction
from ephemeral_endpoints.api.v1alpha1.prices import ListedPrices
from ephemeral_endpoints.api.v1alpha1.routing import RoutingPolicy
from ephemeral_endpoints.controllers.endpoint import reasons as of_endpoints
from ephemeral_endpoints.controllers.endpoint_class.reasons import class_condition
from ephemeral_endpoints.engine.conditions import (
    Cause,
    ConditionStatus,
    ConditionUpdate,
    of_suspended,
    of_terminating,
    of_waiting,
    without_account,
)
from ephemeral_endpoints.engine.drift import repair_message
from ephemeral_endpoints.engine.errors import Denied, InProgress, NotFound
from ephemeral_endpoints.engine.plan import Create, Step, Update
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.capacity.budget_stage import forced_rest, within_budget
from ephemeral_endpoints.features.capacity.budgets import Action, Budget, BudgetScope, BudgetVerdict
from ephemeral_endpoints.features.capacity.cost import HourlyCost
from ephemeral_endpoints.features.capacity.limits import Wait
from ephemeral_endpoints.features.capacity.limits import cause as limit_cause
from ephemeral_endpoints.features.capacity.listed_prices import judged as price_judged
from ephemeral_endpoints.features.capacity.policy import makes_room
from ephemeral_endpoints.features.capacity.service_quotas import judged, quota_name
from ephemeral_endpoints.features.checks.stage import CheckState, checks_passed
from ephemeral_endpoints.features.expiry import stage as expiry
from ephemeral_endpoints.features.expiry.brake import LEAST, ExpiryBrake
from ephemeral_endpoints.features.expiry.policy import EndCause, why_retired
from ephemeral_endpoints.features.routing.answers import Answer, SampleAnswer
from ephemeral_endpoints.features.routing.domain import found_cause, taken_cause, update_of
from ephemeral_endpoints.features.routing.policy import PathState, refused_path
from ephemeral_endpoints.features.routing.specs import mapping_key
from ephemeral_endpoints.features.routing.stage import URL_CHANGED, refused, url_change
from ephemeral_endpoints.features.serving.failures import Endpoints, stuck_message
from ephemeral_endpoints.features.serving.recreation import Recreation
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.features.sleep.policy import ACTIVE
from ephemeral_endpoints.features.sleep.stage import asleep
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
    *(condition_input(note=_TTL_IS_CUT, admission=each) for each in errors.admissions()),
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

_CHECKS: tuple[CheckState, ...] = (
    CheckState(2, is_ready=False),
    CheckState(2, is_ready=True),
    *(CheckState(2, is_ready=True, error=each) for each in errors.checks()),
    CheckState(1, is_ready=True, run=check_run((CheckOutcome.PASSED, ""))),
    CheckState(
        2,
        is_ready=True,
        run=check_run(
            (CheckOutcome.FAILED, '/label: expected "positive", found "negative"'), (CheckOutcome.PASSED, "")
        ),
    ),
    CheckState(1, is_ready=True, run=check_run((CheckOutcome.INCONCLUSIVE, "the URL refuses the token (401)"))),
)


_WHY_RETIRED = why_retired(
    ExpiryAction.AUTO, ObjectMeta(name="pr-42", labels={"resourceset.fluxcd.controlplane.io/name": "previews"})
)


def of_objects() -> Iterator[tuple[str, str]]:
    for given in _OBJECTS:
        yield from _rows(of_active(given))
    yield from _rows(map(checks_passed, _CHECKS))
    ended = (expiry.ended(end, why) for end in EndCause for why in (None, _WHY_RETIRED))
    for cause in (expiry.DELETED, *ended):
        yield from _rows(of_terminating(cause, (), {}))
        yield from _rows(of_terminating(cause, _LEFT, {ENDPOINT: _DENIED}))
        yield from _rows(of_terminating(cause, endpoint(Phase.BUSY, status="Creating").values(), {ROUTE: _CONFLICT}))
    for is_tagged in (True, False):
        problem = None if is_tagged else _DENIED
        yield from _rows(expiry.of_retained(_LEFT, None, is_tagged=is_tagged, problem=problem))
    for end in EndCause:
        yield from _rows(expiry.of_retained((), end, is_tagged=True, problem=None))
    yield from _rows(pull_requests())
    yield from (row for each in _held() for row in _rows(expiry.of_held(each)))
    yield from _rows(of_suspended())
    for name in ("gpu", None):
        yield from _rows(of_waiting(of_endpoints.class_not_found(name)))
    refusal = "namespace nlp may not use class gpu: name another class in spec.className"
    yield from _rows(of_waiting(of_endpoints.class_refused("gpu", refusal)))
    yield from _rows(without_account(_DENIED))
    for wait in (
        Wait(2),
        Wait(2, "acme/sentiment", ("pr-7", "pr-8")),
        Wait(2, is_far=True),
        Wait(0),
        Wait(0, "acme/x"),
    ):
        yield from _rows(of_waiting(limit_cause(wait, "nlp", "default")))
    yield from _rows(_budgets())


def _budgets() -> Iterator[ConditionUpdate]:
    noon, about = datetime(2026, 11, 2, 12, tzinfo=UTC), subject()
    group, own = (Budget(BudgetScope(each), Decimal(100)) for each in ("repository", "object"))
    for verdict in (
        BudgetVerdict(),
        BudgetVerdict(Action.NOTIFY, group, 80),
        BudgetVerdict(Action.NOTIFY, own, 100),
        BudgetVerdict(Action.NOTIFY, group, 120, is_pinned=True),
        BudgetVerdict(Action.EXPIRE, own, 120),
        BudgetVerdict(unknown=(group, own)),
    ):
        yield within_budget(about, verdict, noon)
    sleeps = BudgetVerdict(Action.SLEEP, group, 100, unknown=(group,))
    yield within_budget(about, sleeps, noon)
    yield ConditionUpdate.of(ACTIVE, ConditionStatus.FALSE, asleep(about, forced_rest(about, sleeps, noon)))


def of_classes() -> Iterator[tuple[str, str]]:
    yield from _rows([class_condition(None), *(class_condition(error) for error in errors.OF_CLASSES)])
    denied = Denied("not authorized to perform: iam:GetRole", operation="GetRole", is_quoted=True)
    yield from _rows([class_condition(None, denied)])
    yield from _rows(map(update_of, _domains()))
    judgements = (judged({quota_name("ml.m5.large"): 2.0}, {"ml.m5.large": asked}) for asked in (1, 3))
    yield from _rows(filter(None, judgements))
    known = ListedPrices(published_on="2026-11-25", read_at=datetime(2026, 11, 30, tzinfo=UTC), items={})
    read = (price_judged("us-east-1", known, None), price_judged("us-east-1", known, str(denied)))
    yield from _rows(filter(None, (*read, price_judged("us-east-1", None, str(denied)))))


def _domains() -> Iterator[Cause]:
    """What is known of the custom domain of a class."""
    certificate = {"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/a"}
    for changes in (
        {},
        {"DomainNameStatus": "UPDATING"},
        {"DomainNameStatus": "PENDING_CERTIFICATE_REIMPORT"},
        {"DomainNameStatus": "PENDING_OWNERSHIP_VERIFICATION"},
        {"EndpointType": "EDGE"},
        {"CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/a"},
        {"CertificateArn": ""},
    ):
        answer = {"DomainNameConfigurations": [{**certificate, **changes}]}
        yield found_cause("previews.example.com", answer, "us-east-1", "123456789012")[0]
    yield found_cause("previews.example.com", NotFound("no such domain"), "us-east-1", "123456789012")[0]
    key = mapping_key("previews.example.com", "models")
    taken = taken_cause([key], {key: ObservedResource(key, Phase.READY, id="a1b2c3")})
    assert taken is not None
    yield taken


def _held() -> Iterator[Cause]:
    """Why an object that has ended is held: clocks differ, or too many objects have ended."""
    differs = "the operator's clock is 15 d ahead of that of the Kubernetes API server"
    for end, disagreement in (
        (EndCause.EXPIRED, partial(str, differs)),
        (EndCause.EXPIRED, lambda: None),
        (EndCause.CLOSED, lambda: None),
    ):
        brake = ExpiryBrake(disagreement, lambda: 0, ended=tuple, share=1, clock=lambda: 0.0)
        causes = [brake.hold(str(uid), end) for uid in range(LEAST + 1)]
        yield from filter(None, causes[-1:])


def events() -> Iterator[tuple[str, str]]:
    yield from ((f"Normal {each.reason}", each.message) for each in map(expiry.ended_event, EndCause))
    yield from ((f"Warning {each.reason}", each.message) for each in _held())
    yield f"Normal {expiry.RETAINED}", expiry.retained_event([ENDPOINT, Key(MODEL, "m")])
    yield f"Warning {of_endpoints.ABANDONED}", of_endpoints.abandoned_event(map(str, [ENDPOINT]))
    yield f"Warning {of_endpoints.ABANDONED}", of_endpoints.abandoned_event([])
    steps: list[Step] = [Create(WANT), Update(ENDPOINT_WANT, replace(THERE[ENDPOINT_WANT.key], phase=Phase.READY))]
    drift = SETTLED.taken(steps[0], NOON).seen(DESIRED, THERE).taken(steps[0], NOON).taken(steps[1], NOON)
    moved = url_change("https://a1b2.execute-api.us-east-1.amazonaws.com/nlp/pr", "https://previews.example.com/nlp/pr")
    yield f"Normal {URL_CHANGED}", moved or ""
    yield f"Normal {of_endpoints.DRIFT_REPAIRED}", repair_message(steps, drift.repairs)


def _rows(updates: Iterable[ConditionUpdate]) -> Iterator[tuple[str, str]]:
    return ((f"{update.type}={update.status} {update.reason}", update.message) for update in updates)
