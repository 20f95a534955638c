"""Commands at the embedded GitHub, carried out on objects: by whom, once, answered, and bounded."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.controllers.environment import ApiServer
from tests.engine.objects import CLASS, CLUSTER, IMAGE
from tests.features.reviews.github.clients import Time, connected, token_secret
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient as Service
from eep_platform.github.client import sha_of
from ephemeral_endpoints.api import EXTEND_UNTIL_ANNOTATION, RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.features.reviews.commands.authority import LOOKUPS, REMEMBERED_SECONDS
from ephemeral_endpoints.features.reviews.commands.commanding import (
    LOOKBACK,
    PACE_SECONDS,
    POLL_SECONDS,
    SETTLED,
    SOON_SECONDS,
    Commanding,
)
from ephemeral_endpoints.features.reviews.commands.execution import Execution
from ephemeral_endpoints.features.reviews.commands.handling import REFUSALS, CommandHandler
from ephemeral_endpoints.features.reviews.forge import COMMENTS
from ephemeral_endpoints.features.reviews.github.forge import GitHub
from ephemeral_endpoints.kube.cache import FINALIZER, ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.errors import Conflict, Denied

REVIEWS = {"secretName": "forge", "repositories": [{"repository": "acme/*", "namespaces": ["nlp"]}]}
LISTING = "issues/list-comments-for-repo"
ASKING = "repos/get-collaborator-permission-level"


@dataclass
class Desk:
    """Objects in a dictionary, people at GitHub, and the commands between them. Time moves by ``pass_`` alone."""

    github: Service
    forge: GitHub
    time: Time
    api: ApiServer = field(default_factory=ApiServer)
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        self.reviews()
        self.restart()

    def restart(self) -> None:
        """Another process takes over."""
        handler = CommandHandler(Execution(CLUSTER, self.api, self.store, self.time.now), self.time.monotonic)
        self.commanding = Commanding(
            lambda _: self.forge,
            handler,
            self.store,
            takes=lambda namespace: namespace != "of-another-shard",
            now=self.time.now,
            clock=self.time.monotonic,
        )

    def reviews(self, name: str = "default", **changes: object) -> None:
        spec = {**CLASS["spec"], "reviews": {**REVIEWS, **changes}}
        self.store.put(self.api.put("EphemeralEndpointClass", None, name, spec))

    def make(
        self,
        name: str = "pr",
        namespace: str = "nlp",
        number: int | None = 1,
        repository: str = REPOSITORY,
        **spec: object,
    ) -> ObjectKey:
        source = {"repository": repository, "revision": "1f0c2a9", **({"pullRequest": number} if number else {})}
        wanted = {"className": "default", "source": source, "model": {"image": IMAGE}, **spec}
        raw = self.api.put("EphemeralEndpoint", namespace, name, wanted)
        raw["metadata"]["creationTimestamp"] = self.time.now().isoformat()
        raw["metadata"]["finalizers"] = [FINALIZER]
        self.store.put(raw)
        return endpoint_key(namespace, name)

    def pass_(self, seconds: float) -> None:
        self.github.advance(seconds)
        self.time.seconds += seconds

    async def say(self, body: str, login: str = "ada", number: int = 1) -> int:
        """Comment a minute later, and have the operator look."""
        self.pass_(POLL_SECONDS)
        made = int(self.github.comment(REPOSITORY, number, login, body)["id"])
        await self.look()
        return made

    async def look(self) -> None:
        await self.commanding.look()
        self.sync()

    async def catch_up(self) -> None:
        """Read list after list of what is more than one holds."""
        for _ in range(5):
            await self.look()
            self.pass_(SOON_SECONDS)

    def sync(self) -> None:
        """What the watch brings."""
        for raw in self.api.kept.values():
            self.store.put(raw)

    def annotations(self, key: ObjectKey) -> Mapping[str, str]:
        found: Mapping[str, str] = self.api.kept[key]["metadata"].get("annotations", {})
        return found

    def reactions(self, comment: int, number: int = 1) -> set[str]:
        [found] = [each for each in self.github.seen(REPOSITORY, number).comments if each["id"] == comment]
        return {content for _, content in found["all_reactions"]}

    def replies(self, number: int = 1) -> list[str]:
        return [
            each["body"]
            for each in self.github.seen(REPOSITORY, number).comments
            if each["user"]["login"] == "previews"
        ]

    def is_deleted(self, key: ObjectKey) -> bool:
        return "deletionTimestamp" in self.api.kept[key]["metadata"]

    @contextmanager
    def counted(self) -> Iterator[dict[str, int]]:
        """The requests to GitHub, by operation."""
        counts: dict[str, int] = {}
        self.github.forget_calls()
        yield counts
        counts |= self.github.calls()


@pytest.fixture
async def desk(github: Service) -> AsyncIterator[Desk]:
    first, _ = (github.open(REPOSITORY, sha_of(str(number)), number=number) for number in (1, 2))
    github.add_collaborator(REPOSITORY, "previews", "write")
    time = Time(began=datetime.fromisoformat(first["created_at"]))  # GitHub's time stands still too
    async with connected(github.url, token_secret(github.add_token("previews")), time) as client:
        yield Desk(github, GitHub(client), time)


async def test_an_extension_is_written_and_answered_and_names_the_person(desk: Desk) -> None:
    key = desk.make()
    comment = await desk.say("/preview extend 100h")
    until = datetime.fromisoformat(desk.annotations(key)[EXTEND_UNTIL_ANNOTATION])
    assert timedelta(0) <= desk.time.now() + timedelta(hours=100) - until < timedelta(seconds=2)
    assert desk.reactions(comment) == {"eyes", "+1"}
    [event] = desk.api.events
    assert (event.kind, event.reason) == ("Normal", "CommandedByComment")
    assert f"at the request of ada in comment {comment} on {REPOSITORY}#1" in event.message


async def test_a_deletion_deletes_the_objects_of_the_pull_request_and_no_others(desk: Desk) -> None:
    mine, other_model, others = desk.make("a"), desk.make("b"), desk.make("c", number=2)
    unbound, ungranted = desk.make("d", number=None), desk.make("e", namespace="not-granted")
    elsewhere = desk.make("f", repository="acme/zoology")  # looked at after acme/wine
    comment = await desk.say("/preview delete")
    assert desk.reactions(comment) == {"eyes", "+1"}
    assert [desk.is_deleted(key) for key in (mine, other_model)] == [True, True]
    assert not any(map(desk.is_deleted, (others, unbound, ungranted, elsewhere)))


async def test_a_rebuild_asks_for_a_retry(desk: Desk) -> None:
    key = desk.make()
    comment = await desk.say("/preview rebuild")
    assert desk.annotations(key)[RECONCILE_AT_ANNOTATION].endswith(f" comment {comment}")
    assert desk.reactions(comment) == {"eyes", "+1"}


@pytest.mark.parametrize(
    ("body", "reviews", "why"),
    [
        pytest.param("/preview explode", {}, "there is no such command: write `/preview extend 24h` or", id="none"),
        pytest.param(
            "/preview delete",
            {"commands": ["Extend"]},
            "does not allow that: write `/preview extend 24h`.",
            id="not allowed",
        ),
    ],
)
async def test_a_refusal_says_why(desk: Desk, body: str, reviews: dict[str, Any], why: str) -> None:
    desk.reviews(**reviews)
    key = desk.make()
    comment = await desk.say(body)
    assert desk.reactions(comment) == {"-1"}
    [reply] = desk.replies()
    assert reply.startswith("@ada: ")
    assert why in reply
    assert not desk.is_deleted(key)


async def test_what_the_cluster_refuses_is_said_without_its_words(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.make()

    async def refuse(*_: object) -> None:
        raise Denied("denied the request: secret-policy-of-the-platform-team")

    monkeypatch.setattr(desk.api, "annotate", refuse)
    comment = await desk.say("/preview extend 100h")
    assert desk.reactions(comment) == {"eyes", "-1"}
    [reply] = desk.replies()
    assert "the cluster refuses it" in reply
    assert "secret-policy" not in reply


async def test_without_the_permission_to_write_nothing_is_done(desk: Desk) -> None:
    key = desk.make()
    desk.github.add_collaborator(REPOSITORY, "grace", "triage")
    comment = await desk.say("/preview delete", "grace")
    assert not desk.is_deleted(key)
    assert desk.reactions(comment) == {"-1"}
    assert desk.replies() == ["@grace: commands need the permission to write to this repository."]


async def test_bots_edits_and_other_comments_are_ignored(desk: Desk) -> None:
    key = desk.make()
    desk.github.add_app("helper", [REPOSITORY])
    with desk.counted() as calls:
        await desk.say("/preview delete", "helper[bot]")
        made = desk.github.comment(REPOSITORY, 1, "ada", "looks good")
        desk.github.advance(1)
        desk.github.edit_comment(REPOSITORY, made["id"], "ada", "/preview delete")
        await desk.say("what a nice day")
        await desk.say("/preview delete", number=2)
    assert calls == {LISTING: 3}, "nobody is asked about, and nothing is answered where there is no preview"
    assert not desk.is_deleted(key)


async def test_a_command_is_not_for_an_object_that_was_made_after_it(desk: Desk) -> None:
    old = desk.make("old")
    desk.pass_(POLL_SECONDS)
    desk.github.comment(REPOSITORY, 1, "ada", "/preview delete")
    desk.pass_(2)
    new = desk.make("new")
    await desk.look()
    assert (desk.is_deleted(old), desk.is_deleted(new)) == (True, False)


async def test_commands_are_not_read_where_the_class_allows_none(desk: Desk) -> None:
    desk.reviews(commands=[])
    desk.make()
    with desk.counted() as calls:
        await desk.say("/preview delete")
    assert calls == {}


async def test_another_shards_objects_are_left_to_it(desk: Desk) -> None:
    desk.reviews(repositories=[{"repository": "acme/*", "namespaces": ["*"]}])
    key = desk.make(namespace="of-another-shard")
    with desk.counted() as calls:
        await desk.say("/preview delete")
    assert calls == {}
    assert not desk.is_deleted(key)


async def test_a_comment_is_handled_once(desk: Desk) -> None:
    desk.make()
    await desk.say("/preview explode")
    await desk.say("/preview extend 100h")
    desk.pass_(POLL_SECONDS)
    await desk.look()
    with desk.counted() as calls:
        desk.pass_(POLL_SECONDS)
        await desk.look()
    assert calls == {LISTING: 1}
    assert desk.github.log()[-1]["status"] == 304
    assert len(desk.replies()) == 1


@pytest.mark.parametrize("body", ["/preview extend 100h", "/preview rebuild", "/preview explode", "/preview delete"])
async def test_after_a_restart_nothing_is_done_or_said_again(desk: Desk, body: str) -> None:
    key = desk.make()
    await desk.say(body)
    before, replies, events = desk.annotations(key), desk.replies(), list(desk.api.events)
    desk.restart()
    desk.pass_(POLL_SECONDS)
    await desk.look()
    assert (desk.annotations(key), desk.replies(), desk.api.events) == (before, replies, events)


async def test_what_was_said_while_nobody_looked_is_carried_out_later(desk: Desk) -> None:
    key = desk.make()
    await desk.look()
    desk.pass_(2)
    desk.github.comment(REPOSITORY, 1, "ada", "/preview delete")
    desk.restart()
    desk.pass_(LOOKBACK.total_seconds() - 5)
    await desk.look()
    assert desk.is_deleted(key)


async def test_what_is_older_than_that_is_not(desk: Desk) -> None:
    key = desk.make()
    desk.pass_(2)
    desk.github.comment(REPOSITORY, 1, "ada", "/preview delete")
    desk.pass_(LOOKBACK.total_seconds() + 5)
    await desk.look()
    assert not desk.is_deleted(key)


@pytest.mark.parametrize(
    "trouble",
    [
        {"operation": "reactions/create-for-issue-comment", "effect": "answer_lost", "times": 1},
        {"operation": "reactions/create-for-issue-comment", "effect": "error", "status": 502, "times": 1, "skip": 1},
        {"operation": ASKING, "effect": "error", "times": 1},
        {"operation": LISTING, "effect": "html", "times": 1},
        {"operation": "*", "effect": "secondary_limit", "retry_after": 10, "times": 1},
    ],
    ids=["the first answer is lost", "the last reaction fails", "nobody can be asked", "no list", "limited"],
)
async def test_a_failing_forge_delays_a_command_and_repeats_nothing(desk: Desk, trouble: dict[str, Any]) -> None:
    key = desk.make()
    desk.pass_(SETTLED.total_seconds() + POLL_SECONDS)
    desk.github.trouble(trouble)
    comment = await desk.say("/preview extend 100h")
    for _ in range(3):
        desk.pass_(2 * POLL_SECONDS)
        await desk.look()
    assert desk.reactions(comment) == {"eyes", "+1"}
    assert EXTEND_UNTIL_ANNOTATION in desk.annotations(key)
    assert (desk.api.writes, len(desk.api.events)) == (1, 1)


async def test_where_nothing_may_be_answered_a_command_is_carried_out_all_the_same(desk: Desk) -> None:
    key = desk.make()
    desk.github.trouble({"operation": "reactions/create-for-issue-comment", "effect": "error", "status": 403})
    await desk.say("/preview delete")
    assert desk.is_deleted(key), "a locked conversation takes no reactions"


async def test_a_reaction_that_is_refused_once_is_made_all_the_same(desk: Desk) -> None:
    desk.make()
    refused = {"operation": "reactions/create-for-issue-comment", "effect": "error", "status": 403, "times": 1}
    desk.github.trouble(refused)
    comment = await desk.say("/preview extend 100h")
    assert desk.reactions(comment) == {"eyes", "+1"}


async def test_a_comment_that_is_deleted_meanwhile_does_nothing(desk: Desk) -> None:
    key = desk.make()
    desk.github.trouble({"operation": "reactions/create-for-issue-comment", "effect": "error", "status": 404})
    await desk.say("/preview delete")
    assert not desk.is_deleted(key)


async def test_a_conflict_is_tried_again_soon(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key = desk.make()
    annotate = desk.api.annotate

    async def conflict(*_: object) -> None:
        monkeypatch.setattr(desk.api, "annotate", annotate)
        raise Conflict("changed meanwhile")

    monkeypatch.setattr(desk.api, "annotate", conflict)
    comment = await desk.say("/preview extend 100h")
    assert desk.reactions(comment) == {"eyes"}
    desk.pass_(SOON_SECONDS)
    await desk.look()
    assert EXTEND_UNTIL_ANNOTATION in desk.annotations(key)
    assert desk.reactions(comment) == {"eyes", "+1"}


async def test_a_flood_without_rights_costs_one_question_and_one_answer(desk: Desk) -> None:
    key = desk.make()
    desk.pass_(POLL_SECONDS)
    for _ in range(COMMENTS - 1):
        desk.github.comment(REPOSITORY, 1, "mallory", "/preview delete")
    with desk.counted() as calls:
        await desk.look()
    assert calls[ASKING] == 1
    assert len(desk.replies()) == 1
    assert sum("reactions/create" in name for name in desk.github.writes()) == 1
    comment = await desk.say("/preview delete")
    await desk.catch_up()
    assert desk.reactions(comment) == {"eyes", "+1"}, "others are not kept from it"
    assert desk.is_deleted(key)


async def test_a_flood_of_many_without_rights_is_bounded_in_questions_and_answers(desk: Desk) -> None:
    desk.make()
    desk.pass_(SETTLED.total_seconds() + POLL_SECONDS)
    for number in range(COMMENTS - 1):
        desk.github.comment(REPOSITORY, 1, f"mallory-{number}", "/preview delete")
    with desk.counted() as calls:
        await desk.look()
    assert calls[ASKING] == LOOKUPS[0] // 2
    assert len(desk.replies()) == REFUSALS[0] // 2
    comment = await desk.say("/preview extend 100h")
    assert desk.reactions(comment) == set(), "it waits behind them"
    desk.pass_(REMEMBERED_SECONDS)
    await desk.catch_up()
    assert desk.reactions(comment) == {"eyes", "+1"}


async def test_a_flood_in_one_namespace_keeps_no_other_from_commands(desk: Desk) -> None:
    desk.reviews(repositories=[{"repository": "acme/*", "namespaces": ["*"]}])
    desk.make()
    key = desk.make(namespace="vision", number=2)
    desk.pass_(SETTLED.total_seconds() + POLL_SECONDS)
    for number in range(COMMENTS - 2):
        desk.github.comment(REPOSITORY, 1, f"mallory-{number}", "/preview delete")
    comment = await desk.say("/preview delete", number=2)
    assert desk.reactions(comment, number=2) == {"eyes", "+1"}
    assert desk.is_deleted(key)


async def test_more_comments_than_a_list_holds_are_all_read(desk: Desk) -> None:
    key = desk.make()
    desk.pass_(POLL_SECONDS)
    for _ in range(COMMENTS + 5):
        desk.github.comment(REPOSITORY, 1, "grace", "so many words within one second")
    desk.pass_(1)
    desk.github.comment(REPOSITORY, 1, "ada", "/preview delete")
    await desk.catch_up()
    assert desk.is_deleted(key)


async def test_a_webhook_has_a_repository_looked_at_soon_and_not_too_often(desk: Desk) -> None:
    desk.make()
    await desk.look()
    desk.pass_(SOON_SECONDS)
    with desk.counted() as calls:
        await desk.look()
        assert desk.github.calls() == {}, "not by itself"
        for _ in range(10):
            desk.commanding.wake(REPOSITORY.upper())
            await desk.look()
        desk.commanding.wake("acme/unknown")
    assert calls == {LISTING: 1}


async def test_a_webhook_that_comes_during_a_look_is_not_lost(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    key = desk.make()
    listed = desk.forge.comments

    async def comments(repository: str, since: datetime) -> object:
        found = await listed(repository, since)
        monkeypatch.setattr(desk.forge, "comments", listed)
        desk.github.comment(REPOSITORY, 1, "ada", "/preview delete")
        desk.commanding.wake(REPOSITORY)
        return found

    desk.pass_(2)
    monkeypatch.setattr(desk.forge, "comments", comments)
    await desk.look()
    desk.pass_(SOON_SECONDS)
    await desk.look()
    assert desk.is_deleted(key)


async def test_repositories_take_turns_so_that_rest_costs_two_requests_a_minute(desk: Desk) -> None:
    for number in range(10):
        name = f"acme/repo-{number}"
        desk.github.add_repository(name)
        desk.github.add_collaborator(name, "previews", "write")
        desk.make(f"pr-{number}", repository=name)
    while await desk.commanding.look() == 0.0:
        pass
    with desk.counted() as calls:
        for _ in range(20):
            desk.pass_(PACE_SECONDS)
            while await desk.commanding.look() == 0.0:
                pass
    assert calls == {LISTING: 20}, "in ten minutes"
    assert {each["status"] for each in desk.github.log()[-20:]} == {304}


async def test_repositories_that_do_not_exist_slow_down_no_others(desk: Desk) -> None:
    key = desk.make()
    for number in range(10):
        desk.make(f"none-{number}", repository=f"acme/none-{number}")
    for _ in range(2):
        desk.pass_(PACE_SECONDS * 11)
        for _ in range(11):
            await desk.look()
    desk.github.comment(REPOSITORY, 1, "ada", "/preview extend 120h")
    desk.pass_(POLL_SECONDS)
    for _ in range(11):
        await desk.look()
    assert EXTEND_UNTIL_ANNOTATION in desk.annotations(key)


async def test_a_repository_in_many_cases_is_read_once(desk: Desk) -> None:
    for number, name in enumerate((REPOSITORY, REPOSITORY.upper(), REPOSITORY.title())):
        desk.make(f"pr-{number}", repository=name)
    desk.github.forget_calls()
    for _ in range(3):
        await desk.look()
    assert desk.github.calls()[LISTING] == 1
    await desk.say("/preview extend 120h")
    for number in range(3):
        assert EXTEND_UNTIL_ANNOTATION in desk.annotations(endpoint_key("nlp", f"pr-{number}"))
