import pytest

from ephemeral_endpoints.core.plan import Create, Delete, Desired, Step, Update, is_ready, plan, surplus
from ephemeral_endpoints.core.resources import (
    CREATING,
    EndpointSpec,
    FunctionSpec,
    Have,
    HttpApiSpec,
    Key,
    Kind,
    LogGroupSpec,
    Phase,
    RouteSpec,
    ScalableTargetSpec,
    Want,
)

LOGS = Key(Kind.LOG_GROUP, "logs")
MODEL = Key(Kind.MODEL, "e-1")
CONFIG, OLD_CONFIG = Key(Kind.ENDPOINT_CONFIG, "e-1-1"), Key(Kind.ENDPOINT_CONFIG, "e-0-0")
ENDPOINT = Key(Kind.ENDPOINT, "e")
API = Key(Kind.HTTP_API, "api")
ROUTE = Key(Kind.ROUTE, "api ANY /e")

WEEK, EVER = LogGroupSpec(7), LogGroupSpec(None)
NEW, OLD = EndpointSpec(CONFIG.name), EndpointSpec(OLD_CONFIG.name)
TO_US = RouteSpec(API, "ANY /e", Key(Kind.INTEGRATION, "e"))
ELSEWHERE = RouteSpec(API, "ANY /e", None)

LOGS_WANTED = Want(LOGS, WEEK)
ENDPOINT_WANTED = Want(ENDPOINT, NEW, frozenset({CONFIG}))
ROUTE_WANTED = Want(ROUTE, TO_US, frozenset({API}))

LOGS_THERE = Have(LOGS, Phase.READY, WEEK)
LOGS_DRIFTED = Have(LOGS, Phase.READY, EVER)
CONFIG_THERE = Have(CONFIG, Phase.READY)
OLD_CONFIG_THERE = Have(OLD_CONFIG, Phase.READY)
API_THERE = Have(API, Phase.READY, HttpApiSpec())
USES_OLD = frozenset({OLD_CONFIG})


FUNCTION = Key(Kind.FUNCTION, "e")
OTHER_ENDPOINT = Key(Kind.ENDPOINT, "e-2")
OLD_FUNCTION = Have(FUNCTION, Phase.READY, FunctionSpec("old", "role", "python", "handler", 512, 30))
FUNCTION_WANTED = Want(
    FUNCTION,
    FunctionSpec("new", "role", "python", "handler", 512, 30),
    update_needs=frozenset({ENDPOINT}),
    replaces=frozenset({Kind.ENDPOINT}),
)
SCALING = Key(Kind.SCALABLE_TARGET, "endpoint/e/variant/main")
LARGE = ScalableTargetSpec(ENDPOINT, "main", "ml.m5.large", (1, 2), None)
SCALED = Have(SCALING, Phase.READY, LARGE, uses=frozenset({ENDPOINT}))
SCALING_WANTED = Want(SCALING, LARGE, frozenset({ENDPOINT}), after=frozenset({ENDPOINT}))
UNSCALED = Want(
    SCALING, ScalableTargetSpec(ENDPOINT, "main", "ml.m5.xlarge", (1, 2), None), after=frozenset({ENDPOINT})
)


def endpoint(phase: Phase, spec: EndpointSpec | None, *uses: Key) -> Have:
    return Have(ENDPOINT, phase, spec, uses=frozenset(uses))


def wanting(*wants: Want, hold: frozenset[Kind] = frozenset(), renew: frozenset[Key] = frozenset()) -> Desired:
    return Desired(wants, hold, renew)


CASES: list[tuple[str, Desired, list[Have], list[Have], list[Step]]] = [
    ("what is missing and needs nothing is made", wanting(LOGS_WANTED), [], [], [Create(LOGS_WANTED)]),
    ("what is as wanted is left alone", wanting(LOGS_WANTED), [LOGS_THERE], [], []),
    (
        "what was changed by hand is changed back",
        wanting(LOGS_WANTED),
        [LOGS_DRIFTED],
        [],
        [Update(LOGS_WANTED, LOGS_DRIFTED)],
    ),
    ("nothing is made before what it needs", wanting(ENDPOINT_WANTED), [], [], []),
    ("a need that is busy is not ready", wanting(ENDPOINT_WANTED), [Have(CONFIG, Phase.BUSY)], [], []),
    (
        "a need that is going away is not ready",
        wanting(ENDPOINT_WANTED, Want(CONFIG, NEW)),
        [Have(CONFIG, Phase.DELETING)],
        [],
        [],
    ),
    ("a need may be another's", wanting(ROUTE_WANTED), [], [API_THERE], [Create(ROUTE_WANTED)]),
    ("nothing is changed towards what is not there", wanting(ENDPOINT_WANTED), [endpoint(Phase.READY, OLD)], [], []),
    (
        "a rollout begins once the new configuration is there, and the old one stays for as long as it serves",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "a busy endpoint is waited out, and what it may still use is kept",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.BUSY, NEW, CONFIG, OLD_CONFIG)],
        [],
        [],
    ),
    (
        "the old configuration goes when the new one serves",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, NEW, CONFIG)],
        [],
        [Delete(OLD_CONFIG_THERE)],
    ),
    (
        "a failed endpoint cannot be updated: it is replaced",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, endpoint(Phase.FAILED, OLD)],
        [],
        [Delete(endpoint(Phase.FAILED, OLD))],
    ),
    (
        "what failed as wanted would fail again: it stays for its reason to be read",
        wanting(ENDPOINT_WANTED),
        [endpoint(Phase.FAILED, NEW)],
        [],
        [],
    ),
    (
        "what failed as wanted goes when it is to be tried again",
        wanting(ENDPOINT_WANTED, renew=frozenset({ENDPOINT})),
        [CONFIG_THERE, endpoint(Phase.FAILED, NEW, CONFIG)],
        [],
        [Delete(endpoint(Phase.FAILED, NEW, CONFIG))],
    ),
    (
        "what does well is not tried again",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED, renew=frozenset({ENDPOINT})),
        [CONFIG_THERE, endpoint(Phase.READY, NEW, CONFIG)],
        [],
        [],
    ),
    (
        "an impaired endpoint can be updated",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, endpoint(Phase.IMPAIRED, OLD)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.IMPAIRED, OLD))],
    ),
    (
        "an impaired endpoint that is as wanted is left alone",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, endpoint(Phase.IMPAIRED, NEW)],
        [],
        [],
    ),
    (
        "an impaired endpoint is updated to the same when it is to be tried again",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED, renew=frozenset({ENDPOINT})),
        [CONFIG_THERE, endpoint(Phase.IMPAIRED, NEW)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.IMPAIRED, NEW))],
    ),
    (
        "an impaired endpoint that is not wanted goes",
        wanting(),
        [endpoint(Phase.IMPAIRED, OLD)],
        [],
        [Delete(endpoint(Phase.IMPAIRED, OLD))],
    ),
    (
        "what failed is not replaced while something uses it",
        wanting(LOGS_WANTED),
        [Have(LOGS, Phase.FAILED, EVER), endpoint(Phase.DELETING, OLD, LOGS)],
        [],
        [],
    ),
    (
        "what is going away is not made anew before it is gone",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, endpoint(Phase.DELETING, NEW)],
        [],
        [],
    ),
    ("what is not wanted goes", wanting(), [LOGS_THERE], [], [Delete(LOGS_THERE)]),
    (
        "what failed and is not wanted goes",
        wanting(),
        [endpoint(Phase.FAILED, OLD)],
        [],
        [Delete(endpoint(Phase.FAILED, OLD))],
    ),
    ("a busy endpoint cannot be deleted", wanting(), [endpoint(Phase.BUSY, OLD)], [], []),
    ("a deletion is triggered once", wanting(), [endpoint(Phase.DELETING, OLD)], [], []),
    (
        "what is used outlives its user",
        wanting(),
        [OLD_CONFIG_THERE, endpoint(Phase.DELETING, OLD, OLD_CONFIG)],
        [],
        [],
    ),
    (
        "what another uses outlives its user",
        wanting(),
        [API_THERE],
        [Have(ROUTE, Phase.READY, TO_US, uses=frozenset({API}))],
        [],
    ),
    ("another's things are not deleted", wanting(), [], [LOGS_THERE], []),
    ("another's things are not changed, wanted or not", wanting(LOGS_WANTED), [], [LOGS_DRIFTED], []),
    ("another's things are not replaced", wanting(LOGS_WANTED), [], [Have(LOGS, Phase.FAILED, EVER)], []),
    ("a held kind is not deleted", wanting(hold=frozenset({Kind.ENDPOINT})), [endpoint(Phase.READY, OLD)], [], []),
    (
        "immutable things are told by their names: a list need not show their content",
        wanting(Want(CONFIG, NEW)),
        [CONFIG_THERE],
        [],
        [],
    ),
    (
        "a route that leads elsewhere is led back",
        wanting(ROUTE_WANTED),
        [Have(ROUTE, Phase.READY, ELSEWHERE)],
        [API_THERE],
        [Update(ROUTE_WANTED, Have(ROUTE, Phase.READY, ELSEWHERE))],
    ),
    (
        "a twin, which only another hand can have made, goes",
        wanting(ROUTE_WANTED),
        [Have(ROUTE, Phase.READY, TO_US), Have(Key(Kind.ROUTE, f"{ROUTE.name}#r2"), Phase.READY, TO_US)],
        [API_THERE],
        [Delete(Have(Key(Kind.ROUTE, f"{ROUTE.name}#r2"), Phase.READY, TO_US))],
    ),
    (
        "nothing is led to an endpoint that does not serve yet, nor is one taken away that is led to",
        wanting(FUNCTION_WANTED, Want(ENDPOINT, OLD)),
        [OLD_FUNCTION, Have(ENDPOINT, Phase.BUSY, OLD, status=CREATING), Have(OTHER_ENDPOINT, Phase.READY, OLD)],
        [],
        [],
    ),
    (
        "an endpoint in update serves, and what it replaces stays until nothing leads there",
        wanting(FUNCTION_WANTED, Want(ENDPOINT, OLD)),
        [OLD_FUNCTION, Have(ENDPOINT, Phase.BUSY, OLD, status="Updating"), Have(OTHER_ENDPOINT, Phase.READY, OLD)],
        [],
        [Update(FUNCTION_WANTED, OLD_FUNCTION)],
    ),
    (
        "what is replaced goes",
        wanting(FUNCTION_WANTED),
        [Have(FUNCTION, Phase.READY, FUNCTION_WANTED.spec), Have(OTHER_ENDPOINT, Phase.READY, OLD)],
        [],
        [Delete(Have(OTHER_ENDPOINT, Phase.READY, OLD))],
    ),
    ("a function is made while its endpoints are", wanting(FUNCTION_WANTED), [], [], [Create(FUNCTION_WANTED)]),
    (
        "autoscaling goes before the instance type changes under it",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED, UNSCALED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG), SCALED],
        [],
        [Delete(SCALED)],
    ),
    (
        "autoscaling comes back when the endpoint is as wanted, not before",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED, UNSCALED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "autoscaling on the same type stays during a rollout",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED, SCALING_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG), SCALED],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "autoscaling goes before the failed endpoint that it scales",
        wanting(Want(CONFIG, NEW), ENDPOINT_WANTED, SCALING_WANTED),
        [CONFIG_THERE, endpoint(Phase.FAILED, OLD), SCALED],
        [],
        [Delete(SCALED)],
    ),
]


@pytest.mark.parametrize(
    ("wanted", "own", "others", "steps"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_next_steps(wanted: Desired, own: list[Have], others: list[Have], steps: list[Step]) -> None:
    found = plan(wanted, {have.key: have for have in own}, {have.key: have for have in others})
    assert list(found) == steps


def test_a_step_acts_on_the_key_of_its_resource() -> None:
    assert Create(LOGS_WANTED).key == Update(LOGS_WANTED, LOGS_DRIFTED).key == Delete(LOGS_DRIFTED).key == LOGS


@pytest.mark.parametrize(
    ("have", "ready", "reason"),
    [
        (None, False, "not there"),
        (LOGS_THERE, True, "there and as wanted"),
        (LOGS_DRIFTED, False, "something is left to change"),
        (Have(LOGS, Phase.BUSY, WEEK), False, "on its way"),
        (Have(LOGS, Phase.FAILED, WEEK), False, "failed"),
        (Have(LOGS, Phase.DELETING, WEEK), False, "going"),
    ],
)
def test_ready_is_there_and_as_wanted(have: Have | None, ready: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert is_ready(LOGS_WANTED, {LOGS: have} if have else {}) is ready, reason


def test_surplus_is_what_is_neither_wanted_nor_held() -> None:
    own = {have.key: have for have in (LOGS_THERE, CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.BUSY, OLD))}
    found = surplus(wanting(Want(CONFIG, NEW), hold=frozenset({Kind.ENDPOINT})), own)
    assert found == (LOGS_THERE, OLD_CONFIG_THERE)
