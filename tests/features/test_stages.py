from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.objects import CLUSTER, DIGEST, TOKEN, make_class, resolved, subject

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.engine.conditions import (
    MESSAGE_LENGTH,
    Cause,
    ConditionStatus,
    ConditionType,
    ConditionUpdate,
)
from ephemeral_endpoints.engine.errors import (
    AlreadyExists,
    Contested,
    Denied,
    InProgress,
    Invalid,
    NameConflict,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    SecretTaken,
    Throttled,
    Transient,
)
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.reasons import IMAGE_READY, ImageProblem
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.monitoring.specs import ALARM as ALARM_KIND
from ephemeral_endpoints.features.monitoring.specs import MONITORED
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.routing.specs import FUNCTION as FUNCTION_KIND
from ephemeral_endpoints.features.routing.specs import ROUTE as ROUTE_KIND
from ephemeral_endpoints.features.routing.specs import ROUTE_READY, HttpApiSpec
from ephemeral_endpoints.features.routing.stage import SAMPLE_REFUSED
from ephemeral_endpoints.features.serving.attempts import AttemptState, AttemptTarget
from ephemeral_endpoints.features.serving.failure_classes import RetryPolicy, class_of
from ephemeral_endpoints.features.serving.failures import Endpoints
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY, MODEL, EndpointSpec
from ephemeral_endpoints.features.stages import ConditionInput, of_active

WANTED = desired(subject(), resolved())
OWN = {resource.key: ObservedResource(resource.key, Phase.READY, resource.spec) for resource in WANTED.resources}
API = api_key(CLUSTER, make_class())
OTHERS = {API: ObservedResource(API, Phase.READY, HttpApiSpec())}
KEYS = {resource.key.kind: resource.key for resource in WANTED.resources}
ENDPOINT, FUNCTION, ROUTE, ALARM = (KEYS[kind] for kind in (ENDPOINT_KIND, FUNCTION_KIND, ROUTE_KIND, ALARM_KIND))
SERVING = ConditionInput(WANTED, OWN, OTHERS, ImageState(DIGEST), answered=True)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
GIVEN_UP = Endpoints(given_up=frozenset({ENDPOINT}))
REFUSED = Cause(SAMPLE_REFUSED, "the model answered the sample a with 500")
NO_IMAGE = desired(subject(), resolved(None, TOKEN, owns_path=True))
NO_TOKEN = desired(subject(), resolved(DIGEST, None, owns_path=True))
NO_PATH = desired(subject(), resolved(DIGEST, TOKEN, owns_path=False))


def condition_input(**changes: Any) -> ConditionInput:  # noqa: ANN401 - fields of many types
    return replace(SERVING, **changes)


def without(*keys: Key) -> dict[Key, ObservedResource]:
    return {key: observed for key, observed in OWN.items() if key not in keys}


def endpoint(
    phase: Phase, config: str | None = None, detail: str = "", status: str = ""
) -> dict[Key, ObservedResource]:
    spec = EndpointSpec(config) if config else OWN[ENDPOINT].spec
    return {**OWN, ENDPOINT: replace(OWN[ENDPOINT], phase=phase, spec=spec, detail=detail, status=status)}


def tried(failures: int, detail: str = "no ping", *, is_rollback: bool = False) -> Endpoints:
    pause = RetryPolicy().pause(failures, class_of(detail))
    at = NOON + pause if pause else None
    attempts = AttemptState(AttemptTarget("c", 1), failures, "v", detail, at, is_rollback=is_rollback)
    return Endpoints(given_up=frozenset({ENDPOINT} if is_rollback else ()), attempts={ENDPOINT: attempts})


def reported(updates: tuple[ConditionUpdate, ...]) -> dict[str, ConditionUpdate]:
    assert len({update.type for update in updates}) == len(updates)
    return {update.type: update for update in updates}


CASES: list[tuple[str, ConditionInput, Mapping[str, tuple[ConditionStatus, str]]]] = [
    (
        "all is there and a request was answered",
        SERVING,
        {
            ConditionType.READY: (ConditionStatus.TRUE, "Serving"),
            ConditionType.RECONCILING: (ConditionStatus.FALSE, "UpToDate"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
            IMAGE_READY: (ConditionStatus.TRUE, "Pinned"),
            ENDPOINT_READY: (ConditionStatus.TRUE, "InService"),
            ROUTE_READY: (ConditionStatus.TRUE, "Routed"),
            MONITORED: (ConditionStatus.TRUE, "Watching"),
        },
    ),
    (
        "nobody knows whether the URL answers before it was tried",
        condition_input(answered=None),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "NotAnswering"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "NotAnswering"),
        },
    ),
    (
        "a leftover that resists its deletion is work to do, and takes the service away from nobody",
        condition_input(errors={Key(MODEL, "old"): Denied("no", operation="DeleteModel")}),
        {
            ConditionType.READY: (ConditionStatus.TRUE, "Serving"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "AccessDenied"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
            ENDPOINT_READY: (ConditionStatus.TRUE, "InService"),
        },
    ),
    (
        "the URL did not answer",
        condition_input(answered=False),
        {ConditionType.READY: (ConditionStatus.FALSE, "NotAnswering")},
    ),
    (
        "the image was not looked up yet",
        condition_input(image=None, desired=NO_IMAGE, own={}),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "NotLookedUp"),
            IMAGE_READY: (ConditionStatus.UNKNOWN, "NotLookedUp"),
            ENDPOINT_READY: (ConditionStatus.FALSE, "WaitingForImage"),
        },
    ),
    (
        "an image that was not pushed yet may still be",
        condition_input(image=ImageState(problem=ImageProblem.NOT_FOUND, message="not there"), desired=NO_IMAGE),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "ImageNotFound"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "ImageNotFound"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
            IMAGE_READY: (ConditionStatus.FALSE, "ImageNotFound"),
        },
    ),
    *(
        (
            f"no retry helps against {problem.name}",
            condition_input(image=ImageState(problem=problem, message="never"), desired=NO_IMAGE),
            {
                ConditionType.READY: (ConditionStatus.FALSE, problem.reason.name),
                ConditionType.RECONCILING: (ConditionStatus.FALSE, problem.reason.name),
                ConditionType.STALLED: (ConditionStatus.TRUE, problem.reason.name),
                IMAGE_READY: (ConditionStatus.FALSE, problem.reason.name),
            },
        )
        for problem in (ImageProblem.OTHER_REGION, ImageProblem.NOT_ALLOWED)
    ),
    (
        "the endpoint is to be made",
        condition_input(own=without(ENDPOINT)),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "Creating"),
            ENDPOINT_READY: (ConditionStatus.FALSE, "Creating"),
        },
    ),
    (
        "the endpoint rolls out, in AWS's own words",
        condition_input(own=endpoint(Phase.BUSY, status="SystemUpdating")),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "SystemUpdating"),
            ROUTE_READY: (ConditionStatus.TRUE, "Routed"),
        },
    ),
    (
        "the endpoint serves an earlier revision: that it is in service does not say why it is waited for",
        condition_input(own=endpoint(Phase.READY, "earlier", status="InService")),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "Updating"),
            ENDPOINT_READY: (ConditionStatus.FALSE, "Updating"),
        },
    ),
    (
        "the endpoint failed as wanted: it is tried again",
        condition_input(own=endpoint(Phase.FAILED, detail="no ping"), endpoints=tried(1)),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "EndpointFailed"),
            ENDPOINT_READY: (ConditionStatus.FALSE, "EndpointFailed"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "EndpointFailed"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    *(
        (
            f"the endpoint failed and is tried again: {reason}",
            condition_input(own=own, endpoints=tried(1)),
            {
                ENDPOINT_READY: (ConditionStatus.FALSE, "EndpointFailed"),
                ConditionType.RECONCILING: (ConditionStatus.TRUE, "EndpointFailed"),
                ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
            },
        )
        for reason, own in (
            ("the old one goes", endpoint(Phase.DELETING, status="Deleting")),
            ("the new one is to be made", without(ENDPOINT)),
            ("the new one is made", endpoint(Phase.BUSY, status="Creating")),
        )
    ),
    (
        "there is no room for the next try",
        condition_input(own=without(ENDPOINT), endpoints=tried(1), errors={ENDPOINT: QuotaExceeded("x")}),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "QuotaExceeded"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "QuotaExceeded"),
        },
    ),
    (
        "the next try takes too long",
        condition_input(own=endpoint(Phase.BUSY), endpoints=replace(tried(1), stuck="since long")),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "Stuck"),
            ConditionType.STALLED: (ConditionStatus.TRUE, "Stuck"),
        },
    ),
    (
        "the endpoint failed as wanted too often",
        condition_input(own=endpoint(Phase.FAILED, detail="no ping"), endpoints=tried(5)),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "EndpointFailed"),
            ConditionType.RECONCILING: (ConditionStatus.FALSE, "EndpointFailed"),
            ConditionType.STALLED: (ConditionStatus.TRUE, "EndpointFailed"),
        },
    ),
    (
        "the endpoint went out of service, in AWS's own words",
        condition_input(own=endpoint(Phase.IMPAIRED, status="OutOfService"), endpoints=tried(1)),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "OutOfService"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "OutOfService"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    (
        "the endpoint takes too long",
        condition_input(own=endpoint(Phase.BUSY, status="Creating"), endpoints=Endpoints(stuck="since long")),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "Stuck"),
            ConditionType.RECONCILING: (ConditionStatus.FALSE, "Stuck"),
            ConditionType.STALLED: (ConditionStatus.TRUE, "Stuck"),
        },
    ),
    (
        "what is done about a hand that works against us pauses",
        condition_input(own=without(ALARM), errors={ALARM: Contested("again and again")}),
        {
            MONITORED: (ConditionStatus.FALSE, "Contested"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "Contested"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    (
        "an earlier revision failed: it is being replaced",
        condition_input(own=endpoint(Phase.FAILED, "earlier", status="Failed")),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "Updating"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "Updating"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    (
        "the replacement of what failed is throttled",
        condition_input(own=endpoint(Phase.FAILED, "earlier"), errors={ENDPOINT: Throttled("slow down")}),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "Throttled"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    (
        "SageMaker rolled back",
        condition_input(endpoints=GIVEN_UP, own=endpoint(Phase.READY, "earlier")),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "RolledBack"),
            ConditionType.STALLED: (ConditionStatus.TRUE, "RolledBack"),
        },
    ),
    (
        "SageMaker could not roll back",
        condition_input(endpoints=GIVEN_UP, own=endpoint(Phase.IMPAIRED, "earlier", status="UpdateRollbackFailed")),
        {
            ENDPOINT_READY: (ConditionStatus.FALSE, "UpdateRollbackFailed"),
            ConditionType.STALLED: (ConditionStatus.TRUE, "UpdateRollbackFailed"),
        },
    ),
    (
        "the token is not known",
        condition_input(desired=NO_TOKEN),
        {
            ROUTE_READY: (ConditionStatus.FALSE, "WaitingForToken"),
            ENDPOINT_READY: (ConditionStatus.TRUE, "InService"),
        },
    ),
    (
        "the class does not allow the path",
        condition_input(desired=NO_PATH, path=PathState(refused=NotAllowed("choose another"))),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "NotAllowed"),
            ROUTE_READY: (ConditionStatus.FALSE, "NotAllowed"),
            ConditionType.STALLED: (ConditionStatus.TRUE, "NotAllowed"),
        },
    ),
    (
        "the path is another's, who may go",
        condition_input(desired=NO_PATH, path=PathState(holder="nlp/older")),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "PathConflict"),
            ROUTE_READY: (ConditionStatus.FALSE, "PathConflict"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    (
        "the model refuses the sample, and may answer it later",
        condition_input(refusal=REFUSED, answered=False),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "SampleRefused"),
            ROUTE_READY: (ConditionStatus.FALSE, "SampleRefused"),
            ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
        },
    ),
    (
        "the route is gone, which matters more than what it answered",
        condition_input(own=without(ROUTE), refusal=REFUSED, answered=False),
        {ROUTE_READY: (ConditionStatus.FALSE, "Creating")},
    ),
    (
        "the route leads elsewhere",
        condition_input(own=without(ROUTE)),
        {ROUTE_READY: (ConditionStatus.FALSE, "Creating")},
    ),
    (
        "an alarm is missing",
        condition_input(own=without(ALARM)),
        {MONITORED: (ConditionStatus.FALSE, "Creating")},
    ),
    *(
        (
            f"{type(error).__name__} may pass",
            condition_input(errors={FUNCTION: error}),
            {
                ConditionType.READY: (ConditionStatus.FALSE, error.reason.name),
                ROUTE_READY: (ConditionStatus.FALSE, error.reason.name),
                ENDPOINT_READY: (ConditionStatus.TRUE, "InService"),
                ConditionType.RECONCILING: (ConditionStatus.TRUE, error.reason.name),
                ConditionType.STALLED: (ConditionStatus.FALSE, "NotStalled"),
            },
        )
        for error in (Transient("x"), Throttled("x"), Denied("x"), QuotaExceeded("x"), InProgress("x"))
    ),
    *(
        (
            f"{type(error).__name__} stays",
            condition_input(errors={ALARM: error}, own=without(ALARM)),
            {
                ConditionType.READY: (ConditionStatus.FALSE, error.reason.name),
                MONITORED: (ConditionStatus.FALSE, error.reason.name),
                ConditionType.RECONCILING: (ConditionStatus.FALSE, error.reason.name),
                ConditionType.STALLED: (ConditionStatus.TRUE, error.reason.name),
            },
        )
        for error in (NameConflict("x"), Invalid("x"))
    ),
    (
        "a problem that concerns no resource comes first",
        condition_input(problems=(Denied("ecr"),), own={}),
        {
            ConditionType.READY: (ConditionStatus.FALSE, "AccessDenied"),
            ConditionType.RECONCILING: (ConditionStatus.TRUE, "AccessDenied"),
        },
    ),
]


@pytest.mark.parametrize(("seen", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_people_read(seen: ConditionInput, expected: Mapping[str, tuple[ConditionStatus, str]]) -> None:
    found = reported(of_active(seen))
    assert {type_: (found[type_].status, found[type_].reason.name) for type_ in expected} == expected
    assert list(found) == [*ConditionType, IMAGE_READY, ENDPOINT_READY, ROUTE_READY, MONITORED]


@pytest.mark.parametrize(
    ("seen", "type_", "parts", "reason"),
    [
        (
            condition_input(note="the ttl was cut"),
            ConditionType.READY,
            ["leads to this revision", "the ttl was cut"],
            "a note goes with the good news",
        ),
        (condition_input(answered=False, answer="HTTP 503"), ConditionType.READY, ["HTTP 503"], "what the URL said"),
        (SERVING, IMAGE_READY, [DIGEST], "what is served"),
        (
            condition_input(own=endpoint(Phase.FAILED, detail="no ping"), last_lines=("ImportError", "exit 1")),
            ENDPOINT_READY,
            ["no ping", "ImportError | exit 1"],
            "why it failed, as SageMaker and as the container say",
        ),
        (
            condition_input(own=endpoint(Phase.FAILED)),
            ConditionType.READY,
            ["gave no reason"],
            "SageMaker may give no reason",
        ),
        (
            condition_input(own=endpoint(Phase.FAILED), endpoints=tried(2)),
            ConditionType.RECONCILING,
            ["tried 2 times, next try at 12:01:00 UTC"],
            "when it is tried again, as a moment: the message stays the same until then",
        ),
        (
            condition_input(own=endpoint(Phase.BUSY, status="Creating"), endpoints=tried(2)),
            ENDPOINT_READY,
            ["no ping (tried 2 times, trying again now)"],
            "while it is tried again, why that has to be",
        ),
        (
            condition_input(own=endpoint(Phase.FAILED), endpoints=tried(5)),
            ConditionType.STALLED,
            ["tried 5 times", "no further tries", RECONCILE_AT_ANNOTATION],
            "what to do so that it is tried again",
        ),
        (
            condition_input(
                own=endpoint(Phase.BUSY), endpoints=Endpoints(stuck="it costs $1 an hour"), last_lines=("loop",)
            ),
            ConditionType.STALLED,
            ["it costs $1 an hour", "last lines of the log: loop"],
            "what hangs, what that costs and why it may hang",
        ),
        (
            condition_input(endpoints=GIVEN_UP, own=endpoint(Phase.READY, "earlier", "bad health")),
            ENDPOINT_READY,
            ["previous revision keeps serving", "bad health"],
            "what serves now, and why",
        ),
        (
            condition_input(desired=NO_PATH, path=PathState(holder="nlp/older")),
            ROUTE_READY,
            ["nlp/older", "spec.api.path"],
            "who has it and what to do",
        ),
        (
            condition_input(path=PathState(waiting=("nlp/a", "nlp/b"))),
            ROUTE_READY,
            ["leads to the endpoint", "nlp/a and 1 other wait for its path"],
            "who would like to have it",
        ),
        (condition_input(own=without(ENDPOINT)), ConditionType.READY, [str(ENDPOINT)], "what is waited for"),
        (
            condition_input(errors={FUNCTION: Denied("no lambda:CreateFunction", operation="CreateFunction")}),
            ConditionType.READY,
            ["CreateFunction: no lambda:CreateFunction"],
            "which call was refused",
        ),
    ],
)
def test_messages_say_what_is_the_matter(seen: ConditionInput, type_: str, parts: list[str], reason: str) -> None:
    message = reported(of_active(seen))[type_].message
    assert [part for part in parts if part not in message] == [], reason


def test_what_a_container_printed_cannot_play_tricks_on_a_terminal_or_fill_the_object() -> None:
    hostile = ("\x1b[2Jcleared", "line\nbreak", "\u202eright to left", "\ud800", "x" * 10_000)
    for update in of_active(condition_input(own=endpoint(Phase.FAILED), last_lines=hostile)):
        assert update.message.isprintable()
        assert len(update.message) <= MESSAGE_LENGTH
        update.message.encode()


ERRORS = st.builds(
    lambda kind, message, operation: kind(message, operation=operation),
    st.sampled_from(
        [
            *(AlreadyExists, Contested, Denied, InProgress, Invalid),
            *(NameConflict, NotFound, QuotaExceeded, SecretTaken, Throttled),
        ]
    ),
    st.text(max_size=40),
    st.sampled_from(["", "CreateModel"]),
)
IMAGES = st.none() | st.just(ImageState(DIGEST)) | st.builds(ImageState, st.none(), st.sampled_from(ImageProblem))
SITUATIONS = st.builds(
    ConditionInput,
    desired=st.sampled_from([WANTED, NO_IMAGE, NO_TOKEN, NO_PATH]),
    own=st.builds(
        lambda keys, phase, config: {key: (endpoint(phase, config) if key == ENDPOINT else OWN)[key] for key in keys},
        st.sets(st.sampled_from(sorted(OWN))) | st.just(set(OWN)),
        st.sampled_from(Phase),
        st.sampled_from([None, "earlier"]),
    ),
    others=st.sampled_from([{}, OTHERS]),
    image=IMAGES,
    errors=st.dictionaries(st.sampled_from(sorted(OWN)), ERRORS, max_size=2),
    problems=st.lists(ERRORS, max_size=1).map(tuple),
    path=st.sampled_from([PathState(), PathState(holder="nlp/older"), PathState(refused=NotAllowed("no"))]),
    refusal=st.sampled_from([None, REFUSED]),
    answered=st.sampled_from([None, False, True]),
    answer=st.text(max_size=20),
    last_lines=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    endpoints=st.sampled_from([Endpoints(), GIVEN_UP, tried(1), tried(5), Endpoints(stuck="long")]),
    note=st.text(max_size=20),
)


def assert_sound(updates: tuple[ConditionUpdate, ...]) -> None:
    found = reported(updates)
    ready, reconciling, stalled = (
        found[each].status for each in (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    )
    assert (ready, reconciling, stalled).count(ConditionStatus.TRUE) <= 1
    assert stalled is not ConditionStatus.TRUE or ready is ConditionStatus.FALSE
    assert ready is not ConditionStatus.TRUE or all(update.status is ConditionStatus.TRUE for update in updates[3:])
    for update in updates:
        assert update.message
        assert update.message.isprintable()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SITUATIONS)
def test_whatever_happens_the_conditions_agree_with_one_another(seen: ConditionInput) -> None:
    updates = of_active(seen)
    assert_sound(updates)
    found = reported(updates)
    assert [
        found[each].status for each in (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    ].count(ConditionStatus.TRUE) == 1
    assert found[ConditionType.READY].status is not ConditionStatus.TRUE or seen.answered
