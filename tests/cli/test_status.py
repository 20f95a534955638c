from collections.abc import Callable
from datetime import UTC, datetime

import click
import pytest
from click.testing import Result
from kubernetes.client import CoreV1Event, V1ObjectMeta, V1ObjectReference
from tests.cli.conditions import condition, ready, stalled, working
from tests.cli.conftest import NO_AWS
from tests.engine.objects import endpoint
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.cli.status import Event, last_events, rendered

NOW = datetime(2026, 11, 29, 12, 5, tzinfo=UTC)
PINNED = condition("ImageReady", "True", "Pinned", "pinned to sha256:aa")
CREATING = condition("EndpointReady", "False", "Creating", "waiting for Endpoint eep-c1-pr-42")
RESOURCES = [
    {"kind": "Endpoint", "name": "eep-c1", "arn": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/eep-c1"},
    {"kind": "Route", "name": "POST /nlp/pr-42"},
]


def lines(status: dict[str, object], *events: Event) -> list[str]:
    return [click.unstyle(line) for line in rendered(endpoint({"status": status}), events, NOW)]


def test_the_tree_has_the_stages_in_their_order_with_their_ages() -> None:
    assert [line for line in lines(working(PINNED, CREATING)) if " Ready " in line or "─" in line] == [
        "… Ready              False      5m  Creating: waiting",
        "├─ ✓ ImageReady      True       5m  Pinned: pinned to sha256:aa",
        "└─ … EndpointReady   False      5m  Creating: waiting for Endpoint eep-c1-pr-42",
    ]


def test_what_stalls_is_the_last_branch() -> None:
    printed = lines(stalled("BuildFailed", "RUN failed:\x1b[2J no such file"))
    assert printed[-3:] == [
        "✗ Ready              False      5m  BuildFailed: RUN failed: [2J no such file",
        "├─ ✗ ImageReady      False      5m  BuildFailed: RUN failed: [2J no such file",
        "└─ ✗ Stalled         True       5m  BuildFailed: RUN failed: [2J no such file",
    ]


def test_the_head_says_what_is_served_until_when() -> None:
    status = ready(
        PINNED,
        url="https://x.example/nlp/pr-42",
        expiresAt="2026-11-30T12:05:00Z",
        cost={"hourlyUSD": "0.11"},
        serving="serverless, 2048 MB",
    )
    head = dict(line.split("   ", 1) for line in lines(status)[: lines(status).index("")])
    assert {name: value.strip() for name, value in head.items()} == {
        "Name": "pr-42",
        "Namespace": "nlp",
        "Source": "acme/sentiment, pull request 42",
        "Revision": "1f0c2a9",
        "Serving": "serverless, 2048 MB",
        "URL": "https://x.example/nlp/pr-42",
        "Expires": "2026-11-30 12:05 UTC (in 24h)",
        "Cost": "0.11 USD an hour",
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "no conditions yet: is the operator running? `eep doctor` tells"),
        ({}, "Note        the operator has not seen the newest version of the object yet"),
        (working(), "Revision    1f0c2a9 (not served yet)"),
        (ready(revision="aaaaaaa"), "Revision    1f0c2a9 (not served yet; the URL serves aaaaaaa)"),
    ],
)
def test_what_is_not_there_yet_is_said(status: dict[str, object], expected: str) -> None:
    assert expected in lines(status)


def test_the_results_of_checks_are_a_table() -> None:
    results = [
        {"name": "praise", "outcome": "Passed", "latencyMs": 120},
        {"name": "empty", "outcome": "Failed", "message": "status: expected 422, found 200 (\x1b[2J)"},
    ]
    run = {"id": "1", "revision": "1f0c2a9", "finishedAt": "2026-11-29T12:00:00Z", "results": results}
    printed = lines(ready(PINNED, checks=run))
    assert printed[printed.index("Checks") :] == [
        "Checks",
        "  praise   Passed   120 ms",
        "  empty    Failed   -        status: expected 422, found 200 ( [2J)",
    ]


def test_resources_and_events_are_tables() -> None:
    created = Event(datetime(2026, 11, 29, 12, 4, tzinfo=UTC), "Normal", "Creating", "waiting")
    printed = lines(ready(PINNED, resources=RESOURCES), created)
    assert printed[-7:] == [
        "",
        "AWS resources",
        "  Endpoint   eep-c1            arn:aws:sagemaker:us-east-1:123456789012:endpoint/eep-c1",
        "  Route      POST /nlp/pr-42",
        "",
        "Events",
        "  60s   Normal   Creating   waiting",
    ]


def test_only_the_last_events_are_shown_the_oldest_first() -> None:
    def event(number: int) -> dict[str, object]:
        return {"metadata": {}, "lastTimestamp": f"2026-11-29T12:00:{number:02}Z", "reason": f"R{number}"}

    assert [each.reason for each in last_events(map(event, (7, 3, 5, 1, 6, 2, 4)))] == ["R3", "R4", "R5", "R6", "R7"]


def test_it_shows_an_object_with_its_events_and_says_why_there_are_no_logs(
    run: Callable[..., Result], cluster: Cluster
) -> None:
    uid = cluster.create()["metadata"]["uid"]
    group = "/aws/sagemaker/Endpoints/eep-c1"
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    cluster.patch_status(ready(PINNED, resources=[{"kind": "LogGroup", "name": group, "arn": arn}]))
    about = V1ObjectReference(
        api_version="ephemeral-endpoints.io/v1alpha1", kind="EphemeralEndpoint", name="pr-42", uid=uid,
        namespace=cluster.namespace,
    )  # fmt: skip
    event = CoreV1Event(
        metadata=V1ObjectMeta(name="pr-42.1"),
        involved_object=about,
        reason="Serving",
        message="it serves",
        type="Normal",
    )
    cluster.core.create_namespaced_event(cluster.namespace, event)
    result = run("status", "pr-42", **NO_AWS)
    assert result.exit_code == 0
    assert "Normal   Serving   it serves" in result.stdout
    assert f"Logs of the model, {group}\n  not available: Unable to locate credentials" in result.stdout
