from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.objects import CLUSTER, DIGEST, TOKEN, endpoint_class, resolved, subject

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.core.apis import api_key
from ephemeral_endpoints.core.conditions import (
    MESSAGE_LENGTH,
    Situation,
    Truth,
    Type,
    Verdict,
    of_leaving,
    of_living,
    of_retained,
    without_account,
    without_class,
)
from ephemeral_endpoints.core.creation import Goal, Patience, Tries
from ephemeral_endpoints.core.desired import desired
from ephemeral_endpoints.core.errors import (
    AlreadyExists,
    Contested,
    Denied,
    InProgress,
    Invalid,
    NameConflict,
    NotFound,
    Problem,
    QuotaExceeded,
    SecretTaken,
    Throttled,
    Transient,
    Unauthenticated,
    WrongAccount,
)
from ephemeral_endpoints.core.failures import Endpoints
from ephemeral_endpoints.core.images import ImageProblem, ImageState
from ephemeral_endpoints.core.resources import EndpointSpec, Have, HttpApiSpec, Key, Kind, Phase

WANTED = desired(subject(), resolved())
OWN = {want.key: Have(want.key, Phase.READY, want.spec) for want in WANTED.wants}
API = api_key(CLUSTER, endpoint_class())
OTHERS = {API: Have(API, Phase.READY, HttpApiSpec())}
KEYS = {want.key.kind: want.key for want in WANTED.wants}
ENDPOINT, FUNCTION, ROUTE, ALARM = (KEYS[kind] for kind in (Kind.ENDPOINT, Kind.FUNCTION, Kind.ROUTE, Kind.ALARM))
SERVING = Situation(WANTED, OWN, OTHERS, ImageState(DIGEST), answered=True)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
GIVEN_UP = Endpoints(given_up=frozenset({ENDPOINT}))
NO_IMAGE = desired(subject(), resolved(None, TOKEN, owns_path=True))
NO_TOKEN = desired(subject(), resolved(DIGEST, None, owns_path=True))
NO_PATH = desired(subject(), resolved(DIGEST, TOKEN, owns_path=False))


def situation(**changes: Any) -> Situation:  # noqa: ANN401 - fields of many types
    return replace(SERVING, **changes)


def without(*keys: Key) -> dict[Key, Have]:
    return {key: have for key, have in OWN.items() if key not in keys}


def endpoint(phase: Phase, config: str | None = None, detail: str = "", status: str = "") -> dict[Key, Have]:
    spec = EndpointSpec(config) if config else OWN[ENDPOINT].spec
    return {**OWN, ENDPOINT: replace(OWN[ENDPOINT], phase=phase, spec=spec, detail=detail, status=status)}


def tried(failures: int) -> Endpoints:
    pause = Patience().pause(failures)
    tries = Tries(Goal("c", 1), failures, "v", "no ping", NOON + pause if pause else None)
    return Endpoints(tries={ENDPOINT: tries})


def told(verdicts: tuple[Verdict, ...]) -> dict[Type, Verdict]:
    assert len({verdict.type for verdict in verdicts}) == len(verdicts)
    return {verdict.type: verdict for verdict in verdicts}


CASES: list[tuple[str, Situation, Mapping[Type, tuple[Truth, str]]]] = [
    (
        "all is there and a request was answered",
        SERVING,
        {
            Type.READY: (Truth.TRUE, "Serving"),
            Type.RECONCILING: (Truth.FALSE, "UpToDate"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
            Type.IMAGE_READY: (Truth.TRUE, "Pinned"),
            Type.ENDPOINT_READY: (Truth.TRUE, "InService"),
            Type.ROUTE_READY: (Truth.TRUE, "Routed"),
            Type.MONITORED: (Truth.TRUE, "Watching"),
        },
    ),
    (
        "nobody knows whether the URL answers before it was tried",
        situation(answered=None),
        {Type.READY: (Truth.FALSE, "NotAnswering"), Type.RECONCILING: (Truth.TRUE, "NotAnswering")},
    ),
    (
        "a leftover that resists its deletion is work to do, and takes the service away from nobody",
        situation(errors={Key(Kind.MODEL, "old"): Denied("no", operation="DeleteModel")}),
        {
            Type.READY: (Truth.TRUE, "Serving"),
            Type.RECONCILING: (Truth.TRUE, "AccessDenied"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
            Type.ENDPOINT_READY: (Truth.TRUE, "InService"),
        },
    ),
    ("the URL did not answer", situation(answered=False), {Type.READY: (Truth.FALSE, "NotAnswering")}),
    (
        "the image was not looked up yet",
        situation(image=None, desired=NO_IMAGE, own={}),
        {
            Type.READY: (Truth.FALSE, "NotLookedUp"),
            Type.IMAGE_READY: (Truth.UNKNOWN, "NotLookedUp"),
            Type.ENDPOINT_READY: (Truth.FALSE, "WaitingForImage"),
        },
    ),
    (
        "an image that was not pushed yet may still be",
        situation(image=ImageState(problem=ImageProblem.NOT_FOUND, message="not there"), desired=NO_IMAGE),
        {
            Type.READY: (Truth.FALSE, "ImageNotFound"),
            Type.RECONCILING: (Truth.TRUE, "ImageNotFound"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
            Type.IMAGE_READY: (Truth.FALSE, "ImageNotFound"),
        },
    ),
    *(
        (
            f"no retry helps against {problem}",
            situation(image=ImageState(problem=problem, message="never"), desired=NO_IMAGE),
            {
                Type.READY: (Truth.FALSE, problem.value),
                Type.RECONCILING: (Truth.FALSE, problem.value),
                Type.STALLED: (Truth.TRUE, problem.value),
            },
        )
        for problem in (ImageProblem.OTHER_REGION, ImageProblem.NOT_ALLOWED)
    ),
    (
        "the endpoint is to be made",
        situation(own=without(ENDPOINT)),
        {Type.READY: (Truth.FALSE, "Creating"), Type.ENDPOINT_READY: (Truth.FALSE, "Creating")},
    ),
    (
        "the endpoint rolls out, in AWS's own words",
        situation(own=endpoint(Phase.BUSY, status="SystemUpdating")),
        {Type.READY: (Truth.FALSE, "SystemUpdating"), Type.ROUTE_READY: (Truth.TRUE, "Routed")},
    ),
    (
        "the endpoint serves an earlier revision: that it is in service does not say why it is waited for",
        situation(own=endpoint(Phase.READY, "earlier", status="InService")),
        {Type.READY: (Truth.FALSE, "Updating"), Type.ENDPOINT_READY: (Truth.FALSE, "Updating")},
    ),
    (
        "the endpoint failed as wanted: it is tried again",
        situation(own=endpoint(Phase.FAILED, detail="no ping"), endpoints=tried(1)),
        {
            Type.READY: (Truth.FALSE, "EndpointFailed"),
            Type.ENDPOINT_READY: (Truth.FALSE, "EndpointFailed"),
            Type.RECONCILING: (Truth.TRUE, "EndpointFailed"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
        },
    ),
    *(
        (
            f"the endpoint failed and is tried again: {reason}",
            situation(own=own, endpoints=tried(1)),
            {
                Type.ENDPOINT_READY: (Truth.FALSE, "EndpointFailed"),
                Type.RECONCILING: (Truth.TRUE, "EndpointFailed"),
                Type.STALLED: (Truth.FALSE, "NotStalled"),
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
        situation(own=without(ENDPOINT), endpoints=tried(1), errors={ENDPOINT: QuotaExceeded("x")}),
        {Type.ENDPOINT_READY: (Truth.FALSE, "QuotaExceeded"), Type.RECONCILING: (Truth.TRUE, "QuotaExceeded")},
    ),
    (
        "the next try takes too long",
        situation(own=endpoint(Phase.BUSY), endpoints=replace(tried(1), stuck="since long")),
        {Type.ENDPOINT_READY: (Truth.FALSE, "Stuck"), Type.STALLED: (Truth.TRUE, "Stuck")},
    ),
    (
        "the endpoint failed as wanted too often",
        situation(own=endpoint(Phase.FAILED, detail="no ping"), endpoints=tried(5)),
        {
            Type.READY: (Truth.FALSE, "EndpointFailed"),
            Type.RECONCILING: (Truth.FALSE, "EndpointFailed"),
            Type.STALLED: (Truth.TRUE, "EndpointFailed"),
        },
    ),
    (
        "the endpoint went out of service, in AWS's own words",
        situation(own=endpoint(Phase.IMPAIRED, status="OutOfService"), endpoints=tried(1)),
        {
            Type.ENDPOINT_READY: (Truth.FALSE, "OutOfService"),
            Type.RECONCILING: (Truth.TRUE, "OutOfService"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
        },
    ),
    (
        "the endpoint takes too long",
        situation(own=endpoint(Phase.BUSY, status="Creating"), endpoints=Endpoints(stuck="since long")),
        {
            Type.ENDPOINT_READY: (Truth.FALSE, "Stuck"),
            Type.RECONCILING: (Truth.FALSE, "Stuck"),
            Type.STALLED: (Truth.TRUE, "Stuck"),
        },
    ),
    (
        "what is done about a hand that works against us pauses",
        situation(own=without(ALARM), errors={ALARM: Contested("again and again")}),
        {
            Type.MONITORED: (Truth.FALSE, "Contested"),
            Type.RECONCILING: (Truth.TRUE, "Contested"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
        },
    ),
    (
        "an earlier revision failed: it is being replaced",
        situation(own=endpoint(Phase.FAILED, "earlier", status="Failed")),
        {
            Type.ENDPOINT_READY: (Truth.FALSE, "Updating"),
            Type.RECONCILING: (Truth.TRUE, "Updating"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
        },
    ),
    (
        "the replacement of what failed is throttled",
        situation(own=endpoint(Phase.FAILED, "earlier"), errors={ENDPOINT: Throttled("slow down")}),
        {Type.ENDPOINT_READY: (Truth.FALSE, "Throttled"), Type.STALLED: (Truth.FALSE, "NotStalled")},
    ),
    (
        "SageMaker rolled back",
        situation(endpoints=GIVEN_UP, own=endpoint(Phase.READY, "earlier")),
        {Type.ENDPOINT_READY: (Truth.FALSE, "RolledBack"), Type.STALLED: (Truth.TRUE, "RolledBack")},
    ),
    (
        "SageMaker could not roll back",
        situation(endpoints=GIVEN_UP, own=endpoint(Phase.IMPAIRED, "earlier", status="UpdateRollbackFailed")),
        {
            Type.ENDPOINT_READY: (Truth.FALSE, "UpdateRollbackFailed"),
            Type.STALLED: (Truth.TRUE, "UpdateRollbackFailed"),
        },
    ),
    (
        "the token is not known",
        situation(desired=NO_TOKEN),
        {Type.ROUTE_READY: (Truth.FALSE, "WaitingForToken"), Type.ENDPOINT_READY: (Truth.TRUE, "InService")},
    ),
    (
        "the path is another's, who may go",
        situation(desired=NO_PATH, path_holder="nlp/older"),
        {
            Type.READY: (Truth.FALSE, "PathConflict"),
            Type.ROUTE_READY: (Truth.FALSE, "PathConflict"),
            Type.STALLED: (Truth.FALSE, "NotStalled"),
        },
    ),
    ("the route leads elsewhere", situation(own=without(ROUTE)), {Type.ROUTE_READY: (Truth.FALSE, "Creating")}),
    ("an alarm is missing", situation(own=without(ALARM)), {Type.MONITORED: (Truth.FALSE, "Creating")}),
    *(
        (
            f"{type(error).__name__} may pass",
            situation(errors={FUNCTION: error}),
            {
                Type.READY: (Truth.FALSE, error.reason),
                Type.ROUTE_READY: (Truth.FALSE, error.reason),
                Type.ENDPOINT_READY: (Truth.TRUE, "InService"),
                Type.RECONCILING: (Truth.TRUE, error.reason),
                Type.STALLED: (Truth.FALSE, "NotStalled"),
            },
        )
        for error in (Transient("x"), Throttled("x"), Denied("x"), QuotaExceeded("x"), InProgress("x"))
    ),
    *(
        (
            f"{type(error).__name__} stays",
            situation(errors={ALARM: error}, own=without(ALARM)),
            {
                Type.READY: (Truth.FALSE, error.reason),
                Type.MONITORED: (Truth.FALSE, error.reason),
                Type.RECONCILING: (Truth.FALSE, error.reason),
                Type.STALLED: (Truth.TRUE, error.reason),
            },
        )
        for error in (NameConflict("x"), Invalid("x"))
    ),
    (
        "a problem that concerns no resource comes first",
        situation(problems=(Denied("ecr"),), own={}),
        {Type.READY: (Truth.FALSE, "AccessDenied"), Type.RECONCILING: (Truth.TRUE, "AccessDenied")},
    ),
]


@pytest.mark.parametrize(("seen", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_people_read(seen: Situation, expected: Mapping[Type, tuple[Truth, str]]) -> None:
    found = told(of_living(seen))
    assert {type_: (found[type_].truth, found[type_].reason) for type_ in expected} == expected
    assert list(found) == list(Type)


@pytest.mark.parametrize(
    ("seen", "type_", "parts", "reason"),
    [
        (
            situation(note="the ttl was cut"),
            Type.READY,
            ["answered", "the ttl was cut"],
            "a note goes with the good news",
        ),
        (situation(answered=False, answer="HTTP 503"), Type.READY, ["HTTP 503"], "what the URL said"),
        (SERVING, Type.IMAGE_READY, [DIGEST], "what is served"),
        (
            situation(own=endpoint(Phase.FAILED, detail="no ping"), last_lines=("ImportError", "exit 1")),
            Type.ENDPOINT_READY,
            ["no ping", "ImportError | exit 1"],
            "why it failed, as SageMaker and as the container say",
        ),
        (situation(own=endpoint(Phase.FAILED)), Type.READY, ["gave no reason"], "SageMaker may give no reason"),
        (
            situation(own=endpoint(Phase.FAILED), endpoints=tried(2)),
            Type.RECONCILING,
            ["tried 2 times, again at 12:01:00 UTC"],
            "when it is tried again, as a moment: the message stays the same until then",
        ),
        (
            situation(own=endpoint(Phase.BUSY, status="Creating"), endpoints=tried(2)),
            Type.ENDPOINT_READY,
            ["no ping (tried 2 times, and now again)"],
            "while it is tried again, why that has to be",
        ),
        (
            situation(own=endpoint(Phase.FAILED), endpoints=tried(5)),
            Type.STALLED,
            ["tried 5 times", "not again before", RECONCILE_AT_ANNOTATION],
            "what to do so that it is tried again",
        ),
        (
            situation(own=endpoint(Phase.BUSY), endpoints=Endpoints(stuck="it costs $1 an hour"), last_lines=("loop",)),
            Type.STALLED,
            ["it costs $1 an hour", "Its last lines: loop"],
            "what hangs, what that costs and why it may hang",
        ),
        (
            situation(endpoints=GIVEN_UP, own=endpoint(Phase.READY, "earlier", "bad health")),
            Type.ENDPOINT_READY,
            ["previous one goes on serving", "bad health"],
            "what serves now, and why",
        ),
        (
            situation(desired=NO_PATH, path_holder="nlp/older"),
            Type.ROUTE_READY,
            ["nlp/older", "spec.api.path"],
            "who has it and what to do",
        ),
        (situation(own=without(ENDPOINT)), Type.READY, [str(ENDPOINT)], "what is waited for"),
        (
            situation(errors={FUNCTION: Denied("no lambda:CreateFunction", operation="CreateFunction")}),
            Type.READY,
            ["CreateFunction: no lambda:CreateFunction"],
            "which call was refused",
        ),
    ],
)
def test_messages_say_what_is_the_matter(seen: Situation, type_: Type, parts: list[str], reason: str) -> None:
    message = told(of_living(seen))[type_].message
    assert [part for part in parts if part not in message] == [], reason


def test_what_a_container_printed_cannot_play_tricks_on_a_terminal_or_fill_the_object() -> None:
    hostile = ("\x1b[2Jcleared", "line\nbreak", "\u202eright to left", "\ud800", "x" * 10_000)
    for verdict in of_living(situation(own=endpoint(Phase.FAILED), last_lines=hostile)):
        assert verdict.message.isprintable()
        assert len(verdict.message) <= MESSAGE_LENGTH
        verdict.message.encode()


LEFT = (OWN[ENDPOINT], OWN[FUNCTION])


@pytest.mark.parametrize(
    ("left", "errors", "expected", "parts", "reason"),
    [
        (LEFT, (), {Type.RECONCILING: Truth.TRUE, Type.STALLED: Truth.FALSE}, [str(ENDPOINT)], "things are going"),
        ((), (), {Type.RECONCILING: Truth.FALSE, Type.STALLED: Truth.FALSE}, ["deleted"], "all is gone"),
        (LEFT, (InProgress("busy"),), {Type.RECONCILING: Truth.TRUE}, [str(FUNCTION)], "busy things are waited out"),
        (LEFT, (Denied("no right"),), {Type.RECONCILING: Truth.TRUE}, ["no right"], "rights are repaired outside"),
        (
            LEFT,
            (Throttled("slow"), NameConflict("not ours")),
            {Type.RECONCILING: Truth.FALSE, Type.STALLED: Truth.TRUE},
            [str(ENDPOINT)],
            "what is not ours is left for a person to judge",
        ),
    ],
)
def test_what_leaves_is_never_ready_and_says_what_is_left(
    left: tuple[Have, ...], errors: tuple[Problem, ...], expected: dict[Type, Truth], parts: list[str], reason: str
) -> None:
    found = told(of_leaving("Deleting", "everything is being deleted", left, errors))
    assert (found[Type.READY].truth, found[Type.READY].reason) == (Truth.FALSE, "Deleting")
    assert {type_: found[type_].truth for type_ in expected} == expected, reason
    assert all(part in found[Type.READY].message for part in parts)
    assert "busy" not in found[Type.READY].message


def test_an_object_without_a_class_waits_for_one() -> None:
    found = told(without_class("make it"))
    assert (found[Type.READY].truth, found[Type.READY].reason) == (Truth.FALSE, "ClassNotFound")
    assert found[Type.RECONCILING].truth is Truth.TRUE
    assert found[Type.STALLED].truth is Truth.FALSE


def test_without_aws_nobody_knows() -> None:
    found = told(without_account(Unauthenticated("expired")))
    assert found[Type.READY] == Verdict(Type.READY, Truth.UNKNOWN, "CredentialsUnavailable", "expired")
    assert found[Type.RECONCILING].truth is Truth.TRUE


def test_what_no_retry_helps_is_stalled_without_aws_too() -> None:
    found = told(without_account(WrongAccount("another one")))
    assert (found[Type.READY].truth, found[Type.READY].reason) == (Truth.UNKNOWN, "WrongAccount")
    assert (found[Type.STALLED].truth, found[Type.STALLED].message) == (Truth.TRUE, "another one")


KEPT = (Have(Key(Kind.MODEL, "m"), Phase.READY), Have(Key(Kind.ALARM, "a"), Phase.READY))


@pytest.mark.parametrize(
    ("problem", "reason", "reconciling", "stalled", "parts"),
    [
        (None, "Retained", False, False, ("it is over", "stays in AWS", "Alarm a, Model m")),
        (Denied("no"), "Retaining", True, False, ("in order to stay", "no", "Model m")),
        (Invalid("never"), "Retaining", False, True, ("never",)),
    ],
)
def test_what_is_retained_is_told_with_what_keeps_it_from_being_marked(
    problem: Problem | None,
    reason: str,
    reconciling: bool,  # noqa: FBT001 - a table's column
    stalled: bool,  # noqa: FBT001 - likewise
    parts: tuple[str, ...],
) -> None:
    found = told(of_retained("it is over", KEPT, is_marked=problem is None, problem=problem))
    assert (found[Type.READY].truth, found[Type.READY].reason) == (Truth.FALSE, reason)
    assert (found[Type.RECONCILING].truth is Truth.TRUE) is reconciling
    assert (found[Type.STALLED].truth is Truth.TRUE) is stalled
    assert all(part in found[Type.READY].message for part in parts)


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
    Situation,
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
    path_holder=st.sampled_from([None, "nlp/older"]),
    answered=st.sampled_from([None, False, True]),
    answer=st.text(max_size=20),
    last_lines=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    endpoints=st.sampled_from([Endpoints(), GIVEN_UP, tried(1), tried(5), Endpoints(stuck="long")]),
    note=st.text(max_size=20),
)


def assert_sound(verdicts: tuple[Verdict, ...]) -> None:
    found = told(verdicts)
    ready, reconciling, stalled = (found[each].truth for each in (Type.READY, Type.RECONCILING, Type.STALLED))
    assert (ready, reconciling, stalled).count(Truth.TRUE) <= 1
    assert ready is not Truth.TRUE or all(verdict.truth is Truth.TRUE for verdict in verdicts[3:])
    for verdict in verdicts:
        assert verdict.message
        assert verdict.message.isprintable()
        assert verdict.reason.isalnum()
        assert verdict.reason[0].isupper()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(SITUATIONS)
def test_whatever_happens_the_conditions_agree_with_one_another(seen: Situation) -> None:
    verdicts = of_living(seen)
    assert_sound(verdicts)
    found = told(verdicts)
    assert [found[each].truth for each in (Type.READY, Type.RECONCILING, Type.STALLED)].count(Truth.TRUE) == 1
    assert found[Type.READY].truth is not Truth.TRUE or seen.answered


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(list(OWN.values())), max_size=3), st.lists(ERRORS, max_size=3))
def test_the_conditions_of_what_leaves_agree_too(left: list[Have], errors: list[Problem]) -> None:
    assert_sound(of_leaving("Expired", "the time is over", left, errors))


@given(ERRORS)
def test_the_conditions_without_aws_agree_too(error: Problem) -> None:
    assert_sound(without_account(error))
