"""eep model, on an embedded registry with the credentials of the shell."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import IMAGE
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.cli.model import command
from ephemeral_endpoints.cli.model_registry import RegisteredVersion, numbers
from ephemeral_endpoints.cli.model_text import described, differences, listing

NOW = datetime(2026, 12, 1, tzinfo=UTC)
ARN = f"arn:aws:sagemaker:{ministack.REGION}:{ministack.ACCOUNT}:model-package/wine"


def version(number: int, accuracy: float | None = None, **properties: str) -> RegisteredVersion:
    return RegisteredVersion(
        arn=f"{ARN}/{number}",
        approval="Approved",
        comment="",
        status="Completed",
        created_at=datetime(2026, 11, 30, tzinfo=UTC),
        image=IMAGE,
        digest=f"sha256:{number}",
        data="s3://acme/model.tar.gz",
        environment={},
        properties=properties,
        metrics={} if accuracy is None else {"m.accuracy.value": accuracy, "m.a.value": 0.1},
    )


def test_a_line_has_metric_approval_origin_and_what_serves() -> None:
    one = version(7, 0.975, repository="acme/wine", pullRequest="42", revision="f" * 40, dataRevision="2026-11-28")
    lines = listing([one, version(6)], {one.arn: ["nlp/a", "nlp/b"]}, NOW)
    assert [line.split() for line in lines[1:]] == [
        ["wine/7", "Approved", "0.975", "acme/wine", "42", "f" * 12, "2026-11-28", "nlp/a,", "nlp/b", "24h"],
        ["wine/6", "Approved", "-", "-", "-", "-", "-", "-", "24h"],
    ]
    assert listing([], {}, NOW) == ["no versions"]


def test_what_a_pull_request_wrote_does_no_harm_to_a_terminal() -> None:
    hostile = version(7, None, repository="acme\x1b[2J\nwine", **{"hyper\x1b": "1\r"})
    assert "\x1b" not in "".join([*listing([hostile], {}, NOW), *described(hostile), *differences(version(6), hostile)])


def test_a_difference_has_the_change_of_a_metric_and_nothing_that_is_equal() -> None:
    lines = differences(version(6, 0.9, seed="1", revision="a"), version(7, 0.95, seed="2", revision="a"))
    rows = [line.split() for line in lines]
    assert ["metric", "m.accuracy.value", "0.9", "0.95", "+0.05"] in rows
    assert ["seed", "1", "2"] in rows
    assert ["digest", "sha256:6", "sha256:7"] in rows
    assert not [row for row in rows if row[0] in {"revision", "data", "image"}]
    assert differences(version(6), version(6)) == ["wine/6 and wine/6 do not differ"]


def test_numbers_are_found_however_deep_and_nothing_else() -> None:
    document = {"a": {"b": {"value": 1}}, "c": True, "d": "2", "e": [3], "f": 0.5}
    assert numbers(document) == {"a.b.value": 1.0, "f": 0.5}


class Shell:
    """Commands as a person runs them, without a cluster."""

    def __init__(self, aws: Aws, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", "/nowhere")
        put_image(aws)
        self.client = clients.sagemaker
        self.s3 = clients.s3()
        self.client.create_model_package_group(ModelPackageGroupName="wine")

    def register(self, accuracy: float) -> str:
        self.s3.put_object(Bucket="metrics", Key=f"{accuracy}.json", Body=json.dumps({"accuracy": {"value": accuracy}}))
        statistics: Any = {"ContentType": "application/json", "S3Uri": f"s3://metrics/{accuracy}.json"}
        container: Any = {"Image": IMAGE}
        return self.client.create_model_package(
            ModelPackageGroupName="wine",
            InferenceSpecification={"Containers": [container]},
            ModelMetrics={"ModelQuality": {"Statistics": statistics}},
            CustomerMetadataProperties={"revision": "abc"},
        )["ModelPackageArn"]

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(command, [*words, "--region", ministack.REGION])

    def approval(self, arn: str) -> tuple[str, str]:
        found = self.client.describe_model_package(ModelPackageName=arn)
        return found["ModelApprovalStatus"], found.get("ApprovalDescription", "")


@pytest.fixture
def shell(fresh_aws: Aws, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> Shell:
    made = Shell(fresh_aws, clients, monkeypatch)
    made.s3.create_bucket(Bucket="metrics")
    return made


def test_versions_are_listed_newest_first_also_without_a_cluster(shell: Shell) -> None:
    for accuracy in (0.8, 0.9):
        shell.register(accuracy)
    result = shell.run("list", "wine")
    assert result.exit_code == 0, result.output
    assert [line.split()[:3] for line in result.stdout.splitlines()[1:]] == [
        ["wine/2", "PendingManualApproval", "0.9"],
        ["wine/1", "PendingManualApproval", "0.8"],
    ]
    assert "what serves the versions is not known: no cluster" in result.stderr
    assert len(shell.run("list", "wine", "--limit", "1").stdout.splitlines()) == 2


def test_a_version_is_approved_and_rejected_with_a_reason(shell: Shell) -> None:
    arn = shell.register(0.9)
    assert shell.run("approve", "wine/1", "--yes", "-d", "better").exit_code == 0
    assert shell.approval(arn) == ("Approved", "better")
    again = shell.run("approve", arn, "--yes")
    assert (again.exit_code, "is Approved already" in again.stderr) == (0, True)
    assert shell.run("reject", arn, "--yes", "-d", "worse").exit_code == 0
    assert shell.approval(arn) == ("Rejected", "worse")


def test_nothing_is_decided_without_a_person_or_a_yes(shell: Shell) -> None:
    arn = shell.register(0.9)
    result = shell.run("approve", "wine/1")
    assert (result.exit_code, "use --yes" in result.stderr) == (2, True)
    assert "accuracy.value" in result.stdout
    assert shell.approval(arn) == ("PendingManualApproval", "")


def test_two_versions_are_compared(shell: Shell) -> None:
    for accuracy in (0.8, 0.9):
        shell.register(accuracy)
    result = shell.run("diff", "wine/1", "wine/2")
    assert ["metric", "accuracy.value", "0.8", "0.9", "+0.1"] in [line.split() for line in result.stdout.splitlines()]


def test_what_is_not_there_is_told_in_a_line(shell: Shell) -> None:
    result = shell.run("approve", "wine/9", "--yes")
    assert result.exit_code == 1
    assert f"{ARN}/9 does not exist" in result.stderr
