"""A comment on a pull request, by a webhook, to an operator as a process; and what people are told of it."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.fixtures.github import REPOSITORY
from tests.fixtures.operator import DEFAULT_SETTINGS, REVISION, Bench, OperatorProcess
from tests.fixtures.waiting import eventually

from eep_platform.github.client import GitHubClient, sha_of
from eep_platform.processes import free_port

NAME = "commanded"


@pytest.fixture
def slack() -> Iterator[tuple[str, list[str]]]:
    """An incoming webhook on this machine, and the first lines of what it gets."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"].splitlines()[0])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.settings(None)
def test_a_comment_deletes_a_preview_at_once_and_slack_is_told(
    bench: Bench, operator_process: OperatorProcess, github: GitHubClient, slack: tuple[str, list[str]]
) -> None:
    hook, told = slack
    port = free_port()
    operator_process.run({**DEFAULT_SETTINGS, "EEP_OWN_NAMESPACE": bench.namespace, "EEP_WEBHOOK_PORT": str(port)})
    secrets = {"forge": {"webhookSecret": "it signs", "token": github.add_token("ada")}, "slack": {"url": hook}}
    for name, content in secrets.items():
        body = V1Secret(metadata=V1ObjectMeta(name=name), string_data=content)
        bench.core.create_namespaced_secret(bench.namespace, body)
    grants = [{"repository": REPOSITORY, "namespaces": [bench.namespace]}]
    bench.make_class(
        NAME,
        reviews={"url": github.url, "secretName": "forge", "repositories": grants},
        notifications={"targets": [{"name": "ml-team", "webhook": {"secretName": "slack"}}]},
    )
    github.open(REPOSITORY, sha_of("first"), number=42)
    github.send_events(f"http://127.0.0.1:{port}/webhooks/github/{NAME}", "it signs")
    source = {"repository": REPOSITORY, "pullRequest": 42, "revision": REVISION}
    bench.apply("pr", bench.spec(className=NAME, source=source))
    bench.wait_ready("pr")
    github.advance(60)
    eventually(lambda: bool(github.calls().get("issues/list-comments-for-repo")), "comments are read")
    made = github.comment(REPOSITORY, 42, "ada", "/preview delete")
    bench.wait_gone("pr")
    bench.wait_empty()
    [delivery] = [each for each in github.deliveries() if each["event"] == "issue_comment"]
    assert delivery["statuses"] == [202]
    eventually(lambda: len(told) == 2, "both notifications")
    assert told == [f"*{bench.namespace}/pr is ready*", f"*{bench.namespace}/pr is gone*"]

    def reactions() -> list[str]:
        [shown] = [each for each in github.seen(REPOSITORY, 42).comments if each["id"] == made["id"]]
        return sorted(content for _, content in shown["all_reactions"])

    eventually(lambda: reactions() == ["+1", "eyes"], "the command answered")
    bench.delete_class(NAME)
    bench.wait_class_gone(NAME)
