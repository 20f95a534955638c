"""The benchmark of the reaper: what a run takes over many previews, at rest and when all of them are due at once.

The previews are the resources alone, without an operator and a cluster, as the reaper finds them. AWS's documented
limits are in force.
"""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import psutil
from botocore.config import Config

from eep_platform.aws import ministack, services
from eep_platform.aws.client import ControlClient
from eep_platform.aws.contents import contents
from eep_platform.aws.services import Ports
from eep_platform.bench.results import ReaperRun
from ephemeral_endpoints.engine.names import Names, api_name, endpoint_logs
from ephemeral_endpoints.engine.tags import CLUSTER, class_tags, owner_tags
from ephemeral_endpoints.features.expiry.reaper import handler
from ephemeral_endpoints.features.expiry.reaper.bundle import TIMEOUT_SECONDS
from ephemeral_endpoints.features.expiry.reaper.kinds import Aws

_CLUSTER: Final = "bench"
_CLASS: Final = "default"
_IMAGE: Final = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/models@sha256:{'0' * 64}"
_ROLE: Final = "reaped"
_ROUTES_AN_API: Final = 300
_AT_ONCE: Final = 8
_MOST_RUNS: Final = 40
_AGE: Final = timedelta(days=3)
"""Long after the end of all: the breaker has had its grace."""

Say = Callable[[str], None]


def measure(state: Path, previews: int, *, say: Say) -> dict[str, Any]:
    """Measure a run at rest, and runs until so many previews are gone; returns the fields of `Reaped` but the machine.

    Raises PlatformError if the platform fails.
    """
    began = time.monotonic()

    def log(what: str) -> None:
        say(f"[reaper, {time.monotonic() - began:5.0f} s, load {psutil.getloadavg()[0]:.0f}] {what}")

    ports = Ports.free()
    try:
        services.start(state, ports)
        account = _Account(ports, previews)
        account.make()
        log(f"made {previews} previews")
        account.begin()
        at_rest = account.run(timedelta())
        log(f"at rest: {_told(at_rest)}")
        all_due: list[ReaperRun] = []
        for _ in range(_MOST_RUNS):
            found = account.run(_AGE)
            log(f"all due: {_told(found)}")
            if not found.deleted:
                break
            all_due.append(found)
        left = contents(account.client)
        log(f"left: {left or 'nothing'}")
    finally:
        services.stop_services(state)
    left_behind = sum(map(len, left.values()))
    return {"previews": previews, "at_rest": at_rest, "all_due": all_due, "left_behind": left_behind}


def _told(run: ReaperRun) -> str:
    by_service = ", ".join(f"{service} {count:.0f}" for service, count in sorted(run.calls.items()))
    return (
        f"{run.seconds:.1f} s, {sum(run.calls.values()):.0f} calls ({by_service}); "
        f"{run.deleted} deleted, {run.waiting} objects waiting, {run.failed} kinds failed"
    )


class _Account:
    """An embedded account with previews."""

    def __init__(self, ports: Ports, previews: int) -> None:
        self._endpoint = ports.endpoint
        self._control = ControlClient(ports.endpoint)
        self._session = services.session()
        self._numbers = range(previews)
        self._end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=12)
        self._apis: list[str] = []

    def client(self, service: str, **options: Any) -> Any:  # noqa: ANN401 - any service's
        make: Callable[..., Any] = self._session.client
        return make(service, endpoint_url=self._endpoint, **options)

    def make(self) -> None:
        self._control.patch_sagemaker_settings(
            {
                "containers": "off",
                "quotas": {"serverless_endpoints": "unlimited", "serverless_concurrency": "unlimited"},
                "behaviour": {"create_seconds": 0.05, "delete_seconds": 0.05},
            }
        )
        trusted = ("lambda.amazonaws.com", "sagemaker.amazonaws.com", "apigateway.amazonaws.com")
        trust = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self.client("iam").create_role(RoleName=_ROLE, AssumeRolePolicyDocument=document)
        tags = dict(class_tags(cluster_id=_CLUSTER, name=_CLASS, uid="class"))
        gateway = self.client("apigatewayv2")
        for number in range(-(-len(self._numbers) // _ROUTES_AN_API)):
            name = api_name(_CLUSTER, _CLASS, "class", number)
            api = gateway.create_api(Name=name, ProtocolType="HTTP", Tags=tags)["ApiId"]
            gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True, Tags=tags)
            self._apis.append(api)
        made = {name: self.client(name) for name in ("apigatewayv2", "cloudwatch", "lambda", "logs", "sagemaker")}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(partial(self._make_preview, made), self._numbers))

    def _make_preview(self, aws: Mapping[str, Any], number: int) -> None:
        """What an object has: model, configuration, endpoint, forwarder, two log groups, two alarms, and its route."""
        name = f"pr-{number}"
        names = Names(_CLUSTER, name, f"uid-{number}")
        owned = dict(
            owner_tags(
                cluster_id=_CLUSTER,
                namespace="bench",
                name=name,
                uid=names.uid,
                class_name=_CLASS,
                created_at=self._end - timedelta(days=3),
                expires_at=self._end + timedelta(seconds=number),
                pull_request=number,
            )
        )
        tags = [{"Key": key, "Value": value} for key, value in owned.items()]
        role = f"arn:aws:iam::{ministack.ACCOUNT}:role/{_ROLE}"
        for group in (names.forwarder_logs, endpoint_logs(names.base)):
            aws["logs"].create_log_group(logGroupName=group, tags=owned)
            aws["logs"].put_retention_policy(logGroupName=group, retentionInDays=7)
        model, config = (names.immutable("m" * 6, each * 26) for each in "mc")
        sagemaker = aws["sagemaker"]
        sagemaker.create_model(ModelName=model, PrimaryContainer={"Image": _IMAGE}, ExecutionRoleArn=role, Tags=tags)
        serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
        variant = {"VariantName": "main", "ModelName": model, "ServerlessConfig": serverless}
        sagemaker.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant], Tags=tags)
        sagemaker.create_endpoint(EndpointName=names.base, EndpointConfigName=config, Tags=tags)
        function = aws["lambda"].create_function(
            FunctionName=names.base,
            Runtime="python3.13",
            Role=role,
            Handler="index.handle",
            Code={"ZipFile": _code()},
            Tags=owned,
        )["FunctionArn"]
        for subject in ("errors", "latency"):
            aws["cloudwatch"].put_metric_alarm(
                AlarmName=names.alarm(subject),
                Namespace="AWS/SageMaker",
                MetricName="ModelLatency",
                Statistic="Average",
                Period=60,
                EvaluationPeriods=3,
                Threshold=1,
                ComparisonOperator="GreaterThanThreshold",
                Tags=tags,
            )
        gateway, api, key = aws["apigatewayv2"], self._apis[number // _ROUTES_AN_API], f"ANY /{name}"
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{integration}")
        throttle = {"ThrottlingBurstLimit": 10, "ThrottlingRateLimit": 5.0}
        gateway.update_stage(ApiId=api, StageName="$default", RouteSettings={key: throttle})

    def begin(self) -> None:
        """Have AWS's limits from now on, and an index that knows all: the embedded one reads it when it is asked."""
        patient = self.client("resourcegroupstaggingapi", config=Config(read_timeout=300))
        patient.get_tag_values(Key=CLUSTER)
        self._control.set_documented_limits()

    def run(self, ahead: timedelta) -> ReaperRun:
        """A run, so long from now by AWS's clock."""
        self._control.set_ahead(ahead.total_seconds())
        self._control.reset_meter()
        began, printed = time.monotonic(), StringIO()
        rules = {"CLUSTER_ID": _CLUSTER, "CLASS_NAME": _CLASS}
        with redirect_stdout(printed):
            handler.reap(
                rules,
                Aws(partial(self.client, config=handler.CONFIG), lambda: time.time() + ahead.total_seconds()),
                lambda: (TIMEOUT_SECONDS - (time.monotonic() - began)) * 1000,
            )
        seconds, report = time.monotonic() - began, json.loads(printed.getvalue().splitlines()[-1])
        return ReaperRun(
            seconds=seconds,
            calls={service: float(sum(each.values())) for service, each in self._control.calls().items()},
            deleted=sum(report["deleted_by_kind"].values()),
            waiting=report["waiting"],
            failed=len(report["failures"]),
        )


def _code() -> bytes:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handle(event, context):\n    return {}\n")
    return packed.getvalue()
