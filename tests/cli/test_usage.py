"""What CloudWatch has counted: of real invocations, and whatever it answers."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.cli.conftest import NO_AWS
from tests.features.capacity.test_usage import PRICES, TWO_GB, model
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.sagemaker.metrics import NAMESPACE, Invocation, metric_data
from ephemeral_endpoints.cli.usage import UsageUnavailable, sums
from ephemeral_endpoints.features.capacity.usage import Metric, measures, used

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


def counted(*metrics: Metric, account: str = ministack.ACCOUNT) -> dict[Metric, Decimal | None]:
    now = datetime.now(UTC)
    return sums(metrics, region=REGION, account=account, start=now - timedelta(hours=1), end=now + timedelta(minutes=1))


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
    found = measures(TWO_GB, 512)
    costs = {each.measure.words: each.usd for each in used(found, counted(*(each.metric for each in found)), PRICES)}
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
        counted(model(), account="210987654321")
    assert not any(each.operation == "GetMetricData" for each in shell.control.log())


def test_whoever_may_not_read_metrics_is_told_what_is_missing(shell: Aws) -> None:
    error = FaultError(code="AccessDenied", message="not authorized", status=403)
    shell.control.add_faults(Fault(service="cloudwatch", error=error))
    with pytest.raises(UsageUnavailable, match="need cloudwatch:GetMetricData in the account"):
        counted(model())
