from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import ENDPOINT, merged

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import LimitPolicy
from ephemeral_endpoints.features.capacity.limits import (
    MOST_NAMED,
    MOST_SHOWN,
    Candidate,
    Wait,
    cause,
    in_words,
    uses,
    waits,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def limits(namespace: int | None = None, repository: int | None = None) -> LimitPolicy:
    return LimitPolicy(objects_per_namespace=namespace, objects_per_repository=repository)


def candidate(text: str) -> Candidate:
    """One whose age its letter tells, a the oldest; then its repository, and * for one that has a place."""
    name, repository, has_place = text[0], text[1], text.endswith("*")
    return Candidate(NOON + timedelta(seconds=ord(name)), f"uid-{name}", name, f"acme/{repository}", has_place)


def waiting(objects: str, policy: LimitPolicy) -> str:
    """Who waits, in the order of creation, each with those ahead of it, and @ before its repository if it is that."""
    found = waits(map(candidate, objects.split()), policy)
    named = sorted((uid.removeprefix("uid-"), wait) for uid, wait in found.items() if wait)
    return " ".join(
        f"{name}:{''.join(wait.ahead)}{'@' + wait.repository[-1] if wait.repository else ''}" for name, wait in named
    )


@pytest.mark.parametrize(
    ("objects", "policy", "expected", "reason"),
    [
        ("ax bx cx", limits(), "", "without limits nobody waits"),
        ("ax bx cx", limits(3), "", "all fit"),
        ("cx bx ax", limits(2), "c:", "the youngest waits, whatever the order in which they are seen"),
        ("ax bx cx*", limits(1), "a: b:a", "one that runs keeps its place, although it is the youngest"),
        ("ax* bx* cx*", limits(1), "", "a limit that is lowered stops nothing that runs"),
        ("ax* bx* cx", limits(1), "c:", "and nothing starts until it is kept"),
        ("ax bx cx", limits(0), "a: b:a c:ab", "none is allowed"),
        ("ax bx cy", limits(repository=1), "b:@x", "each repository has places of its own"),
        ("ax bx cy dx", limits(2, 1), "b:@x d:b", "one that waits for its repository keeps nobody else waiting"),
        ("ax by cy", limits(2, 2), "c:", "the namespace is full before the repository is"),
        ("ax* by* cx dy", limits(2, 1), "c: d:c", "with both full it waits for the namespace"),
    ],
)
def test_places_go_to_who_runs_and_then_in_the_order_of_creation(
    objects: str, policy: LimitPolicy, expected: str, reason: str
) -> None:
    assert waiting(objects, policy) == expected, reason


def test_those_of_the_same_second_have_an_order_too() -> None:
    both = [Candidate(NOON, uid, uid, "acme/x", has_place=False) for uid in ("b", "a")]
    assert [uid for uid, wait in waits(both, limits(1)).items() if wait] == ["b"]


def test_only_the_first_that_wait_are_named() -> None:
    many = [
        Candidate(NOON + timedelta(seconds=each), str(each), f"pr-{each}", "acme/x", has_place=False)
        for each in range(MOST_NAMED + 4)
    ]
    found = waits(many, limits(1))
    last = [str(MOST_NAMED + each) for each in (1, 2, 3)]
    named = tuple(f"pr-{each + 1}" for each in range(MOST_NAMED))
    assert found[last[0]] == Wait(1, ahead=named)
    assert found[last[1]] == found[last[2]] == Wait(1, ahead=named, is_far=True), "an end of one does not write both"


CANDIDATES = st.lists(
    st.builds(
        lambda number, age, repository, has_place: Candidate(
            NOON + timedelta(seconds=age), f"uid-{number}", f"pr-{number}", f"acme/{repository}", has_place
        ),
        st.integers(0, 10_000),
        st.integers(0, 8),
        st.sampled_from("xyz"),
        st.booleans(),
    ),
    max_size=25,
    unique_by=lambda each: each.uid,
)
POLICIES = st.builds(limits, st.none() | st.integers(0, 6), st.none() | st.integers(0, 4))


def _counts(candidates: list[Candidate], found: dict[str, Wait | None]) -> Counter[str]:
    running = [each for each in candidates if found[each.uid] is None]
    return Counter([*("" for _ in running), *(each.repository for each in running)])


@given(CANDIDATES, POLICIES)
def test_nothing_starts_over_a_limit_and_nobody_waits_while_there_is_room(
    candidates: list[Candidate], policy: LimitPolicy
) -> None:
    found = waits(candidates, policy)
    counts, before = _counts(candidates, found), Counter[str]()
    for each in candidates:
        if each.has_place:
            assert found[each.uid] is None, "what runs goes on"
            before.update(["", each.repository])

    def most(scope: str) -> int | None:
        return policy.objects_per_repository if scope else policy.objects_per_namespace

    for scope, count in counts.items():
        limit = most(scope)
        assert limit is None or count <= max(limit, before[scope])
    for each in candidates:
        if wait := found[each.uid]:
            assert counts[wait.repository or ""] >= wait.limit, "what it waits for is full"
            assert wait.limit == most(wait.repository or "")


@given(CANDIDATES, POLICIES)
def test_the_older_one_of_the_same_kind_is_never_behind(candidates: list[Candidate], policy: LimitPolicy) -> None:
    found = waits(candidates, policy)
    asking = sorted(each for each in candidates if not each.has_place)
    for older, younger in ((a, b) for a in asking for b in asking if a < b and a.repository == b.repository):
        assert found[older.uid] is None or found[younger.uid] is not None


@given(CANDIDATES, POLICIES)
def test_everybody_gets_a_place_once_the_others_have_ended(candidates: list[Candidate], policy: LimitPolicy) -> None:
    left = list(candidates)
    for _ in range(len(candidates)):
        found = waits(left, policy)
        left = [
            Candidate(each.created_at, each.uid, each.name, each.repository, has_place=False)
            for each in left
            if found[each.uid]
        ]
    is_possible = 0 not in {policy.objects_per_namespace, policy.objects_per_repository}
    assert not (left and is_possible)


@pytest.mark.parametrize(
    ("wait", "reason", "expected"),
    [
        (Wait(2), "LimitReached", "allows 2 objects in a namespace, and namespace nlp has as many; this object is the"),
        (Wait(2, ahead=("pr-1", "pr-2")), "LimitReached", "this object is 3rd of those that wait, after pr-1, pr-2."),
        (Wait(2, "acme/x", is_far=True), "LimitReached", "2 objects of repository acme/x in a namespace"),
        (Wait(2, is_far=True), "LimitReached", "more than 10 others wait before this object"),
        (Wait(0), "NoneAllowed", "spec.limits.objectsPerNamespace of the class is 0"),
        (Wait(0, "acme/x"), "NoneAllowed", "spec.limits.objectsPerRepository of the class is 0"),
    ],
)
def test_the_message_says_what_is_waited_for(wait: Wait, reason: str, expected: str) -> None:
    found = cause(wait, "nlp", "default")
    assert found.reason.name == reason
    assert expected in found.message
    assert found.reason.is_permanent is (wait.limit == 0)


def shown(namespace: str, reason: str, *, resources: bool) -> EphemeralEndpoint:
    condition = {"type": "Ready", "status": "False", "reason": reason, "lastTransitionTime": "2026-11-21T12:00:00Z"}
    kept = [{"kind": "Endpoint", "name": "e"}] if resources else []
    status = {"conditions": [condition], "resources": kept}
    return EphemeralEndpoint.model_validate(merged(ENDPOINT, {"metadata": {"namespace": namespace}, "status": status}))


def test_the_class_shows_where_most_wait_and_then_the_fullest() -> None:
    objects = [shown("a", "Ready", resources=True) for _ in range(3)]
    objects += [shown("b", "Ready", resources=True), shown("b", "LimitReached", resources=False)]
    objects += [shown("c", "Expired", resources=False), shown("c", "Creating", resources=True)]
    found = uses(objects, limits(3))
    assert list(map(in_words, found)) == ["b 1/3, 1 waiting", "a 3/3", "c 1/3"]
    assert uses(objects, limits()) == (), "a class without limits shows none"
    assert in_words(uses(objects, limits(repository=1))[0]) == "b 1, 1 waiting"
    many = [shown(f"n{number}", "Ready", resources=True) for number in range(MOST_SHOWN + 5)]
    assert len(uses(many, limits(1))) == MOST_SHOWN
