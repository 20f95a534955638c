import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import Any

import boto3
import pytest
import requests
from botocore.httpsession import URLLib3Session
from tests.aws.cloud import Cloud, with_spec
from tests.fixtures.aws import CLUSTER, QUICK
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.deploy.policies import Principal, merged, of
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ResourceKind
from ephemeral_endpoints.engine.tags import class_tags, owner_tags
from ephemeral_endpoints.features.expiry.reaper import handler, kinds
from ephemeral_endpoints.features.images.specs import REPOSITORY
from ephemeral_endpoints.features.monitoring.specs import ALARM
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.routing.capture.specs import DELIVERY_STREAM
from ephemeral_endpoints.features.routing.specs import HTTP_API, dedicated_api

KEY = "reaper"
CLASS = "default"
TOPIC = f"arn:aws:sns:{ministack.REGION}:{ministack.ACCOUNT}:reports"
ENDS_AT = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class Preview(Cloud):
    """A cloud whose resources carry the tags that the operator gives them."""

    ends_at: datetime = ENDS_AT
    class_name: str = CLASS
    namespace: str = "nlp"
    object_name: str = "pr-42"

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        return owner_tags(
            cluster_id=self.scope.cluster_id,
            namespace=self.namespace,
            name=self.object_name,
            uid=self.uid,
            class_name=self.class_name,
            created_at=self.ends_at - 3 * DAY,
            expires_at=self.ends_at,
            pull_request=42,
        )

    def _wants(self) -> list[DesiredResource]:
        shared = class_tags(cluster_id=self.scope.cluster_id, name=CLASS, uid="class-uid")
        return [
            with_spec(each, tags=shared) if each.key.kind in (DELIVERY_STREAM, HTTP_API, REPOSITORY) else each
            for each in super()._wants()
        ]

    async def make_all(self, *but: ResourceKind) -> None:
        for kind in KINDS:
            if kind not in but and kind.name not in kinds.ITS_OWN:
                await self.make(await self.prepare(kind))
        if not but:
            await self._make_beside()

    async def _make_beside(self) -> None:
        """An API that is the object's own, and an alarm that is its class's."""
        await self.make_own_api()
        shared = class_tags(cluster_id=self.scope.cluster_id, name=CLASS, uid="class-uid")
        lost = Key(ALARM, f"{self.key(DELIVERY_STREAM).name}:lost")
        await self.make(replace(with_spec(self.resources[ALARM], tags=shared), key=lost))

    def make_pipeline(self) -> str:
        """The pipeline of a training of the class; returns its name."""
        name = f"eep-{CLUSTER}-wine-{owner_hash('class-uid')}-0a1b2c3d"
        self.aws.make_role("training", trusted=("sagemaker.amazonaws.com",))
        fail = {"Name": "Fail", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
        tags = class_tags(cluster_id=self.scope.cluster_id, name=self.class_name, uid="class-uid")
        self.aws.client("sagemaker").create_pipeline(
            PipelineName=name,
            PipelineDefinition=json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": [fail]}),
            RoleArn=f"arn:aws:iam::{ministack.ACCOUNT}:role/training",
            ClientRequestToken="token-of-a-pipeline-of-a-test-of-the-reaper",
            Tags=[{"Key": key, "Value": value} for key, value in tags],
        )
        return name

    def make_route_of_somebody(self) -> None:
        """A route in the class's API that leads nowhere, which keeps the API from going as a whole."""
        api = self.observed(HTTP_API)
        self.aws.client("apigatewayv2").create_route(ApiId=api.id, RouteKey="GET /somebody")

    async def make_own_api(self) -> None:
        """The API of its own that an object may have."""
        api = with_spec(self.resources[HTTP_API], tags=self.tags)
        await self.make(replace(api, key=dedicated_api(self.names.base)))


class Killed(BaseException):
    """The process has ended."""


@dataclass
class Reaper:
    """The reaper, held to its generated policies, and how to move AWS's time."""

    aws: Aws
    printed: Callable[[], str]
    environment: dict[str, str] = field(default_factory=dict)
    impatient_with: str = ""
    """The operation whose answer it does not wait for."""

    class_name: str = CLASS
    key: str = KEY
    report: dict[str, Any] = field(default_factory=dict)
    off: timedelta = timedelta()
    """By how much the clock of the function is ahead of AWS's."""

    before: Callable[[str, Any], None] = lambda *_: None
    """What happens before each call, by its operation and request: in the thread that makes it."""

    def run(self, **environment: str) -> dict[str, Any]:
        """Make a run; returns its report. Raises what the run raises."""
        try:
            self._reap({**self.environment, **environment}, self.before)
        finally:
            self.report = json.loads(self.printed().splitlines()[-1])
        return self.report

    def run_until_killed(self, calls: int) -> None:
        """Make a run whose process ends with so many calls made. Raises Killed."""
        begun = iter(range(calls))

        def die(*_: object) -> None:
            if next(begun, None) is None:
                raise Killed

        self._reap(self.environment, die)

    def run_until_done(self) -> list[tuple[str, str]]:
        """Run until nothing more is deleted; returns the kinds and names in order."""
        deleted: list[tuple[str, str]] = []
        for _ in range(20):
            was_ending = self.is_ending()
            found = [(each["kind"], each["name"]) for each in self.run()["deleted"]]
            if not found and not self.report["left"] and not was_ending:
                break
            deleted += found
        return deleted

    def is_ending(self) -> bool:
        """Whether an endpoint or a stream is being deleted, which takes a while; after it a run may have more to do."""
        firehose = self.aws.client("firehose")
        statuses = set()
        for name in firehose.list_delivery_streams()["DeliveryStreamNames"]:
            with suppress(firehose.exceptions.ResourceNotFoundException):  # it has just gone
                found = firehose.describe_delivery_stream(DeliveryStreamName=name)["DeliveryStreamDescription"]
                statuses.add(found["DeliveryStreamStatus"])
        endpoints = self.aws.client("sagemaker").list_endpoints(StatusEquals="Deleting")["Endpoints"]
        return "DELETING" in statuses or bool(endpoints)

    def move_to(self, time: datetime) -> None:
        """Move AWS's time there, whenever that is: it goes on from it."""
        self.aws.control.set_ahead((time - datetime.now(UTC)).total_seconds())

    def hold(self) -> None:
        """Hold it to what is generated."""
        values = {
            "Region": ministack.REGION,
            "AccountId": ministack.ACCOUNT,
            "ClusterId": CLUSTER,
            "ReaperTopic": TOPIC,
            "ClassName": self.class_name,
        }
        self.aws.control.hold_to(self.key, [merged(of(Principal.REAPER), values)])

    def of_class(self, name: str) -> "Reaper":
        """Another reaper in the account, as its own role."""
        environment = {**self.environment, "CLASS_NAME": name}
        other = replace(self, environment=environment, class_name=name, key=f"{KEY}-of-{name}", report={})
        other.hold()
        return other

    def _reap(self, environment: dict[str, str], before: Callable[[str, Any], None]) -> None:
        aws = kinds.Aws(partial(self._client, before), self._clock, sleep=lambda _: None)
        handler.reap(environment, aws, lambda: 300_000)

    def _clock(self) -> float:
        date = requests.get(f"{self.aws.endpoint}/_sagemaker/settings", timeout=30).headers["Date"]
        return (parsedate_to_datetime(date) + self.off).timestamp()

    def _client(self, before: Callable[[str, Any], None], service: str) -> Any:  # noqa: ANN401 - any service's
        make: Any = _session(self.key).client
        client = make(service, endpoint_url=self.aws.endpoint, config=handler.CONFIG)

        def call(request: Any, event_name: str, **_: object) -> Any:  # noqa: ANN401 - botocore has no type for it
            operation = event_name.rpartition(".")[2]
            before(operation, request)
            if operation == self.impatient_with:
                return URLLib3Session(timeout=1).send(request)
            return None

        client.meta.events.register("before-send", call)
        return client


@cache
def _session(key: str) -> boto3.Session:
    return boto3.Session(aws_access_key_id=key, aws_secret_access_key="local", region_name=ministack.REGION)  # noqa: S106 - of use on this machine only


@pytest.fixture
def reaper(fresh_aws: Aws, capsys: pytest.CaptureFixture[str]) -> Iterator[Reaper]:
    """The reaper of the class, two days after the end of all that is made here."""
    fresh_aws.control.patch_sagemaker_settings(QUICK)
    made = Reaper(fresh_aws, lambda: capsys.readouterr().out, {"CLUSTER_ID": CLUSTER, "CLASS_NAME": CLASS})
    made.hold()
    made.move_to(ENDS_AT + 2 * DAY)
    yield made
    fresh_aws.control.set_ahead(0)
    fresh_aws.control.release()


@pytest.fixture
def preview(fresh_aws: Aws, clients: Clients, calls: Calls) -> Preview:
    """An object with everything."""
    return Preview(fresh_aws, clients, calls, Scope(CLUSTER, ministack.ACCOUNT, ministack.REGION))
