from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.core.names import Names, endpoint_logs, owner_hash
from ephemeral_endpoints.core.orphans import (
    Holder,
    Sighting,
    holder,
    is_kept_by,
    is_mature,
    is_ours,
    is_within,
    orphans,
    sightings,
    standing,
)
from ephemeral_endpoints.core.resources import Have, IntegrationSpec, Key, Kind, Phase, RouteSpec, route_key_name
from ephemeral_endpoints.core.tags import CLUSTER, NAME, NAMESPACE, UID

CLUSTER_ID = "c1"
NAMES = Names(CLUSTER_ID, "pr-42", "uid-1")
API = Key(Kind.HTTP_API, "eep-c1-default-api-abcdefghij")
INTEGRATION = Key(Kind.INTEGRATION, NAMES.base)
OURS = {CLUSTER: CLUSTER_ID, UID: "uid-1"}

MODEL = Have(Key(Kind.MODEL, NAMES.model("0" * 8)), Phase.READY, owner=NAMES.owner)
LOGS = Have(Key(Kind.LOG_GROUP, endpoint_logs(NAMES.base)), Phase.READY, owner=NAMES.owner)
INTEGRATED = Have(
    INTEGRATION,
    Phase.READY,
    spec=IntegrationSpec(API, Key(Kind.FUNCTION, NAMES.base), "role"),
    id="i1",
    owner=NAMES.owner,
)


def route(integration: Key | None, owner: str | None) -> Have:
    key = Key(Kind.ROUTE, route_key_name(API, "ANY /pr-42"))
    return Have(key, Phase.READY, spec=RouteSpec(API, "ANY /pr-42", integration), id="r1", owner=owner)


ROUTE = route(INTEGRATION, NAMES.owner)
TO_NOTHING = route(None, None)
TO_ELSEWHERE = route(Key(Kind.INTEGRATION, "billing"), None)


def known(*haves: Have) -> dict[Key, Have]:
    return {have.key: have for have in haves}


@pytest.mark.parametrize(
    ("have", "live", "expected", "reason"),
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
def test_an_orphan_has_an_owner_that_does_not_live(have: Have, live: set[str], expected: bool, reason: str) -> None:  # noqa: FBT001 - a column of a table
    assert (orphans(known(have), live) == (have,)) is expected, reason


@pytest.mark.parametrize(
    ("have", "tags", "expected", "reason"),
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
    have: Have,
    tags: Mapping[str, str] | None,
    expected: bool,  # noqa: FBT001 - a column of a table
    reason: str,
) -> None:
    assert is_ours(have, tags, CLUSTER_ID) is expected, reason


@pytest.mark.parametrize(
    ("have", "tags", "retained", "expected", "reason"),
    [
        (ROUTE, None, {NAMES.owner}, True, "AWS cannot tag it"),
        (LOGS, {}, {NAMES.owner}, True, "a service made it again"),
        (MODEL, OURS, {NAMES.owner}, False, "it could say so itself and does not"),
        (ROUTE, None, {"bcdefghijk"}, False, "another owner's things were retained"),
        (ROUTE, None, set(), False, "nothing was retained"),
    ],
)
def test_what_cannot_say_that_it_stays_stays_with_what_can(
    have: Have,
    tags: Mapping[str, str] | None,
    retained: set[str],
    expected: bool,  # noqa: FBT001 - a column of a table
    reason: str,
) -> None:
    assert is_kept_by(have, tags, retained) is expected, reason


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
    assert is_mature(MODEL, seen, {Kind.MODEL: listed}.get, 10.0) == expected, reason


def test_what_is_being_deleted_needs_no_deletion() -> None:
    leaving = replace(MODEL, phase=Phase.DELETING)
    assert standing([leaving]) == []


def test_what_tells_whose_the_others_are_comes_first() -> None:
    assert standing([ROUTE, INTEGRATED, MODEL, LOGS]) == [MODEL, LOGS, INTEGRATED, ROUTE]


@pytest.mark.parametrize(
    ("second", "age", "reason"),
    [
        ([MODEL], 10.0, "seen in both rounds"),
        ([replace(MODEL, phase=Phase.BUSY)], 10.0, "a change of state does not make another thing of it"),
        ([replace(MODEL, id="other")], 0.0, "made anew under the same name"),
        ([replace(MODEL, owner="bcdefghijk")], 0.0, "somebody else's now, as a route can be"),
    ],
)
def test_age_counts_from_the_first_sighting_of_the_same_thing(second: list[Have], age: float, reason: str) -> None:
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
        told = [is_mature(have, seen, {Kind.MODEL: listed_at}.get, min_age) for have in found]
        assert told == [listed_at >= since + min_age for _ in found if since is not None]


@pytest.mark.parametrize(
    ("tags", "expected", "reason"),
    [
        ({NAMESPACE: "nlp", NAME: "pr-42"}, Holder("nlp", "pr-42"), "an object's"),
        ({NAME: "default"}, Holder("", "default"), "a class's"),
        ({}, None, "a log group that a service made"),
    ],
)
def test_tags_tell_who_had_it(tags: Mapping[str, str], expected: Holder | None, reason: str) -> None:
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
