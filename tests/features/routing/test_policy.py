"""Which paths an object may have, and whose a path is that several ask for."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import endpoint

from ephemeral_endpoints.api.v1alpha1.routing import RoutingPolicy
from ephemeral_endpoints.features.routing.policy import Claim, PathState, path_of, refused_cors, refused_path

FIRST = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = FIRST + timedelta(seconds=1)
CLAIMS = st.builds(
    Claim,
    st.booleans(),
    st.integers(0, 3).map(lambda seconds: FIRST + timedelta(seconds=seconds)),
    st.uuids().map(str),
    st.uuids().map(str),
)


@given(claims=st.lists(CLAIMS, max_size=6, unique_by=lambda claim: claim.uid))
def test_whoever_holds_a_path_keeps_it_and_a_free_one_has_exactly_one_owner(claims: list[Claim]) -> None:
    states = {claim.uid: path_of(claim.uid, claims) for claim in claims}
    assert states == {claim.uid: path_of(claim.uid, reversed(claims)) for claim in claims}, "in whatever order"
    holding = {claim.uid for claim in claims if claim.holds}
    owning = {uid for uid, state in states.items() if state.is_owned}
    assert owning == holding if holding else len(owning) == min(1, len(claims))
    names = {claim.uid: claim.name for claim in claims}
    waiting = {names[uid] for uid in states.keys() - owning}
    assert all(set(states[uid].waiting) == waiting for uid in owning)
    assert all(states[uid].holder in {names[each] for each in owning} for uid in states.keys() - owning)


def test_the_oldest_of_those_that_wait_is_the_next_and_within_one_second_the_uid_decides() -> None:
    holder, old, twin, late = (
        Claim(holds, at, uid, name)
        for holds, at, uid, name in (
            (True, LATER, "z", "nlp/holder"),
            (False, FIRST, "c", "nlp/old"),
            (False, FIRST, "d", "nlp/twin"),
            (False, LATER, "a", "nlp/late"),
        )
    )
    for claims in permutations([holder, old, twin, late]):
        assert path_of("z", claims) == PathState(waiting=("nlp/old", "nlp/twin", "nlp/late"))
        assert path_of("c", claims) == PathState(holder="nlp/holder")
    assert path_of("c", [late, twin, old]) == PathState(waiting=("nlp/twin", "nlp/late"))
    assert path_of("d", [late, twin, old]) == PathState(holder="nlp/old")


@pytest.mark.parametrize(
    ("path", "allowed", "refusal", "reason"),
    [
        (None, [], None, "the default path is its own"),
        ("/nlp/pr-42", [], None, "written out too"),
        ("/nlp/pr-42/v1", [], None, "a path below it"),
        ("/nlp/a/b/c", [], None, "below its namespace"),
        ("/nlp/other", [], "belongs to the object other of the namespace nlp", "the default path of another object"),
        ("/nlp/other", ["/*"], "belongs to the object other", "which no class can give away"),
        ("/vision/pr-42", ["/vision/*"], "object pr-42 of the namespace vision", "its name, in another namespace"),
        ("/vision/a/b", [], "begins with /nlp/", "another namespace"),
        ("/vision/a/b", ["/public/*", "/v?"], "begins with /nlp/, or /public/*, /v?", "what the class allows instead"),
        ("/nlp2/a/b", [], "begins with /nlp/", "a namespace whose name only begins alike"),
        ("/nlp", [], "begins with /nlp/", "the namespace itself"),
        ("/public/a/b", ["/public/*"], None, "a * stands for any characters"),
        ("/v1", ["/v?"], None, "a ? for one"),
        ("/v12", ["/v?"], "does not allow", "and only one"),
        ("/V1", ["/v?"], "does not allow", "paths are case-sensitive"),
    ],
)
def test_paths_are_below_the_namespace_unless_the_class_allows_others(
    path: str | None, allowed: list[str], refusal: str | None, reason: str
) -> None:
    asking = endpoint({"spec": {"api": {"path": path}}})
    found = refused_path(asking, RoutingPolicy.model_validate({"allowedPaths": allowed}))
    assert (found is None) == (refusal is None), reason
    assert found is None or (refusal or "") in str(found)


@pytest.mark.parametrize(
    ("api", "policy", "refused"),
    [
        ({}, {}, False),
        ({"cors": {"allowOrigins": ["*"]}}, {}, False),
        ({"cors": {"allowOrigins": ["https://a"]}, "auth": {"type": "None"}}, {}, False),
        ({"cors": {"allowOrigins": ["https://a", "*"]}, "auth": {"type": "None"}}, {}, True),
        ({"cors": {"allowOrigins": ["*"]}, "auth": {"type": "None"}}, {"allowAnyOrigin": True}, False),
    ],
)
def test_pages_of_any_origin_call_a_url_without_a_token_only_where_the_class_allows_it(
    api: dict[str, object], policy: dict[str, bool], *, refused: bool
) -> None:
    found = refused_cors(endpoint({"spec": {"api": api}}).spec.api, RoutingPolicy.model_validate(policy))
    assert (found is not None) is refused
