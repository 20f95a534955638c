import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from model.codec import Decoder
from model.datasets import load
from model.predictor import Predictor
from model.train import main as train
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess, metrics

from eep_platform.aws.ledger import Call
from eep_platform.bootstrap import DEFAULT_CLASS
from eep_platform.demo.pull_request import MAIN, NUMBER, REPOSITORY, PullRequest
from eep_platform.demo.pull_request import NAME as OBJECT
from eep_platform.demo.story import REQUEST
from eep_platform.errors import PlatformError
from eep_platform.github.client import Seen
from eep_platform.operator import take_events
from eep_platform.platform import Platform
from eep_platform.workbench import Object
from ephemeral_endpoints.engine.tags import CLASS, CLUSTER, EXPIRES_AT, NAME, NAMESPACE, RETAIN, UID

MODEL = Path(__file__).parents[2] / "model"


@dataclass
class ObservedStory(PullRequest):
    """The story, with a look at everything while it is there, and at what it cost when it is over."""

    lines: list[str] = field(default_factory=list)
    obj: Object = field(default_factory=dict)
    alarms: list[Any] = field(default_factory=list)
    alarm_tags: list[dict[str, str]] = field(default_factory=list)
    log_groups: list[Any] = field(default_factory=list)
    log_tags: list[dict[str, str]] = field(default_factory=list)
    log_lines: dict[str, int] = field(default_factory=dict)
    other_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    datapoints: dict[str, list[Any]] = field(default_factory=dict)

    def show_monitoring(self) -> None:
        super().show_monitoring()
        assert isinstance(self.bench, Bench)
        self.obj = self.bench.get(OBJECT) or {}
        self._look_at_alarms(self.bench)
        self._look_at_logs(self.bench)
        self._look_at_tags(self.bench)

    def prove_empty(self) -> None:
        assert isinstance(self.bench, Bench)
        self.bench.forget_late_logs()
        super().prove_empty()

    def _look_at_alarms(self, bench: Bench) -> None:
        cloudwatch = bench.aws("cloudwatch")
        endpoint = {"Name": "EndpointName", "Value": self.obj["status"]["endpointName"]}
        self.alarms = [each for each in cloudwatch.describe_alarms()["MetricAlarms"] if endpoint in each["Dimensions"]]
        for alarm in self.alarms:
            tags = cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
            self.alarm_tags.append({tag["Key"]: tag["Value"] for tag in tags})
            self.datapoints[alarm["MetricName"]] = cloudwatch.get_metric_statistics(
                Namespace=alarm["Namespace"],
                MetricName=alarm["MetricName"],
                Dimensions=alarm["Dimensions"],
                StartTime=self.obj["metadata"]["creationTimestamp"],
                EndTime=self.obj["status"]["expiresAt"],
                Period=alarm["Period"],
                Statistics=[alarm["Statistic"]],
            )["Datapoints"]

    def _look_at_logs(self, bench: Bench) -> None:
        logs = bench.aws("logs")
        endpoint = self.obj["status"]["endpointName"]
        self.log_groups = [each for each in bench.log_groups() if each["logGroupName"].endswith(f"/{endpoint}")]
        for group in self.log_groups:
            name = group["logGroupName"]
            self.log_tags.append(logs.list_tags_for_resource(resourceArn=group["logGroupArn"])["tags"])
            self.log_lines[name] = len(logs.filter_log_events(logGroupName=name)["events"])

    def _look_at_tags(self, bench: Bench) -> None:
        sagemaker = bench.aws("sagemaker")
        for resource in self.obj["status"]["resources"]:
            if resource["kind"] in {"Model", "EndpointConfig", "Endpoint"}:
                tags = sagemaker.list_tags(ResourceArn=resource["arn"])["Tags"]
                self.other_tags[resource["kind"]] = {tag["Key"]: tag["Value"] for tag in tags}
            elif resource["kind"] == "Function":
                self.other_tags["Function"] = bench.aws("lambda").list_tags(Resource=resource["arn"])["Tags"]


@dataclass(frozen=True)
class Outcome:
    """What is known when the story is over."""

    story: ObservedStory
    bench: Bench
    writes: Counter[tuple[str, str, str]]
    mutations: list[Call]
    published: list[str]
    seen: Seen


@pytest.fixture(scope="module")
def outcome(platform: Platform, operator_process: OperatorProcess) -> Iterator[Outcome]:
    """The whole story of one pull request, outcome once."""
    bench = Bench(platform, namespace=f"story-{uuid4().hex[:8]}")
    bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=bench.namespace)))
    operator_process.stop()
    for name in bench.contents().get("Repository", []):
        # One that another test has left: the story would not be seen to make it.
        bench.aws("ecr").delete_repository(repositoryName=name, force=True)
    operator_process.run({**DEFAULT_SETTINGS, **take_events(platform)})
    bench.control.reset_meter()
    platform.github.forget_calls()
    before = writes(bench)
    lines: list[str] = []
    story = ObservedStory(bench, MODEL, lines.append, lines=lines)
    try:
        story.run()
    except PlatformError:
        with suppress(ApiException):  # it may be gone
            bench.delete(OBJECT)
        with suppress(ApiException):
            bench.delete(MAIN)
        raise
    published, seen = platform.github.writes(), platform.github.seen(REPOSITORY, NUMBER)
    yield Outcome(story, bench, writes(bench) - before, bench.mutations(), published, seen)
    bench.wait_empty()


def test_each_revision_predicts_what_its_own_model_does(outcome: Outcome, tmp_path: Path) -> None:
    said = [json.loads(line.partition(": ")[2]) for line in outcome.story.lines if "prediction of revision" in line]
    features = Decoder(load("wine").columns).decode((MODEL / REQUEST).read_bytes(), "application/json")
    for prediction, inverse_regularization in zip(said, (0.001, 0.05), strict=True):
        flags = ["--inverse-regularization", str(inverse_regularization)]
        assert train(["--dataset", "wine", "--model-dir", str(tmp_path), *flags]) == 0
        expected = Predictor.load(tmp_path, "0123abc").predict(features)
        given = [prediction["probabilities"][label] for label in expected.classes]
        assert given == pytest.approx(expected.probabilities[0], rel=1e-6)
        assert prediction["label"] == expected.classes[int(np.argmax(expected.probabilities[0]))]


def test_the_reviewer_opens_the_page_and_votes(outcome: Outcome) -> None:
    lines = [line.strip() for line in outcome.story.lines]
    [opened] = [line for line in lines if line.startswith(f"eep open {OBJECT}: ")]
    assert re.search(rf"/{outcome.bench.namespace}/{OBJECT}#t=eep_[\w-]+$", opened)
    counts = lines.index(f"eep feedback {OBJECT}:") + 1
    assert [line.split() for line in lines[counts : counts + 2]] == [
        ["|", "VARIANT", "UP", "DOWN"],
        ["|", "main", "1", "0"],
    ]


def test_requests_during_the_rollout_are_never_refused(outcome: Outcome) -> None:
    counted = next(line for line in outcome.story.lines if "requests meanwhile" in line)
    assert int(counted.split()[0]) > 0
    assert counted.rpartition("{")[2].startswith("200:")
    assert "," not in counted.rpartition("{")[2]


def test_the_alarms_watch_this_endpoint_and_have_data(outcome: Outcome) -> None:
    alarms = {alarm["MetricName"]: alarm for alarm in outcome.story.alarms}
    assert {name: alarm["Threshold"] for name, alarm in alarms.items()} == {
        "ModelLatency": 5_000_000.0,
        "Invocation5XXErrors": 0.05,
    }
    endpoint = outcome.story.obj["status"]["endpointName"]
    for name, alarm in alarms.items():
        assert alarm["Namespace"] == "AWS/SageMaker"
        dimensions = {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
        assert dimensions == {"EndpointName": endpoint, "VariantName": "main"}
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["TreatMissingData"] == "notBreaching"
        assert outcome.story.datapoints[name], "the metric that it watches has data under these very dimensions"
        assert alarm["StateValue"] == "OK"
    latency = outcome.story.datapoints["ModelLatency"][0]["Average"]
    assert 100 < latency < 5_000_000, "microseconds"


def test_both_log_groups_have_an_end_and_lines(outcome: Outcome) -> None:
    endpoint = outcome.story.obj["status"]["endpointName"]
    groups = {group["logGroupName"]: group.get("retentionInDays") for group in outcome.story.log_groups}
    assert groups == {f"/aws/lambda/{endpoint}": 7, f"/aws/sagemaker/Endpoints/{endpoint}": 7}
    assert all(outcome.story.log_lines.values())


def test_everything_taggable_says_whose_it_is(outcome: Outcome) -> None:
    story, metadata = outcome.story, outcome.story.obj["metadata"]
    assert set(story.other_tags) == {"Model", "EndpointConfig", "Endpoint", "Function"}
    everything = [*story.alarm_tags, *story.log_tags, *story.other_tags.values()]
    assert len(everything) == 8
    for tags in everything:
        assert tags.pop(CLUSTER)
        # What was there before the last revision was told its new end, and that it is not kept.
        assert tags.pop(RETAIN, "false") == "false"
        assert tags == {
            UID: metadata["uid"],
            NAMESPACE: metadata["namespace"],
            NAME: OBJECT,
            CLASS: DEFAULT_CLASS,
            EXPIRES_AT: story.obj["status"]["expiresAt"],
            "CreatedAt": metadata["creationTimestamp"],
            "Environment": "Ephemeral",
            "ManagedBy": "ephemeral-endpoints",
            "PR_Number": "42",
        }


def test_no_call_that_changes_aws_is_made_twice_or_for_nothing(outcome: Outcome) -> None:
    calls = outcome.mutations
    assert [call for call in calls if call.status is None or call.status >= 400] == []
    # The meter knows the project, the repository and the API, not the build, the image and the route in them: there are
    # three commits and two objects. A log group that comes back for late lines is deleted again.
    # Each worker of a function keeps what the model answered to a sample.
    several = {"BatchDeleteImage", "CreateIntegration", "CreateRoute", "DeleteLogGroup", "PutItem", "StartBuild"}
    once = Counter((call.operation, call.resource) for call in calls if call.operation not in several)
    assert max(once.values()) == 1
    counts = Counter(call.operation for call in calls)
    assert 4 <= counts.pop("DeleteLogGroup") <= 8
    assert 1 <= counts.pop("PutItem") <= 20
    assert counts == {
        "CreateTable": 1,
        "TransactWriteItems": 1,
        "DeleteTable": 1,
        "CreateRepository": 1,
        "PutLifecyclePolicy": 1,
        "StartBuild": 3,
        "BatchDeleteImage": 3,
        "CreateApi": 1,
        "CreateStage": 1,
        "UpdateStage": 1,
        "DeleteApi": 1,
        "CreateLogGroup": 4,
        "PutRetentionPolicy": 4,
        "PutMetricAlarm": 4,
        "DeleteAlarms": 2,
        "CreateModel": 3,
        "DeleteModel": 3,
        "CreateEndpointConfig": 3,
        "DeleteEndpointConfig": 3,
        "CreateEndpoint": 2,
        "UpdateEndpoint": 1,
        "DeleteEndpoint": 2,
        "CreateFunction": 2,
        "UpdateFunctionCode": 1,
        "DeleteFunction": 2,
        "CreateIntegration": 2,
        "DeleteIntegration": 2,
        "CreateRoute": 4,
        "DeleteRoute": 4,
        # The time to live counts from the last revision.
        "AddTags": 3,
        "TagResource": 6,
    }


def test_kubernetes_is_written_to_only_where_there_is_something_to_say(outcome: Outcome) -> None:
    assert outcome.writes["ephemeralendpoints", "", "PATCH"] == 5, "two finalizers on and off, and that it was merged"
    assert outcome.writes["ephemeralendpoints", "", "DELETE"] == 2, "the preview after the merge, and main's by hand"
    assert outcome.writes["secrets", "", "POST"] == 2
    assert outcome.writes["ephemeralendpoints", "status", "PATCH"] <= 45, "four of them for the steps of each build"
    assert outcome.writes["events", "", "POST"] <= 50


def test_the_events_show_the_story(outcome: Outcome) -> None:
    events = outcome.bench.events(outcome.story.obj)
    assert {"Building", "Serving", "PullRequestMerged"} <= {event.reason for event in events}
    messages = " ".join(str(event.message) for event in events)
    assert "EndpointReady: the endpoint is serving" in messages
    assert {event.type for event in events} == {"Normal"}
    assert all(event.message and event.first_timestamp for event in events)
    assert max(Counter((event.reason, event.message) for event in events).values()) <= 2


def test_the_pull_request_shows_each_revision_and_the_end(outcome: Outcome) -> None:
    seen = outcome.seen
    [comment] = seen.comments
    assert "is gone since" in comment["body"]
    assert [[each["state"] for each in deployment["statuses"]][-1] for deployment in seen.deployments] == [
        "inactive"
    ] * 2
    assert {each["context"] for each in seen.statuses} == {"ephemeral-endpoints"}
    by_commit = {each["sha"]: each["state"] for each in seen.statuses}
    assert list(by_commit.values()) == ["success"] * 2
    assert len(outcome.published) <= 2 * 9 + 2, "nine writing requests for a revision, two for the end"


def test_the_reviewer_reads_first_what_the_change_changes(outcome: Outcome) -> None:
    shown = [line.partition("| ")[2] for line in outcome.story.lines if line.strip().startswith("|")]
    assert "serves" in shown[0]
    assert shown[2].startswith("**Compared with `wine-main`")
    assert any("**Checks:** 1 of 1 passed" in line for line in shown)


def test_the_account_is_empty_in_the_end(outcome: Outcome) -> None:
    assert outcome.bench.get(OBJECT) is None
    outcome.bench.wait_empty()


def writes(bench: Bench) -> Counter[tuple[str, str, str]]:
    """The API server's own count of writes by resource, subresource and verb."""
    known = bench.core.api_client.configuration
    (authorization,) = (each["value"] for each in known.auth_settings().values() if each["key"] == "authorization")
    samples = metrics(f"{known.host}/metrics", headers={"Authorization": authorization}, verify=known.ssl_ca_cert)
    found: Counter[tuple[str, str, str]] = Counter()
    for each in samples("apiserver_request_total"):
        if each.labels["verb"] in {"POST", "PUT", "PATCH", "DELETE"}:
            found[each.labels["resource"], each.labels["subresource"], each.labels["verb"]] += int(each.value)
    return found
