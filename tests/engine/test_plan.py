from dataclasses import replace

import pytest

from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, is_ready, plan, surplus
from ephemeral_endpoints.engine.resources import CREATING, DesiredResource, Key, ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.routing.specs import FUNCTION as FUNCTION_KIND
from ephemeral_endpoints.features.routing.specs import HTTP_API, INTEGRATION, FunctionSpec, HttpApiSpec, RouteSpec
from ephemeral_endpoints.features.routing.specs import ROUTE as ROUTE_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT as ENDPOINT_KIND
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT_CONFIG,
    SCALABLE_TARGET,
    EndpointSpec,
    ScalableTargetSpec,
)
from ephemeral_endpoints.features.serving.specs import MODEL as MODEL_KIND

LOGS = Key(LOG_GROUP, "logs")
MODEL = Key(MODEL_KIND, "e-1")
CONFIG, OLD_CONFIG = Key(ENDPOINT_CONFIG, "e-1-1"), Key(ENDPOINT_CONFIG, "e-0-0")
ENDPOINT = Key(ENDPOINT_KIND, "e")
API = Key(HTTP_API, "api")
ROUTE = Key(ROUTE_KIND, "api ANY /e")

WEEK, EVER = LogGroupSpec(7), LogGroupSpec(None)
NEW, OLD = EndpointSpec(CONFIG.name), EndpointSpec(OLD_CONFIG.name)
TO_US = RouteSpec(API, "ANY /e", Key(INTEGRATION, "e"))
ELSEWHERE = RouteSpec(API, "ANY /e", None)

LOGS_WANTED = DesiredResource(LOGS, WEEK)
ENDPOINT_WANTED = DesiredResource(ENDPOINT, NEW, frozenset({CONFIG}))
ROUTE_WANTED = DesiredResource(ROUTE, TO_US, frozenset({API}))

LOGS_THERE = ObservedResource(LOGS, Phase.READY, WEEK)
LOGS_DRIFTED = ObservedResource(LOGS, Phase.READY, EVER)
CONFIG_THERE = ObservedResource(CONFIG, Phase.READY)
OLD_CONFIG_THERE = ObservedResource(OLD_CONFIG, Phase.READY)
API_THERE = ObservedResource(API, Phase.READY, HttpApiSpec())
ROUTE_ELSEWHERE = ObservedResource(ROUTE, Phase.READY, RouteSpec(API, "ANY /pr", None))
USES_OLD = frozenset({OLD_CONFIG})


FUNCTION = Key(FUNCTION_KIND, "e")
OTHER_ENDPOINT = Key(ENDPOINT_KIND, "e-2")
OLD_FUNCTION = ObservedResource(FUNCTION, Phase.READY, FunctionSpec("old", "role", "python", "handler", 512, 30))
FUNCTION_WANTED = DesiredResource(
    FUNCTION,
    FunctionSpec("new", "role", "python", "handler", 512, 30),
    update_needs=frozenset({ENDPOINT}),
    replaces=frozenset({ENDPOINT_KIND}),
)
CONFIG_WANTED = DesiredResource(CONFIG, NEW)
RECREATED = DesiredResource(ENDPOINT, EndpointSpec(CONFIG.name, recreates=True), frozenset({CONFIG}))
SCALING = Key(SCALABLE_TARGET, "endpoint/e/variant/main")
LARGE = ScalableTargetSpec(ENDPOINT, "main", "ml.m5.large", (1, 2), None)
SCALED = ObservedResource(SCALING, Phase.READY, LARGE, uses=frozenset({ENDPOINT}))
SCALING_WANTED = DesiredResource(SCALING, LARGE, frozenset({ENDPOINT}), after=frozenset({ENDPOINT}))
UNSCALED = DesiredResource(
    SCALING, ScalableTargetSpec(ENDPOINT, "main", "ml.m5.xlarge", (1, 2), None), after=frozenset({ENDPOINT})
)


def endpoint(phase: Phase, spec: EndpointSpec | None, *uses: Key) -> ObservedResource:
    return ObservedResource(ENDPOINT, phase, spec, uses=frozenset(uses))


def wanting(
    *resources: DesiredResource, keep_kinds: frozenset[ResourceKind] = frozenset(), retry: frozenset[Key] = frozenset()
) -> DesiredState:
    return DesiredState(resources, keep_kinds, retry)


CASES: list[tuple[str, DesiredState, list[ObservedResource], list[ObservedResource], list[Step]]] = [
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
    ("a need that is busy is not ready", wanting(ENDPOINT_WANTED), [ObservedResource(CONFIG, Phase.BUSY)], [], []),
    (
        "a need that is going away is not ready",
        wanting(ENDPOINT_WANTED, DesiredResource(CONFIG, NEW)),
        [ObservedResource(CONFIG, Phase.DELETING)],
        [],
        [],
    ),
    ("a need may be another's", wanting(ROUTE_WANTED), [], [API_THERE], [Create(ROUTE_WANTED)]),
    (
        "what comes after another in a change waits for that to be as wanted",
        wanting(LOGS_WANTED, replace(ROUTE_WANTED, update_after=frozenset({LOGS_WANTED.key}))),
        [LOGS_DRIFTED, ROUTE_ELSEWHERE],
        [API_THERE],
        [Update(LOGS_WANTED, LOGS_DRIFTED)],
    ),
    (
        "it is made at once",
        wanting(LOGS_WANTED, replace(ROUTE_WANTED, update_after=frozenset({LOGS_WANTED.key}))),
        [LOGS_DRIFTED],
        [API_THERE],
        [
            Update(LOGS_WANTED, LOGS_DRIFTED),
            Create(replace(ROUTE_WANTED, update_after=frozenset({LOGS_WANTED.key}))),
        ],
    ),
    (
        "and waits for nothing that is not wanted",
        wanting(replace(ROUTE_WANTED, update_after=frozenset({LOGS_WANTED.key}))),
        [ROUTE_ELSEWHERE],
        [API_THERE],
        [Update(replace(ROUTE_WANTED, update_after=frozenset({LOGS_WANTED.key})), ROUTE_ELSEWHERE)],
    ),
    ("nothing is changed towards what is not there", wanting(ENDPOINT_WANTED), [endpoint(Phase.READY, OLD)], [], []),
    (
        "a rollout begins once the new configuration is there, and the old one stays for as long as it serves",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "a busy endpoint is waited out, and what it may still use is kept",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.BUSY, NEW, CONFIG, OLD_CONFIG)],
        [],
        [],
    ),
    (
        "the old configuration goes when the new one serves",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, NEW, CONFIG)],
        [],
        [Delete(OLD_CONFIG_THERE)],
    ),
    (
        "a failed endpoint cannot be updated: it is replaced",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
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
        wanting(ENDPOINT_WANTED, retry=frozenset({ENDPOINT})),
        [CONFIG_THERE, endpoint(Phase.FAILED, NEW, CONFIG)],
        [],
        [Delete(endpoint(Phase.FAILED, NEW, CONFIG))],
    ),
    (
        "what does well is not tried again",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED, retry=frozenset({ENDPOINT})),
        [CONFIG_THERE, endpoint(Phase.READY, NEW, CONFIG)],
        [],
        [],
    ),
    (
        "an impaired endpoint can be updated",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, endpoint(Phase.IMPAIRED, OLD)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.IMPAIRED, OLD))],
    ),
    (
        "an impaired endpoint that is as wanted is left alone",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
        [CONFIG_THERE, endpoint(Phase.IMPAIRED, NEW)],
        [],
        [],
    ),
    (
        "an impaired endpoint is updated to the same when it is to be tried again",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED, retry=frozenset({ENDPOINT})),
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
        [ObservedResource(LOGS, Phase.FAILED, EVER), endpoint(Phase.DELETING, OLD, LOGS)],
        [],
        [],
    ),
    (
        "what is going away is not made anew before it is gone",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED),
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
        [ObservedResource(ROUTE, Phase.READY, TO_US, uses=frozenset({API}))],
        [],
    ),
    ("another's things are not deleted", wanting(), [], [LOGS_THERE], []),
    ("another's things are not changed, wanted or not", wanting(LOGS_WANTED), [], [LOGS_DRIFTED], []),
    ("another's things are not replaced", wanting(LOGS_WANTED), [], [ObservedResource(LOGS, Phase.FAILED, EVER)], []),
    (
        "a held kind is not deleted",
        wanting(keep_kinds=frozenset({ENDPOINT_KIND})),
        [endpoint(Phase.READY, OLD)],
        [],
        [],
    ),
    (
        "immutable resources are identified by their names: a list need not show their content",
        wanting(DesiredResource(CONFIG, NEW)),
        [CONFIG_THERE],
        [],
        [],
    ),
    (
        "a route that leads elsewhere is led back",
        wanting(ROUTE_WANTED),
        [ObservedResource(ROUTE, Phase.READY, ELSEWHERE)],
        [API_THERE],
        [Update(ROUTE_WANTED, ObservedResource(ROUTE, Phase.READY, ELSEWHERE))],
    ),
    (
        "a twin, which only another hand can have made, goes",
        wanting(ROUTE_WANTED),
        [
            ObservedResource(ROUTE, Phase.READY, TO_US),
            ObservedResource(Key(ROUTE_KIND, f"{ROUTE.name}#r2"), Phase.READY, TO_US),
        ],
        [API_THERE],
        [Delete(ObservedResource(Key(ROUTE_KIND, f"{ROUTE.name}#r2"), Phase.READY, TO_US))],
    ),
    (
        "nothing is led to an endpoint that does not serve yet, nor is one taken away that is led to",
        wanting(FUNCTION_WANTED, DesiredResource(ENDPOINT, OLD)),
        [
            OLD_FUNCTION,
            ObservedResource(ENDPOINT, Phase.BUSY, OLD, status=CREATING),
            ObservedResource(OTHER_ENDPOINT, Phase.READY, OLD),
        ],
        [],
        [],
    ),
    (
        "an endpoint in update serves, and what it replaces stays until nothing leads there",
        wanting(FUNCTION_WANTED, DesiredResource(ENDPOINT, OLD)),
        [
            OLD_FUNCTION,
            ObservedResource(ENDPOINT, Phase.BUSY, OLD, status="Updating"),
            ObservedResource(OTHER_ENDPOINT, Phase.READY, OLD),
        ],
        [],
        [Update(FUNCTION_WANTED, OLD_FUNCTION)],
    ),
    (
        "what is replaced goes",
        wanting(FUNCTION_WANTED),
        [
            ObservedResource(FUNCTION, Phase.READY, FUNCTION_WANTED.spec),
            ObservedResource(OTHER_ENDPOINT, Phase.READY, OLD),
        ],
        [],
        [Delete(ObservedResource(OTHER_ENDPOINT, Phase.READY, OLD))],
    ),
    ("a function is made while its endpoints are", wanting(FUNCTION_WANTED), [], [], [Create(FUNCTION_WANTED)]),
    (
        "an endpoint that is recreated goes, although it serves",
        wanting(CONFIG_WANTED, RECREATED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG)],
        [],
        [Delete(endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "its autoscaling goes before it",
        wanting(CONFIG_WANTED, RECREATED, SCALING_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG), SCALED],
        [],
        [Delete(SCALED)],
    ),
    (
        "while it goes nothing is made",
        wanting(CONFIG_WANTED, RECREATED, SCALING_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.DELETING, None, OLD_CONFIG)],
        [],
        [],
    ),
    (
        "then it is made with the new configuration",
        wanting(CONFIG_WANTED, RECREATED, SCALING_WANTED),
        [CONFIG_THERE],
        [],
        [Create(RECREATED)],
    ),
    (
        "an endpoint that has been recreated stays",
        wanting(CONFIG_WANTED, RECREATED),
        [CONFIG_THERE, endpoint(Phase.READY, NEW, CONFIG)],
        [],
        [],
    ),
    (
        "autoscaling goes before the instance type changes under it",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED, UNSCALED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG), SCALED],
        [],
        [Delete(SCALED)],
    ),
    (
        "autoscaling comes back when the endpoint is as wanted, not before",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED, UNSCALED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG)],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "autoscaling on the same type stays during a rollout",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED, SCALING_WANTED),
        [CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.READY, OLD, OLD_CONFIG), SCALED],
        [],
        [Update(ENDPOINT_WANTED, endpoint(Phase.READY, OLD, OLD_CONFIG))],
    ),
    (
        "autoscaling goes before the failed endpoint that it scales",
        wanting(DesiredResource(CONFIG, NEW), ENDPOINT_WANTED, SCALING_WANTED),
        [CONFIG_THERE, endpoint(Phase.FAILED, OLD), SCALED],
        [],
        [Delete(SCALED)],
    ),
]


@pytest.mark.parametrize(
    ("wanted", "own", "others", "steps"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_next_steps(
    wanted: DesiredState, own: list[ObservedResource], others: list[ObservedResource], steps: list[Step]
) -> None:
    found = plan(wanted, {observed.key: observed for observed in own}, {observed.key: observed for observed in others})
    assert list(found) == steps


def test_a_step_acts_on_the_key_of_its_resource() -> None:
    assert Create(LOGS_WANTED).key == Update(LOGS_WANTED, LOGS_DRIFTED).key == Delete(LOGS_DRIFTED).key == LOGS


@pytest.mark.parametrize(
    ("observed", "ready", "reason"),
    [
        (None, False, "not there"),
        (LOGS_THERE, True, "there and as wanted"),
        (LOGS_DRIFTED, False, "something is left to change"),
        (ObservedResource(LOGS, Phase.BUSY, WEEK), False, "on its way"),
        (ObservedResource(LOGS, Phase.FAILED, WEEK), False, "failed"),
        (ObservedResource(LOGS, Phase.DELETING, WEEK), False, "going"),
    ],
)
def test_ready_is_there_and_as_wanted(observed: ObservedResource | None, ready: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    assert is_ready(LOGS_WANTED, {LOGS: observed} if observed else {}) is ready, reason


def test_surplus_is_what_is_neither_wanted_nor_held() -> None:
    own = {
        observed.key: observed for observed in (LOGS_THERE, CONFIG_THERE, OLD_CONFIG_THERE, endpoint(Phase.BUSY, OLD))
    }
    found = surplus(wanting(DesiredResource(CONFIG, NEW), keep_kinds=frozenset({ENDPOINT_KIND})), own)
    assert found == (LOGS_THERE, OLD_CONFIG_THERE)
