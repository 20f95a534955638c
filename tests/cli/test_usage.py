"""What AWS has counted, of real invocations, and what it keeps, whatever it answers."""

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.cli.conftest import NO_AWS
from tests.engine.objects import REGISTRY
from tests.features.capacity.test_usage import GROUP, NOW, PRICES, TWO_GB, WRITTEN, model
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.sagemaker.metrics import NAMESPACE, Invocation, metric_data
from ephemeral_endpoints.cli.usage import Counts, UsageUnavailable, counts
from ephemeral_endpoints.features.capacity.usage import (
    Source,
    StoredImage,
    StoredLogs,
    StoredModel,
    measures,
    used,
)

REGION = "us-east-1"
NAME = "eep-c1-pr-42"
CODE = "import time\ndef handler(event, context):\n    time.sleep(event['seconds'])\n"
SECONDS = (0.02, 0.05, 0.1, 0.03)


@pytest.fixture
def shell(fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A shell with credentials of the account."""
    for name, value in {**NO_AWS, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", fresh_aws.endpoint)
    return fresh_aws


def read(*sources: Source, account: str = ministack.ACCOUNT) -> Counts:
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(minutes=1)
    return counts(sources, region=REGION, account=account, start=start, end=end)


def counted(*sources: Source) -> Mapping[Source, Decimal | None]:
    found = read(*sources)
    assert not found.unread
    return found.by_source


def invoked(aws: Aws) -> float:
    """Invokes a function; returns for how many milliseconds, minute by minute."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", CODE)
    functions = aws.client("lambda")
    functions.create_function(
        FunctionName=NAME,
        Runtime="python3.11",
        Role=f"arn:aws:iam::{ministack.ACCOUNT}:role/any",
        Handler="code.handler",
        Code={"ZipFile": archive.getvalue()},
        MemorySize=512,
        Timeout=60,
    )
    for seconds in SECONDS:
        answer = functions.invoke(FunctionName=NAME, Payload=json.dumps({"seconds": seconds}))
        assert "FunctionError" not in answer, answer["Payload"].read()

    now, dimensions = datetime.now(UTC), [{"Name": "FunctionName", "Value": NAME}]
    minutes = aws.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Duration",
        Dimensions=dimensions,
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    total: float = sum(each["Sum"] for each in minutes)
    assert total >= sum(SECONDS) * 1000
    return total


def test_what_was_used_costs_within_five_percent_what_an_independent_calculation_says(shell: Aws) -> None:
    milliseconds = invoked(shell)
    invocations = [Invocation(NAME, "main", 200, microseconds, 2000.0) for microseconds in (150_000.0, 250_000.0)]
    shell.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=list(metric_data(invocations)))
    found = measures(TWO_GB, 512, NOW)
    costs = {each.measure.words: each.usd for each in used(found, counted(*(each.source for each in found)), PRICES)}
    expected = {
        "API requests": len(SECONDS) * 1.00 / 1e6,
        "forwarder, requests": len(SECONDS) * 0.20 / 1e6,
        "forwarder, seconds": milliseconds / 1000 * 0.5 * 0.0000166667,
        "serverless, seconds": (0.15 + 0.25) * 2 * 0.00002,
    }
    assert {words: float(usd or 0) for words, usd in costs.items()} == pytest.approx(expected, rel=0.05)


def test_what_was_counted_minutes_late_counts_the_next_time_and_nothing_is_nothing(shell: Aws) -> None:
    assert counted(model()) == {model(): Decimal(0)}
    late = datetime.now(UTC) - timedelta(minutes=10)
    data = [each | {"Timestamp": late} for each in metric_data([Invocation(NAME, "main", 200, 5.0, 1.0)])]
    shell.client("cloudwatch").put_metric_data(Namespace=NAMESPACE, MetricData=data)
    assert counted(model()) == {model(): Decimal(5)}


def test_credentials_of_another_account_are_refused_before_anything_is_read(shell: Aws) -> None:
    with pytest.raises(UsageUnavailable, match="CloudWatch has counted in 210987654321: choose others"):
        read(model(), account="210987654321")
    assert not any(each.operation == "GetMetricData" for each in shell.control.log())


def test_whoever_may_not_read_metrics_is_told_what_is_missing(shell: Aws) -> None:
    error = FaultError(code="AccessDenied", message="not authorized", status=403)
    shell.control.add_faults(Fault(service="cloudwatch", error=error, times=1))
    with pytest.raises(UsageUnavailable, match="need cloudwatch:GetMetricData in the account"):
        read(model())


def test_logs_count_as_they_are_written_and_as_long_as_they_are_kept(shell: Aws) -> None:
    invoked(shell)
    logs = shell.client("logs")
    events = logs.filter_log_events(logGroupName=GROUP)["events"]
    logs.create_log_group(logGroupName=f"{GROUP}-of-another")
    size = Decimal(sum(len(each["message"].encode()) for each in events))
    assert size > 0
    assert counted(WRITTEN, StoredLogs(GROUP)) == {WRITTEN: size, StoredLogs(GROUP): size}
    logs.delete_log_group(logGroupName=GROUP)
    assert counted(WRITTEN, StoredLogs(GROUP)) == {WRITTEN: size, StoredLogs(GROUP): Decimal(0)}


def image(aws: Aws, manifest: dict[str, object]) -> StoredImage:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="models/sentiment")
    put = ecr.put_image(repositoryName="models/sentiment", imageManifest=json.dumps(manifest), imageTag="pr-42")
    return StoredImage(f"{REGISTRY}/models/sentiment:pr-42", put["image"]["imageId"]["imageDigest"])


def test_an_image_takes_what_its_layers_and_its_configuration_do(shell: Aws) -> None:
    parts = {"config": {"size": 7}, "layers": [{"size": 1000}, {"size": 200}]}
    stored = image(shell, {"schemaVersion": 2, **parts})
    assert counted(stored) == {stored: Decimal(1207)}


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param({"manifests": []}, id="an index does not say what its images take"),
        pytest.param({"layers": [{"size": -5}], "config": {"size": 1}}, id="nothing takes less than nothing"),
    ],
)
def test_the_size_of_an_image_is_not_guessed(shell: Aws, manifest: dict[str, object]) -> None:
    stored = image(shell, {"schemaVersion": 2, **manifest})
    assert counted(stored) == {stored: None}


def test_a_registered_model_takes_what_its_archive_does(shell: Aws) -> None:
    shell.client("s3").create_bucket(Bucket="models")
    shell.client("s3").put_object(Bucket="models", Key="wine/model.tar.gz", Body=bytes(4321))
    image(shell, {"schemaVersion": 2, "config": {"size": 1}, "layers": []})
    sagemaker = shell.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="wine")
    container = {"Image": f"{REGISTRY}/models/sentiment:pr-42", "ModelDataUrl": "s3://models/wine/model.tar.gz"}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="wine",
        InferenceSpecification={"Containers": [container]},
    )["ModelPackageArn"]
    assert counted(StoredModel(arn)) == {StoredModel(arn): Decimal(4321)}


def test_a_right_that_is_missing_costs_only_what_needs_it(shell: Aws) -> None:
    stored = image(shell, {"schemaVersion": 2, "config": {"size": 1}, "layers": []})
    error = FaultError(code="AccessDeniedException", message="not ecr:BatchGetImage", status=400)
    shell.control.add_faults(Fault(service="ecr", error=error, times=1))
    found = read(stored, StoredLogs(GROUP), model())
    assert found.by_source == {stored: None, StoredLogs(GROUP): Decimal(0), model(): Decimal(0)}
    [why] = found.unread
    assert "not ecr:BatchGetImage" in why
