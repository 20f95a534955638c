import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from gidgethub import sansio
from tests.eep_platform.github.conftest import HEAD
from tests.fixtures.github import REPOSITORY

from eep_platform.github.client import GitHubClient, sha_of
from eep_platform.github.rest import schemas
from eep_platform.github.webhooks import signature

SECRET = "It's a Secret to Everybody"  # noqa: S105 - of the documentation


@dataclass
class Receiver:
    """Takes deliveries, and answers with ``status``."""

    url: str = ""
    status: int = 202
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)

    def payloads(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        made.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield made
        server.shutdown()
        thread.join()


def test_the_signature_is_that_of_the_documentation() -> None:
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signature(SECRET, b"Hello, World!") == expected


def test_a_life_is_told_event_by_event_as_github_would(github: GitHubClient, receiver: Receiver) -> None:
    github.send_events(receiver.url, SECRET)
    github.add_app("previews", [REPOSITORY])
    github.open(REPOSITORY, HEAD, number=42, fork="mallory/wine")
    github.push(REPOSITORY, 42, sha_of("second"))
    comment = github.comment(REPOSITORY, 42, "eve", "/preview delete")
    github.edit_comment(REPOSITORY, comment["id"], "eve", "Never mind")
    github.delete_comment(REPOSITORY, comment["id"])
    github.close(REPOSITORY, 42)
    github.reopen(REPOSITORY, 42)
    github.merge(REPOSITORY, 42)

    sent = [(each["event"], each["action"]) for each in github.deliveries()]
    assert sent == [
        ("pull_request", "opened"),
        ("pull_request", "synchronize"),
        ("issue_comment", "created"),
        ("issue_comment", "edited"),
        ("issue_comment", "deleted"),
        ("pull_request", "closed"),
        ("pull_request", "reopened"),
        ("pull_request", "closed"),
    ]
    assert len(receiver.got) == len(sent)
    for headers, body in receiver.got:
        event = sansio.Event.from_http(headers, body, secret=SECRET)
        model = f"Webhook{event.event.title().replace('_', '')}{event.data['action'].title()}"
        assert schemas.response_problem(model, body) is None, model
        assert "installation" in event.data
    by_action = {each["action"]: each for each in receiver.payloads() if "before" in each or "changes" in each}
    assert by_action["synchronize"]["before"] == HEAD
    assert by_action["edited"]["changes"]["body"]["from"] == "/preview delete"


def test_a_delivery_is_repeated_on_request_only_and_keeps_its_id(github: GitHubClient, receiver: Receiver) -> None:
    receiver.status = 503
    github.send_events(receiver.url, SECRET)
    github.open(REPOSITORY, HEAD, number=42)
    [delivery] = github.deliveries()
    assert delivery["statuses"] == [503]
    receiver.status = 202
    github.redeliver(delivery["guid"])
    assert github.deliveries()[0]["statuses"] == [503, 202]
    assert {headers["x-github-delivery"] for headers, _ in receiver.got} == {delivery["guid"]}
    assert len({body for _, body in receiver.got}) == 1


def test_nobody_listening_harms_nothing(github: GitHubClient) -> None:
    github.open(REPOSITORY, HEAD, number=42)
    assert github.deliveries() == [], "there is nowhere to deliver to"
    github.send_events("http://127.0.0.1:9/", SECRET)
    github.close(REPOSITORY, 42)
    assert github.deliveries()[0]["statuses"] == [None]
