from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.core.builds import (
    ATTEMPTS,
    LASTING,
    PAUSE,
    Build,
    Commit,
    Copy,
    Demand,
    Order,
    Result,
    Step,
    due_round,
    history,
    is_made_tag,
    is_to_be_retried,
    look_pause,
    may_begin,
    state_of,
)
from ephemeral_endpoints.core.images import ImageProblem

REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/eep-c1-default-abcdefghij"
SHA, OTHER_SHA = "1" * 40, "2" * 40
COMMIT = Commit("https://github.com/acme/sentiment.git", SHA)
ORDER = Order(REPOSITORY, COMMIT, "linux/amd64")
OTHER = replace(ORDER, origin=replace(COMMIT, revision=OTHER_SHA))
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def build(result: Result, *, step: Step = Step.BUILDING, order: Order = ORDER, ago: timedelta = PAUSE * 8) -> Build:
    ended = None if result is Result.RUNNING else NOW - ago
    return Build(f"{result}-{ago}", order.image, result, step, NOW - ago - timedelta(minutes=1), ended, "it broke")


def demand(order: Order, number: int) -> Demand:
    return Demand(NOW + timedelta(seconds=number), f"uid-{number}", order)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"revision": OTHER_SHA}, False, id="another commit"),
        pytest.param({"context": "models"}, False, id="another folder"),
        pytest.param({"dockerfile": "Dockerfile.gpu"}, False, id="another Dockerfile"),
        pytest.param({"target": "serving"}, False, id="another stage"),
        pytest.param({"arguments": (("A", "b"),)}, False, id="another argument"),
        pytest.param({"secrets": (("pip-token", "builds/pip"),)}, False, id="a secret more"),
        pytest.param({"location": "https://github.com/fork/sentiment.git"}, True, id="the same commit of a fork"),
    ],
)
def test_an_image_is_named_by_all_that_it_depends_on(change: Mapping[str, object], *, same: bool) -> None:
    other = replace(ORDER, origin=replace(COMMIT, **change))  # type: ignore[arg-type]  # one member of several types
    assert (other.tag == ORDER.tag) is same
    assert other.tag.startswith(other.origin.revision)


def test_where_a_secret_is_kept_does_not_make_another_image() -> None:
    tags = {replace(ORDER, origin=replace(COMMIT, secrets=(("pip", where),))).tag for where in ("a", "b")}
    assert len(tags) == 1


def test_a_copy_of_a_tag_is_made_anew_for_every_revision_and_that_of_a_digest_once() -> None:
    def tag(image: str, revision: str) -> str:
        return replace(ORDER, origin=Copy(image, revision)).tag

    assert tag("quay.io/acme/model:1", SHA) != tag("quay.io/acme/model:1", OTHER_SHA)
    digest = f"quay.io/acme/model@sha256:{'a' * 64}"
    assert tag(digest, SHA) == tag(digest, OTHER_SHA)


def test_commits_of_one_place_share_a_cache_and_copies_have_none() -> None:
    assert ORDER.cache == OTHER.cache
    assert ORDER.cache != replace(ORDER, origin=replace(COMMIT, context="other")).cache
    assert replace(ORDER, origin=Copy("quay.io/acme/model:1", SHA)).cache is None


@pytest.mark.parametrize("order", [ORDER, OTHER, replace(ORDER, origin=Copy("quay.io/acme/model:1", SHA))])
def test_what_is_made_is_known_by_its_tag(order: Order) -> None:
    assert is_made_tag(order.tag)


@pytest.mark.parametrize("tag", ["latest", "v1.2", "1f0c2a9", SHA, f"cache-{'a' * 8}", f"{SHA}-xyz"])
def test_what_somebody_else_pushed_is_not_ours(tag: str) -> None:
    assert not is_made_tag(tag)


@pytest.mark.parametrize(
    ("builds", "begins", "later"),
    [
        pytest.param([], True, False, id="never tried"),
        pytest.param([build(Result.RUNNING)], False, False, id="it runs"),
        pytest.param([build(Result.FAILED)], False, False, id="the commit's own doing"),
        pytest.param([build(Result.FAILED, step=Step.FETCHING)], False, False, id="there is no such commit"),
        pytest.param([build(Result.TIMED_OUT)], False, False, id="it hangs: another time it would too"),
        pytest.param([build(Result.FAILED, step=Step.PUSHING)], True, True, id="the registry was down"),
        pytest.param([build(Result.FAULT)], True, True, id="the builder failed"),
        pytest.param([build(Result.FAULT, ago=PAUSE / 2)], False, True, id="the builder failed just now"),
        pytest.param([build(Result.STOPPED, ago=timedelta(0))], True, True, id="it was given up and is wanted again"),
        pytest.param([build(Result.SUCCEEDED, ago=LASTING * 2)] * 9, True, True, id="the image was deleted"),
        pytest.param([build(Result.SUCCEEDED)] * ATTEMPTS, False, False, id="it never gets there"),
        pytest.param([build(Result.FAULT)] * ATTEMPTS, False, False, id="often enough"),
        pytest.param([build(Result.STOPPED)] * ATTEMPTS, True, True, id="giving up is no failure"),
    ],
)
def test_another_attempt_is_made_where_it_can_help(builds: Sequence[Build], *, begins: bool, later: bool) -> None:
    assert may_begin(builds, NOW) is begins
    assert is_to_be_retried(builds, NOW) is later


def test_pauses_between_attempts_double() -> None:
    twice = [build(Result.FAULT, ago=PAUSE * 1.5), build(Result.FAULT, ago=PAUSE * 4)]
    assert may_begin(twice[:1], NOW)
    assert not may_begin(twice, NOW)


def test_two_objects_with_one_commit_are_one_build() -> None:
    todo = due_round([demand(ORDER, 1), demand(ORDER, 2)], {}, most=5, now=NOW)
    assert (todo.begin, todo.stop, todo.waiting) == ((ORDER,), (), ())


def test_beyond_the_limit_the_oldest_object_is_first() -> None:
    third = replace(ORDER, origin=replace(COMMIT, revision="3" * 40))
    demands = [demand(third, 3), demand(ORDER, 1), demand(OTHER, 2)]
    todo = due_round(demands, {}, most=1, now=NOW)
    assert todo.begin == (ORDER,)
    assert todo.waiting == (OTHER.image, third.image)


def test_what_runs_takes_room() -> None:
    running = {ORDER.image: [build(Result.RUNNING)]}
    todo = due_round([demand(ORDER, 1), demand(OTHER, 2)], running, most=1, now=NOW)
    assert (todo.begin, todo.waiting) == ((), (OTHER.image,))


def test_a_newer_commit_stops_the_build_of_the_older_one_and_waits_for_its_room() -> None:
    running = build(Result.RUNNING)
    todo = due_round([demand(OTHER, 1)], {ORDER.image: [running]}, most=1, now=NOW)
    assert (todo.begin, todo.stop, todo.waiting) == ((), (running,), (OTHER.image,))


def test_nothing_is_stopped_before_all_have_told_what_they_want() -> None:
    running = build(Result.RUNNING)
    assert due_round([], {ORDER.image: [running]}, most=1, now=NOW, may_stop=False).stop == ()


ORDERS = [replace(ORDER, origin=replace(COMMIT, revision=digit * 40)) for digit in "0123456789"]


@given(
    wanted=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20)), max_size=20),
    known=st.dictionaries(
        st.integers(0, 9), st.lists(st.tuples(st.sampled_from(Result), st.sampled_from(Step)), max_size=5)
    ),
    most=st.integers(0, 6),
)
def test_a_round_keeps_the_limit_and_makes_no_twin(
    wanted: list[tuple[int, int]], known: dict[int, list[tuple[Result, Step]]], most: int
) -> None:
    builds = {
        ORDERS[number].image: [build(result, step=step, order=ORDERS[number]) for result, step in each]
        for number, each in known.items()
    }
    todo = due_round([demand(ORDERS[number], age) for number, age in wanted], builds, most=most, now=NOW)
    running = [each for own in builds.values() for each in own if each.is_running]
    assert len(todo.begin) <= max(0, most - len(running))
    images = [order.image for order in todo.begin]
    assert len(set(images)) == len(images)
    assert {ORDERS[number].image for number, _ in wanted} >= {*images, *todo.waiting}
    assert not {each.image for each in todo.stop} & {ORDERS[number].image for number, _ in wanted}
    assert not set(images) & {own[0].image for own in builds.values() if own and own[0].is_running}


def test_the_newest_build_of_an_image_is_first() -> None:
    old, new = build(Result.FAULT, ago=PAUSE * 9), build(Result.FAILED)
    other = build(Result.RUNNING, order=OTHER)
    assert history([old, other, new], ORDER.image) == (new, old)


@pytest.mark.parametrize(
    ("builds", "ahead", "problem", "told"),
    [
        pytest.param([], 3, ImageProblem.QUEUED, "ahead of it: 3", id="in the queue"),
        pytest.param([], None, ImageProblem.QUEUED, "about to be built", id="next"),
        pytest.param([build(Result.RUNNING)], None, ImageProblem.BUILDING, "building", id="under way"),
        pytest.param([build(Result.FAULT)], None, ImageProblem.RETRIED, "tried again: it broke", id="again"),
        pytest.param([build(Result.FAILED)], None, ImageProblem.FAILED, "building failed: it broke", id="failed"),
        pytest.param([build(Result.FAILED)], None, ImageProblem.FAILED, "last lines: one | two", id="with its log"),
        pytest.param([build(Result.TIMED_OUT)], None, ImageProblem.TIMED_OUT, "spec.builds.timeout", id="hangs"),
        pytest.param([build(Result.SUCCEEDED)] * 3, None, ImageProblem.FAILED, "not in the repository", id="lost"),
    ],
)
def test_what_is_told_of_an_image_in_the_making(
    builds: list[Build], ahead: int | None, problem: ImageProblem, told: str
) -> None:
    state = state_of(builds, ["one", "two"], ahead=ahead, now=NOW)
    assert state.problem is problem
    assert told in state.message


def test_what_a_build_printed_is_told_without_its_credentials() -> None:
    failed = replace(build(Result.FAILED), message="fatal: https://me:hunter2hunter2@github.com/x: denied")
    message = state_of([failed], ["PIP_TOKEN=pypi-AgEIcHlwaS5vcmcCJDU"], ahead=None, now=NOW).message
    assert "hunter2" not in message
    assert "AgEI" not in message


@pytest.mark.parametrize(
    ("ages", "pause"),
    [
        pytest.param([], 1, id="nothing runs"),
        pytest.param([10], 1, id="it has just begun"),
        pytest.param([60], 3, id="it has run for a minute"),
        pytest.param([3600], 5, id="it has run for an hour"),
        pytest.param([3600, 10], 1, id="another one has just begun"),
    ],
)
def test_long_builds_are_looked_at_less_often(ages: list[int], pause: float) -> None:
    running = [replace(build(Result.RUNNING), started_at=NOW - timedelta(seconds=age)) for age in ages]
    assert look_pause([*running, build(Result.FAILED)], NOW, shortest=1.0) == pytest.approx(pause)
