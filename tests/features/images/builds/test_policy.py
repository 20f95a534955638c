import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.images.builds.policy import (
    ATTEMPTS,
    LASTING,
    PAUSE,
    Build,
    BuildLimits,
    BuildRequest,
    BuildTarget,
    Commit,
    Copy,
    Result,
    Step,
    Tenant,
    Trust,
    due_round,
    history,
    is_made_tag,
    is_to_be_retried,
    look_pause,
    may_begin,
    state_of,
    telling_lines,
)
from ephemeral_endpoints.features.images.reasons import ImageProblem

TENANT = Tenant("uid-of-the-class", "previews")
REPOSITORY = "123456789012.dkr.ecr.us-east-1.amazonaws.com/eep-c1-default-abcdefghij"
SHA, OTHER_SHA = "1" * 40, "2" * 40
COMMIT = Commit("https://github.com/acme/sentiment.git", SHA)
ORDER = BuildTarget(REPOSITORY, COMMIT, "linux/amd64", TENANT)
OTHER = replace(ORDER, origin=replace(COMMIT, revision=OTHER_SHA))
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def build(
    result: Result, *, step: Step = Step.BUILDING, target: BuildTarget = ORDER, ago: timedelta = PAUSE * 8
) -> Build:
    ended = None if result is Result.RUNNING else NOW - ago
    return Build(f"{result}-{ago}", target.image, result, step, NOW - ago - timedelta(minutes=1), ended, "it broke")


def request(target: BuildTarget, number: int, namespace: str = "") -> BuildRequest:
    return BuildRequest(NOW + timedelta(seconds=number), f"uid-{number}", target, namespace)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": OTHER_SHA}, id="another commit"),
        pytest.param({"context": "models"}, id="another folder"),
        pytest.param({"dockerfile": "Dockerfile.gpu"}, id="another Dockerfile"),
        pytest.param({"target": "serving"}, id="another stage"),
        pytest.param({"arguments": (("A", "b"),)}, id="another argument"),
        pytest.param({"secrets": (("pip-token", "builds/pip"),)}, id="a secret more"),
        pytest.param({"location": "https://github.com/fork/sentiment.git"}, id="the same commit of a fork"),
        pytest.param({"trust": Trust.APPROVED}, id="the same commit, approved"),
    ],
)
def test_an_image_is_named_by_all_that_it_depends_on(change: Mapping[str, object]) -> None:
    other = replace(ORDER, origin=replace(COMMIT, **change))  # type: ignore[arg-type]  # one member of several types
    assert other.tag != ORDER.tag
    assert other.tag.startswith(other.origin.revision)


@pytest.mark.parametrize(
    "origin", [COMMIT, Copy("quay.io/acme/model:1", SHA), Copy(f"quay.io/a@sha256:{SHA:0<64}", SHA)]
)
@pytest.mark.parametrize(
    "tenant",
    [
        pytest.param(replace(TENANT, namespace="mallory"), id="of another namespace"),
        pytest.param(replace(TENANT, class_uid="uid-of-another"), id="of another class with the same repository"),
    ],
)
def test_nobody_is_served_what_somebody_else_made_first(origin: Commit | Copy, tenant: Tenant) -> None:
    victims = replace(ORDER, origin=origin)
    attackers = replace(victims, tenant=tenant)
    assert attackers.image != victims.image
    assert attackers.cache != victims.cache or isinstance(origin, Copy)


@pytest.mark.parametrize("origin", [replace(COMMIT, revision=SHA[:1] * 64), COMMIT, Copy("quay.io/acme/model:1", SHA)])
def test_no_two_orders_can_be_chosen_that_make_the_same_image(origin: Commit | Copy) -> None:
    # 32 bits, as once, are found again within minutes; of 256 bits nobody finds even a pair of their own choice.
    tag = replace(ORDER, origin=origin).tag
    digest = tag.rpartition("-")[2]
    assert re.fullmatch("[a-z2-7]{52}", digest), "the whole SHA-256, five bits a character"
    assert len(tag) <= 128, "ECR's bound"


def test_an_argument_is_no_secret_and_an_image_no_moment() -> None:
    # What is hashed keeps its structure: moving text from one member to the next makes another image.
    one = replace(ORDER, origin=replace(COMMIT, context="a", dockerfile="b/Dockerfile"))
    other = replace(ORDER, origin=replace(COMMIT, context="a/b", dockerfile="Dockerfile"))
    with_argument = replace(ORDER, origin=replace(COMMIT, arguments=(("pip", ""),)))
    with_secret = replace(ORDER, origin=replace(COMMIT, secrets=(("pip", ""),)))
    assert len({each.tag for each in (one, other, with_argument, with_secret)}) == 4


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


FORK = replace(COMMIT, location="https://github.com/mallory/sentiment.git", base=COMMIT.location)


def cache_of(commit: Commit, trust: Trust, **change: Any) -> str | None:  # noqa: ANN401 - members of any type
    return replace(ORDER, origin=replace(commit, trust=trust, **change)).cache


@pytest.mark.parametrize(
    ("commit", "trust", "others", "reason"),
    [
        (COMMIT, Trust.OWN, [], "its own alone"),
        (COMMIT, Trust.APPROVED, [], "its own alone, which no commit without an approval has written"),
        (FORK, Trust.FORK, [(COMMIT, Trust.OWN)], "an unapproved fork reads the base's"),
        (
            FORK,
            Trust.APPROVED,
            [(COMMIT, Trust.APPROVED)],
            "an approved fork reads what was approved, and nothing else",
        ),
    ],
)
def test_a_build_reads_no_cache_of_less_trust_and_writes_its_own(
    commit: Commit, trust: Trust, others: list[tuple[Commit, Trust]], reason: str
) -> None:
    target = replace(ORDER, origin=replace(commit, trust=trust))
    assert list(target.caches) == [target.cache, *(cache_of(*each) for each in others)], reason
    assert target.cache not in {cache_of(each, other) for each in (COMMIT, FORK) for other in set(Trust) - {trust}}


def test_another_argument_has_another_cache() -> None:
    # BuildKit leaves proxies out of its keys: what was fetched through one must not be taken for what comes without.
    poisoned = cache_of(COMMIT, Trust.OWN, arguments=(("HTTP_PROXY", "http://mallory.example"),))
    assert poisoned != cache_of(COMMIT, Trust.OWN)


@pytest.mark.parametrize("target", [ORDER, OTHER, replace(ORDER, origin=Copy("quay.io/acme/model:1", SHA))])
def test_what_is_made_is_known_by_its_tag(target: BuildTarget) -> None:
    assert is_made_tag(target.tag)


@pytest.mark.parametrize(
    "tag", ["latest", "v1.2", "1f0c2a9", SHA, f"cache-{'a' * 52}", f"{SHA}-xyz", f"{SHA}-{'a' * 8}"]
)
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
    todo = due_round([request(ORDER, 1), request(ORDER, 2)], {}, limits=BuildLimits(5, 5), now=NOW)
    assert (todo.begin, todo.stop, todo.waiting) == ((ORDER,), (), ())


def test_beyond_the_limit_the_oldest_object_is_first() -> None:
    third = replace(ORDER, origin=replace(COMMIT, revision="3" * 40))
    requests = [request(third, 3), request(ORDER, 1), request(OTHER, 2)]
    todo = due_round(requests, {}, limits=BuildLimits(1, 1), now=NOW)
    assert todo.begin == (ORDER,)
    assert todo.waiting == (OTHER.image, third.image)


def test_what_runs_takes_room() -> None:
    running = {ORDER.image: [build(Result.RUNNING)]}
    todo = due_round([request(ORDER, 1), request(OTHER, 2)], running, limits=BuildLimits(1, 1), now=NOW)
    assert (todo.begin, todo.waiting) == ((), (OTHER.image,))


def test_a_newer_commit_stops_the_build_of_the_older_one_and_waits_for_its_room() -> None:
    running = build(Result.RUNNING)
    todo = due_round([request(OTHER, 1)], {ORDER.image: [running]}, limits=BuildLimits(1, 1), now=NOW)
    assert (todo.begin, todo.stop, todo.waiting) == ((), (running,), (OTHER.image,))


def test_nothing_is_stopped_before_all_objects_have_made_their_requests() -> None:
    running = build(Result.RUNNING)
    assert due_round([], {ORDER.image: [running]}, limits=BuildLimits(1, 1), now=NOW, may_stop=False).stop == ()


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
        ORDERS[number].image: [build(result, step=step, target=ORDERS[number]) for result, step in each]
        for number, each in known.items()
    }
    todo = due_round(
        [request(ORDERS[number], age) for number, age in wanted], builds, limits=BuildLimits(most, most), now=NOW
    )
    running = [each for own in builds.values() for each in own if each.is_running]
    assert len(todo.begin) <= max(0, most - len(running))
    images = [target.image for target in todo.begin]
    assert len(set(images)) == len(images)
    assert {ORDERS[number].image for number, _ in wanted} >= {*images, *todo.waiting}
    assert not {each.image for each in todo.stop} & {ORDERS[number].image for number, _ in wanted}
    assert not set(images) & {own[0].image for own in builds.values() if own and own[0].is_running}


def running(*targets: BuildTarget) -> dict[str, list[Build]]:
    return {target.image: [build(Result.RUNNING, target=target)] for target in targets}


def test_a_namespace_that_alone_waits_leaves_room_for_the_others() -> None:
    # Builds that sleep until their timeout, of a namespace that begins when nobody else wants any.
    greedy = [request(target, age, "mallory") for age, target in enumerate(ORDERS[:5], 1)]
    limits = BuildLimits(5, 3)
    first = due_round(greedy, {}, limits=limits, now=NOW)
    assert first.begin == tuple(ORDERS[:3])
    assert first.waiting == (ORDERS[3].image, ORDERS[4].image)
    namespaces = {target.image: "mallory" for target in ORDERS[:5]}
    later = [*greedy, request(ORDERS[9], 20, "victim")]
    second = due_round(later, running(*first.begin), limits=limits, namespaces=namespaces, now=NOW)
    assert second.begin == (ORDERS[9],)


def test_builds_that_nobody_wants_any_more_count_for_their_namespace_until_they_have_stopped() -> None:
    # Otherwise deleting the objects and making others would fill all builders.
    namespaces = dict.fromkeys((target.image for target in ORDERS), "mallory")
    again = [request(target, age, "mallory") for age, target in enumerate(ORDERS[3:6], 1)]
    todo = due_round(again, running(*ORDERS[:3]), limits=BuildLimits(5, 3), namespaces=namespaces, now=NOW)
    assert (todo.begin, len(todo.stop)) == ((), 3)


def test_an_image_that_two_namespaces_want_is_built_for_the_one_that_has_room() -> None:
    namespaces = dict.fromkeys((target.image for target in ORDERS[:3]), "mallory")
    both = [request(ORDERS[9], 1, "mallory"), request(ORDERS[9], 2, "victim")]
    todo = due_round(both, running(*ORDERS[:3]), limits=BuildLimits(5, 3), namespaces=namespaces, now=NOW)
    assert (todo.begin, todo.waiting) == ((ORDERS[9],), ())


@given(
    wanted=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20), st.sampled_from("abc")), max_size=20),
    started=st.dictionaries(st.integers(0, 9), st.sampled_from("abc"), max_size=6),
    most=st.integers(1, 6),
    share=st.integers(1, 6),
)
def test_no_namespace_gets_more_than_its_share(
    wanted: list[tuple[int, int, str]], started: dict[int, str], most: int, share: int
) -> None:
    requests = [request(ORDERS[number], age, namespace) for number, age, namespace in wanted]
    namespaces = {ORDERS[number].image: namespace for number, namespace in started.items()}
    runs = running(*(ORDERS[number] for number in started))
    todo = due_round(requests, runs, limits=BuildLimits(most, share), namespaces=namespaces, now=NOW)
    assert len(todo.begin) <= max(0, most - len(started))
    begun = {target.image for target in todo.begin}
    for namespace in "abc":
        taken = sum(each == namespace for each in started.values())
        sole = {each.target.image for each in requests} - {
            each.target.image for each in requests if each.namespace != namespace
        }
        assert len(begun & sole) <= max(0, share - taken)
        has_room = not begun and len(started) < most and taken < share
        assert not has_room or not {each.target.image for each in requests if each.namespace == namespace} - runs.keys()


def test_the_newest_build_of_an_image_is_first() -> None:
    old, new = build(Result.FAULT, ago=PAUSE * 9), build(Result.FAILED)
    other = build(Result.RUNNING, target=OTHER)
    assert history([old, other, new], ORDER.image) == (new, old)


@pytest.mark.parametrize(
    ("builds", "ahead", "problem", "reported"),
    [
        pytest.param([], 3, ImageProblem.QUEUED, "builds ahead of it: 3", id="in the queue"),
        pytest.param([], None, ImageProblem.QUEUED, "the build is about to start", id="next"),
        pytest.param(
            [build(Result.RUNNING)], None, ImageProblem.BUILDING, "the build is building the image", id="under way"
        ),
        pytest.param(
            [build(Result.FAULT)], None, ImageProblem.RETRIED, "the operator tries again: it broke", id="again"
        ),
        pytest.param(
            [build(Result.FAILED)], None, ImageProblem.FAILED, "failed while building the image: it broke", id="failed"
        ),
        pytest.param(
            [build(Result.FAILED)], None, ImageProblem.FAILED, "last lines of the log: one | two", id="with its log"
        ),
        pytest.param([build(Result.TIMED_OUT)], None, ImageProblem.TIMED_OUT, "spec.builds.timeout", id="hangs"),
        pytest.param([build(Result.SUCCEEDED)] * 3, None, ImageProblem.FAILED, "not in the repository", id="lost"),
    ],
)
def test_the_reported_state_of_an_image_that_is_being_built(
    builds: list[Build], ahead: int | None, problem: ImageProblem, reported: str
) -> None:
    state = state_of(builds, ["one", "two"], ahead=ahead, now=NOW)
    assert state.problem is problem
    assert reported in state.message


def test_the_output_of_a_build_is_reported_without_credentials() -> None:
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


@pytest.mark.parametrize(
    ("lines", "expected", "reason"),
    [
        (
            [
                "#5 importing cache manifest from 1.dkr.ecr.us-east-1.amazonaws.com/models:cache",
                "#5 ERROR: 1.dkr.ecr.us-east-1.amazonaws.com/models:cache: not found",
                "#9 [2/3] RUN pip install nothing",
                '#9 ERROR: process "/bin/sh -c pip install nothing" did not complete successfully: exit code: 1',
                "------",
                " > importing cache manifest from 1.dkr.ecr.us-east-1.amazonaws.com/models:cache:",
                "------",
                "------",
                " > [2/3] RUN pip install nothing:",
                "0.9 ERROR: No matching distribution found for nothing",
                "------",
            ],
            (
                "#9 [2/3] RUN pip install nothing",
                '#9 ERROR: process "/bin/sh -c pip install nothing" did not complete successfully: exit code: 1',
                " > [2/3] RUN pip install nothing:",
                "0.9 ERROR: No matching distribution found for nothing",
            ),
            "that there is no cache yet is no failure",
        ),
        (
            ["#5 [internal] load metadata for docker.io/library/absent:1", "#5 ERROR: absent:1: not found"],
            ("#5 [internal] load metadata for docker.io/library/absent:1", "#5 ERROR: absent:1: not found"),
            "a base image that does not exist is one",
        ),
    ],
)
def test_the_lines_of_a_build_that_tell_why_it_failed(lines: list[str], expected: tuple[str, ...], reason: str) -> None:
    assert telling_lines(lines, count=8) == expected, reason
