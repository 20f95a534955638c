from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.core.objects import endpoint

from ephemeral_endpoints.core.paths import Claim, holder_of, path_of

FIRST = datetime(2026, 11, 1, 12, tzinfo=UTC)
CLAIMS = st.builds(
    Claim,
    st.integers(0, 3).map(lambda seconds: FIRST + timedelta(seconds=seconds)),
    st.uuids().map(str),
    st.sampled_from(["/a", "/A", "/a/b"]),
    st.sampled_from(["nlp/one", "nlp/two"]),
)


def test_a_path_is_the_specs_or_that_of_the_object() -> None:
    assert path_of(endpoint()) == "/nlp/pr-42"
    assert path_of(endpoint({"spec": {"api": {"path": "/p"}}})) == "/p"


@given(claims=st.lists(CLAIMS, max_size=6, unique_by=lambda claim: claim.uid), path=st.sampled_from(["/a", "/b"]))
def test_the_oldest_that_asks_has_the_path_in_whatever_order_they_are_asked(claims: list[Claim], path: str) -> None:
    found = holder_of(path, claims)
    assert found == holder_of(path, reversed(claims))
    asking = [claim for claim in claims if claim.path == path]
    assert (found is None) == (not asking)
    assert all(found is not None and (found.created_at, found.uid) <= (each.created_at, each.uid) for each in asking)


def test_a_later_second_gives_way_and_within_one_second_the_uid_decides() -> None:
    old = Claim(FIRST, "z", "/a", "nlp/old")
    late = Claim(FIRST + timedelta(seconds=1), "a", "/a", "nlp/late")
    twin = Claim(FIRST, "b", "/a", "nlp/twin")
    assert holder_of("/a", [late, old]) == old
    assert holder_of("/a", [late, old, twin]) == twin
