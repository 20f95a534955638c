from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.controllers.orphans.policy import (
    Breaker,
    Sighting,
    are_users_listed,
    is_kept_by,
    is_mature,
    is_within,
    orphans,
    remaining,
    sightings,
)
from ephemeral_endpoints.engine.holders import Holder, holder, latest
from ephemeral_endpoints.engine.names import Names, endpoint_logs, owner_hash
from ephemeral_endpoints.engine.ownership import is_ours
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase, ResourceKind
from ephemeral_endpoints.engine.tags import CLUSTER, NAME, NAMESPACE, UID
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.specs import FUNCTION, HTTP_API, IntegrationSpec, RouteSpec, route_key_name
from ephemeral_endpoints.features.routing.specs import INTEGRATION as INTEGRATION_KIND
from ephemeral_endpoints.features.routing.specs import ROUTE as ROUTE_KIND
from ephemeral_endpoints.features.serving.specs import ENDPOINT, ENDPOINT_CONFIG
from ephemeral_endpoints.features.serving.specs import MODEL as MODEL_KIND

CLUSTER_ID = "c1"
NAMES = Names(CLUSTER_ID, "pr-42", "uid-1")
API = Key(HTTP_API, "eep-c1-default-api-abcdefghij")
INTEGRATION = Key(INTEGRATION_KIND, NAMES.base)
OURS = {CLUSTER: CLUSTER_ID, UID: "uid-1"}

MODEL = ObservedResource(Key(MODEL_KIND, NAMES.immutable("a" * 6, "b" * 26)), Phase.READY, owner=NAMES.owner)
LOGS = ObservedResource(Key(LOG_GROUP, endpoint_logs(NAMES.base)), Phase.READY, owner=NAMES.owner)
INTEGRATED = ObservedResource(
    INTEGRATION,
    Phase.READY,
    spec=IntegrationSpec(API, Key(FUNCTION, NAMES.base), "role"),
    id="i1",
    owner=NAMES.owner,
)


def route(integration: Key | None, owner: str | None) -> ObservedResource:
    key = Key(ROUTE_KIND, route_key_name(API, "ANY /pr-42"))
    return ObservedResource(key, Phase.READY, spec=RouteSpec(API, "ANY /pr-42", integration), id="r1", owner=owner)


ROUTE = route(INTEGRATION, NAMES.owner)
TO_NOTHING = route(None, None)
TO_ELSEWHERE = route(Key(INTEGRATION_KIND, "billing"), None)


def known(*observed_resources: ObservedResource) -> dict[Key, ObservedResource]:
    return {observed.key: observed for observed in observed_resources}


@pytest.mark.parametrize(
    ("observed", "owners", "expected", "reason"),
    [
        (MODEL, set(), True, "nobody is live"),
        (MODEL, {NAMES.owner}, False, "its object is"),
        (MODEL, {owner_hash("uid-2")}, True, "another object is"),
        (replace(MODEL, owner=None), set(), False, "a name that is not one of ours"),
        (ROUTE, set(), True, "it leads to what a dead object had"),
        (ROUTE, {NAMES.owner}, False, "it leads to what a living object has"),
        (TO_NOTHING, {NAMES.owner}, True, "it is in everybody's way"),
        (TO_ELSEWHERE, set(), False, "somebody made it by hand"),
    ],
)
def test_an_orphan_has_an_owner_that_does_not_live(
    observed: ObservedResource,
    owners: set[str],
    expected: bool,  # noqa: FBT001 - a column of the table
    reason: str,
) -> None:
    assert (orphans(known(observed), owners) == (observed,)) is expected, reason


@pytest.mark.parametrize(
    ("observed", "tags", "expected", "reason"),
    [
        (MODEL, OURS, True, "cluster and object are named"),
        (MODEL, OURS | {"CostCenter": "7"}, True, "what others added does not matter"),
        (MODEL, OURS | {CLUSTER: "c2"}, False, "another cluster's"),
        (MODEL, OURS | {UID: "uid-2"}, False, "the name was made for another object than the tags say"),
        (MODEL, {CLUSTER: CLUSTER_ID}, False, "no object is named"),
        (MODEL, {}, False, "somebody else made it under a name like ours"),
        (LOGS, OURS, True, "made by us"),
        (LOGS, {}, True, "made again by a service, by late logs"),
        (LOGS, {"aws:cloudformation:stack-name": "x"}, True, "only what AWS itself notes"),
        (LOGS, {"Owner": "somebody"}, False, "somebody cares for it"),
        (LOGS, OURS | {CLUSTER: "c2"}, False, "another cluster's"),
        (replace(LOGS, owner=None), {}, False, "a name that is not one of ours"),
        (INTEGRATED, None, True, "it leads to a function with a name of ours"),
        (replace(INTEGRATED, owner=None), None, False, "it leads elsewhere"),
        (ROUTE, None, True, "it leads to an integration of ours"),
        (TO_NOTHING, None, True, "it leads to nothing"),
        (TO_ELSEWHERE, None, False, "it leads elsewhere"),
    ],
)
def test_what_is_ours_says_so_by_name_and_tags(
    observed: ObservedResource,
    tags: Mapping[str, str] | None,
    expected: bool,  # noqa: FBT001 - a column of a table
    reason: str,
) -> None:
    assert is_ours(observed, tags, CLUSTER_ID) is expected, reason


@dataclass(frozen=True, kw_only=True)
class Case:
    observed: ObservedResource
    tags: Mapping[str, str] | None
    retained: set[str]
    expected: bool


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(observed=ROUTE, tags=None, retained={NAMES.owner}, expected=True), id="AWS cannot tag it"),
        pytest.param(Case(observed=LOGS, tags={}, retained={NAMES.owner}, expected=True), id="a service made it again"),
        pytest.param(
            Case(observed=MODEL, tags=OURS, retained={NAMES.owner}, expected=False),
            id="it could say so itself and does not",
        ),
        pytest.param(
            Case(observed=ROUTE, tags=None, retained={"bcdefghijk"}, expected=False),
            id="another owner's things were retained",
        ),
        pytest.param(Case(observed=ROUTE, tags=None, retained=set(), expected=False), id="nothing was retained"),
    ],
)
def test_what_cannot_say_that_it_stays_stays_with_what_can(case: Case) -> None:
    assert is_kept_by(case.observed, case.tags, case.retained) is case.expected


@pytest.mark.parametrize(
    ("listed", "expected", "reason"),
    [
        (None, False, "the kind was never listed"),
        (99.0, False, "the list is older than the sighting"),
        (109.9, False, "too young"),
        (110.0, True, "a list still showed it after the least age"),
    ],
)
def test_an_orphan_is_mature_when_a_list_still_showed_it_after_the_least_age(
    listed: float | None,
    expected: bool,  # noqa: FBT001 - a column of a table
    reason: str,
) -> None:
    seen = sightings({}, [MODEL], now=100.0)
    assert is_mature(MODEL, seen, {MODEL_KIND: listed}.get, 10.0) == expected, reason


@pytest.mark.parametrize(
    ("listed", "expected", "reason"),
    [
        ({MODEL_KIND: 1.0, ENDPOINT_CONFIG: 2.0, ENDPOINT: 3.0}, True, "each after the one that it refers to"),
        ({MODEL_KIND: 1.0, ENDPOINT_CONFIG: 1.0, ENDPOINT: 1.0}, True, "all at once"),
        ({MODEL_KIND: 4.0, ENDPOINT_CONFIG: 5.0, ENDPOINT: 3.0}, False, "an endpoint may have been made meanwhile"),
        ({MODEL_KIND: 4.0, ENDPOINT_CONFIG: 5.0}, False, "no endpoint was ever listed"),
        ({MODEL_KIND: 1.0, ENDPOINT_CONFIG: 2.0, ENDPOINT: 3.0, ROUTE_KIND: 0.0}, True, "no route refers to a model"),
    ],
)
def test_the_users_of_a_resource_are_known_once_all_kinds_that_refer_to_it_were_listed_after_it(
    listed: Mapping[ResourceKind, float],
    expected: bool,  # noqa: FBT001 - a column of a table
    reason: str,
) -> None:
    kinds = (MODEL_KIND, ENDPOINT_CONFIG, ENDPOINT, ROUTE_KIND)
    assert are_users_listed(MODEL_KIND, kinds, listed.get) is expected, reason


def test_what_is_being_deleted_needs_no_deletion() -> None:
    terminating = replace(MODEL, phase=Phase.DELETING)
    assert remaining([terminating]) == []


def test_resources_whose_tags_name_the_owner_come_first() -> None:
    assert remaining([ROUTE, INTEGRATED, MODEL, LOGS]) == [MODEL, LOGS, INTEGRATED, ROUTE]


@pytest.mark.parametrize(
    ("second", "age", "reason"),
    [
        ([MODEL], 10.0, "seen in both rounds"),
        ([replace(MODEL, phase=Phase.BUSY)], 10.0, "a change of state does not make another thing of it"),
        ([replace(MODEL, id="other")], 0.0, "made anew under the same name"),
        ([replace(MODEL, owner="bcdefghijk")], 0.0, "somebody else's now, as a route can be"),
    ],
)
def test_age_counts_from_the_first_sighting_of_the_same_thing(
    second: list[ObservedResource], age: float, reason: str
) -> None:
    seen = sightings(sightings({}, [MODEL], 100.0), second, 110.0)
    assert 110.0 - seen[Sighting.of(second[0])] == age, reason


def test_what_was_away_meanwhile_begins_anew() -> None:
    first = sightings({}, [MODEL], 100.0)
    assert sightings(sightings(first, [], 110.0), [MODEL], 120.0) == {Sighting.of(MODEL): 120.0}


ROUNDS = st.lists(st.tuples(st.floats(0.1, 100), st.booleans()), min_size=1, max_size=20)


@given(rounds=ROUNDS, min_age=st.floats(1, 200))
def test_nothing_is_mature_that_was_not_an_orphan_in_every_round_for_the_least_age(
    rounds: list[tuple[float, bool]], min_age: float
) -> None:
    now, since, seen = 0.0, None, sightings({}, [], 0.0)
    for passed, there in rounds:
        now += passed
        found = [MODEL] if there else []
        since = (now if since is None else since) if there else None
        seen = sightings(seen, found, now)
        listed_at = now  # as late as it can be
        reported = [is_mature(observed, seen, {MODEL_KIND: listed_at}.get, min_age) for observed in found]
        assert reported == [listed_at >= since + min_age for _ in found if since is not None]


@pytest.mark.parametrize(
    ("tags", "expected", "reason"),
    [
        ({NAMESPACE: "nlp", NAME: "pr-42"}, Holder("nlp", "pr-42"), "an object's"),
        ({NAME: "default"}, Holder("", "default"), "a class's"),
        ({}, None, "a log group that a service made"),
    ],
)
def test_tags_name_the_former_owner(tags: Mapping[str, str], expected: Holder | None, reason: str) -> None:
    assert holder(tags) == expected, reason


@pytest.mark.parametrize(
    ("of", "namespaces", "expected", "reason"),
    [
        (Holder("nlp", "pr-42"), (), True, "everything is watched"),
        (None, (), True, "everything is watched"),
        (Holder("nlp", "pr-42"), ("cv", "nlp"), True, "its namespace is watched"),
        (Holder("nlp", "pr-42"), ("cv",), False, "its object may live there"),
        (Holder("", "default"), ("cv",), False, "what a class's objects share may be used elsewhere"),
        (None, ("cv",), False, "nobody knows where its object is"),
    ],
)
def test_an_operator_judges_only_what_it_would_have_seen(
    of: Holder | None,
    namespaces: tuple[str, ...],
    expected: bool,  # noqa: FBT001 - a column of a table
    reason: str,
) -> None:
    assert is_within(of, namespaces) is expected, reason


@pytest.mark.parametrize(
    ("lost", "held"),
    [
        pytest.param({}, {}, id="nothing is lost"),
        pytest.param({"a": 2, "b": 2}, {}, id="a few of each"),
        pytest.param({"a": 3, "b": 1}, {"a": 3}, id="too many of one namespace hold it alone"),
        pytest.param({"a": 1, "b": 1, "": 1}, {"": 1, "a": 1, "b": 1}, id="too many namespaces hold all, classes too"),
    ],
)
def test_many_losses_hold_their_namespace_and_losses_in_many_namespaces_hold_all(
    lost: Mapping[str, int], held: Mapping[str, int]
) -> None:
    breaker = Breaker(most=2, share=1, alive=0)
    for namespace, objects in lost.items():
        for number in range(objects):
            for _ in range(5):  # resources of an object
                breaker.count(f"{namespace}-{number}", Holder(namespace))
    assert breaker.held == held
    assert {each for each in {*lost, "c"} if breaker.is_held(Holder(each))} >= held.keys()
    assert breaker.is_held(Holder("c")) is (len(lost) > 2)


@pytest.mark.parametrize(
    ("lost", "alive", "is_held", "reason"),
    [
        ({"a": 3, "b": 2}, 0, False, "five may go, however few there are"),
        ({"a": 3, "b": 3}, 0, True, "all of a small cluster"),
        ({"a": 3, "b": 3}, 24, False, "a fifth of thirty"),
        ({"a": 3, "b": 3}, 18, True, "more than a fifth"),
        ({"a": 90, "b": 3}, 0, False, "who loses too many is held alone, and stops nobody else"),
    ],
)
def test_a_large_share_of_all_objects_holds_all(
    lost: Mapping[str, int],
    alive: int,
    is_held: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    breaker = Breaker(most=3, share=0.2, alive=alive)
    for namespace, objects in lost.items():
        for number in range(objects):
            breaker.count(f"{namespace}-{number}", Holder(namespace))
    assert breaker.is_held(Holder("b")) is is_held, reason


NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "seen", "expected"),
    [
        (None, NOON, NOON),
        (NOON, NOON - timedelta(hours=1), NOON),
        (NOON - timedelta(hours=1), NOON, NOON),
        ("none", NOON, None),
        (NOON, None, None),
    ],
)
def test_the_latest_end_of_life_counts_and_none_is_the_latest(
    known: datetime | str | None, seen: datetime | None, expected: datetime | None
) -> None:
    before = None if known is None else Holder("nlp", "pr", known if isinstance(known, datetime) else None)
    assert latest(before, Holder("nlp", "pr", seen)) == Holder("nlp", "pr", expected)
    assert Holder(expires_at=expected).is_expired(NOON) is (expected is not None)
