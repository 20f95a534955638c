"""The generated policies are sufficient for all that the operator's code does in AWS, and minimal: all is used."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.aws.cloud import OF_CLASSES, with_spec
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import IMAGE
from tests.deploy.conftest import (
    ARTIFACTS,
    KEY,
    OTHER_ROLES,
    POLICY,
    PROJECT,
    RECORDINGS,
    REPORTS,
    ROLE,
    ROLE_ELSEWHERE,
    TRAINING_ROLE,
    RestrictedCloud,
)
from tests.engine.objects import make_class
from tests.features.test_permissions import NO_DIGEST, live
from tests.features.training.examples import spec_of, trained

from eep_platform import bootstrap
from eep_platform.aws.guard.record import Permissions
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.clients import Role, Sessions
from ephemeral_endpoints.aws.component import items, tag_list
from ephemeral_endpoints.aws.roles import ClassRoles, RoleFindings
from ephemeral_endpoints.aws.tag_index import TagIndex
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.engine.names import endpoint_logs, prefix
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.engine.tags import RETAINED_TAGS, class_tags
from ephemeral_endpoints.features.capacity.price_list import listed
from ephemeral_endpoints.features.checks.comparison.storage import Storage
from ephemeral_endpoints.features.images.builds.buildspec import Tools
from ephemeral_endpoints.features.images.builds.codebuild import CodeBuildBuilder
from ephemeral_endpoints.features.images.builds.policy import BuildTarget, Copy, Tenant
from ephemeral_endpoints.features.images.components import RepositoryComponent
from ephemeral_endpoints.features.images.desired import lifecycle_policy
from ephemeral_endpoints.features.images.references import ImageReference
from ephemeral_endpoints.features.images.registry import Images
from ephemeral_endpoints.features.images.specs import REPOSITORY, RepositorySpec
from ephemeral_endpoints.features.monitoring.log_groups import last_lines
from ephemeral_endpoints.features.monitoring.policy import Attempt
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP, LogGroupSpec
from ephemeral_endpoints.features.packages.groups import delete_group, empty_groups
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.routing.specs import HTTP_API
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.features.training.artifacts import NAMES, delete_file
from ephemeral_endpoints.features.training.definition import EVALUATE, Shape, rendered
from ephemeral_endpoints.features.training.outcome import Step
from ephemeral_endpoints.features.training.pipelines import Pipelines

TENANT = Tenant("uid-of-the-class", "previews")
REVISION = "a" * 40


async def lives(cloud: RestrictedCloud) -> None:
    """The life of one thing of every kind. The tags of what classes share never change."""
    for kind in KINDS:
        await cloud.prepare(kind)
        await live(cloud, kind, tagging=kind not in OF_CLASSES)


async def roles(cloud: RestrictedCloud) -> None:
    """A model with a role that the object chose, and what is known about the roles of its class."""
    chosen = f"arn:aws:iam::{cloud.scope.account_id}:role/{OTHER_ROLES.replace('*', 'gated')}"
    named = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), ROLE)
    endpoint_class = make_class({"spec": {**named, "allowedExecutionRoleArns": [chosen]}})
    found = await ClassRoles(time.monotonic).findings(endpoint_class, cloud.calls, cloud.operator.iam)
    assert found == RoleFindings()
    resource = with_spec(cloud.resources[MODEL], role_arn=chosen)
    component = cloud.components[MODEL]
    await component.delete(cloud.calls, await component.apply(cloud.calls, resource, None, cloud.known), cloud.known)


async def logs(cloud: RestrictedCloud) -> None:
    """Groups in both services: made by us, and made again by the service, without tags, for lines that came late."""
    for name in (endpoint_logs(cloud.names.base), cloud.names.forwarder_logs):
        resource = DesiredResource(Key(LOG_GROUP, name), LogGroupSpec(7, cloud.tags))
        component = cloud.components[LOG_GROUP]
        ours = await component.apply(cloud.calls, resource, None, cloud.known)
        await component.delete(cloud.calls, ours, cloud.known)
        cloud.clients.logs.create_log_group(logGroupName=name)
        cloud.clients.logs.create_log_stream(logGroupName=name, logStreamName="s")
        event = {"timestamp": int(time.time() * 1000), "message": "line\n"}
        cloud.clients.logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=[event])  # type: ignore[list-item]
        assert await last_lines(cloud.calls, cloud.operator.logs, name, Attempt(), count=1) == ("line",)
        late = await component.describe(cloud.calls, resource.key, cloud.known)
        assert late is not None
        assert not await component.tags(cloud.calls, late)
        await component.add_tags(cloud.calls, late, RETAINED_TAGS)
        await component.apply(cloud.calls, resource, late, cloud.known)
        await component.delete(cloud.calls, late, cloud.known)


async def images(cloud: RestrictedCloud) -> None:
    """Images of anybody are looked at; those of a class's own repository go, in folders or not."""
    repository = f"eep-{cloud.scope.cluster_id}-default-{'a' * 10}"
    spec = RepositorySpec(
        immutable=True,
        mutable_prefix="cache-",
        scan_on_push=True,
        lifecycle_policy=lifecycle_policy(timedelta(days=14)),
        tags=cloud.tags,
    )
    await RepositoryComponent(cloud.operator, cloud.scope).apply(
        cloud.calls, DesiredResource(Key(REPOSITORY, repository), spec), None, cloud.known
    )
    uri = f"{cloud.scope.account_id}.dkr.ecr.{cloud.scope.region}.amazonaws.com/{repository}:1"
    reference, ecr = ImageReference.parse(uri), Images(cloud.operator.ecr)
    await ecr.resolve(cloud.calls, reference)
    # Commands passes over what it may not read, so this asks as it does.
    layer = {"registryId": cloud.scope.account_id, "repositoryName": repository, "layerDigest": NO_DIGEST}
    await cloud.calls(cloud.operator.ecr.get_download_url_for_layer, **layer)
    for each in (ecr.scan(cloud.calls, reference, NO_DIGEST), ecr.list_tagged(cloud.calls, repository)):
        with suppress(AwsError):
            await each
    await ecr.take_off(cloud.calls, repository, ["1"])


async def builds(cloud: RestrictedCloud) -> None:
    """A build that is stopped, and what it said."""
    project: Any = {
        "name": PROJECT,
        "source": {"type": "NO_SOURCE", "buildspec": "{version: 0.2, phases: {build: {commands: [true]}}}"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        "serviceRole": ROLE,
    }
    cloud.clients.codebuild.create_project(**project)
    registry = f"{cloud.scope.account_id}.dkr.ecr.{cloud.scope.region}.amazonaws.com/previews"
    builder = CodeBuildBuilder(
        cloud.operator.codebuild, cloud.operator.logs, cloud.calls, PROJECT, Tools(cloud.scope.region), "owner"
    )
    target = BuildTarget(registry, Copy("public.ecr.aws/acme/model:1", REVISION), "linux/amd64", TENANT)
    build = await builder.begin(target, attempt=1, timeout_seconds=600)
    await builder.stop(build)
    assert [each.id for each in await builder.all()] == [build.id]
    await builder.last_lines(build, count=1)


async def events(cloud: RestrictedCloud) -> None:
    """A message, as ``aws.events`` receives and deletes it."""
    bootstrap.event_queue(cloud.clients.sqs, cloud.aws.client("events"))
    url = cloud.clients.sqs.get_queue_url(QueueName=bootstrap.EVENT_QUEUE)["QueueUrl"]
    cloud.clients.sqs.send_message(QueueUrl=url, MessageBody="{}")
    sqs = cloud.operator.sqs
    found = sqs.get_queue_url(QueueName=bootstrap.EVENT_QUEUE)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=found, WaitTimeSeconds=1)["Messages"]
    sqs.delete_message_batch(QueueUrl=found, Entries=[{"Id": "0", "ReceiptHandle": message["ReceiptHandle"]}])


async def notifications(cloud: RestrictedCloud) -> None:
    """A message to a topic, as ``features.notifications`` sends it."""
    topic = cloud.clients.sns.create_topic(Name="ephemeral-endpoints-previews")["TopicArn"]
    await cloud.calls(cloud.operator.sns.publish, TopicArn=topic, Subject="previews/pr-42 is ready", Message="text")


async def quotas(cloud: RestrictedCloud) -> None:
    """The quotas of instances, as ``features.capacity.service_quotas`` reads them."""
    client = cloud.operator.service_quotas()
    await cloud.calls(client.list_service_quotas, ServiceCode="sagemaker", MaxResults=100)


async def prices(cloud: RestrictedCloud) -> None:
    """The prices of the region, as ``features.capacity.listed_prices`` reads them."""
    assert await listed(cloud.calls, cloud.operator.pricing(), cloud.scope.region)


async def apis(cloud: RestrictedCloud) -> None:
    """The tags of an API of one object follow the object's."""
    made = await cloud.make(cloud.resources[HTTP_API])
    await cloud.components[HTTP_API].add_tags(cloud.calls, made, RETAINED_TAGS)


async def comparisons(cloud: RestrictedCloud) -> None:
    """A report, of which there was none, and a folder of recorded requests."""
    for bucket in (REPORTS, RECORDINGS):
        cloud.aws.client("s3").create_bucket(Bucket=bucket)
    cloud.aws.client("s3").put_object(Bucket=RECORDINGS, Key="recordings/nlp/a.jsonl", Body=b'{"request": "1"}')
    storage = await Storage.of(cloud.calls, cloud.operator)
    report = f"s3://{REPORTS}/reports/nlp/pr/1f0c2a9.json"
    assert await storage.report(report) is None
    await storage.write(report, b"{}")
    assert len((await storage.recorded(f"s3://{RECORDINGS}/recordings/nlp", 1)).requests) == 1


async def trainings(cloud: RestrictedCloud) -> None:
    """An execution that is stopped, what it leaves, and a pipeline with another definition."""
    s3 = cloud.aws.client("s3")
    for bucket in (ARTIFACTS, "acme-data"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=ARTIFACTS, Key="artifacts/evaluation.json", Body=b"{}")
    s3.put_object(Bucket="acme-data", Key="wine/wine.csv", Body=b"1,2,3")
    cloud.aws.control.patch_sagemaker_settings({"held_jobs": ["*"]})
    account = cast("Account", SimpleNamespace(clients=cloud.operator, scope=cloud.scope, calls=cloud.calls))
    named = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), ROLE)
    policy = {"executionRoleArn": TRAINING_ROLE, "artifacts": f"s3://{ARTIFACTS}/artifacts"}
    subject = trained(policy={**named, "training": policy})
    spec = replace(spec_of(subject), tags=class_tags(cluster_id=cloud.scope.cluster_id, name="default", uid="uid"))
    pipelines = Pipelines(time.monotonic)
    run = await pipelines.start(account, cloud.calls, spec, 1)
    assert [each.arn for each in await pipelines.runs(account, spec.pipeline, since=0.0)] == [run.arn]
    begun = datetime.now(UTC) - timedelta(hours=1)
    ours = prefix(cloud.scope.cluster_id)
    assert await pipelines.used(account, cloud.calls, ours, begun_after=begun) == (spec.pipeline,)
    while not (jobs := [each.job_arn for each in await pipelines.steps(account, cloud.calls, run.arn) if each.job_arn]):
        await asyncio.sleep(0.05)
    evaluation = Step(EVALUATE, "Failed", job_arn=jobs[0])
    assert await pipelines.evaluation(account, cloud.calls, (evaluation,)) is None
    await pipelines.stop(account, cloud.calls, run.arn)
    arn = f"arn:aws:sagemaker:{cloud.scope.region}:{cloud.scope.account_id}:model-package/{spec.group}/1"
    assert await pipelines.package(account, cloud.calls, arn) is None
    assert await pipelines.read(account, cloud.calls, f"s3://{ARTIFACTS}/artifacts/evaluation.json") == b"{}"
    for name in NAMES:
        await delete_file(account, cloud.calls, f"s3://{ARTIFACTS}/artifacts/{spec.pipeline}/{name}")
    for kind, group in (("training-job", "TrainingJobs"), ("processing-job", "ProcessingJobs")):
        name = f"/aws/sagemaker/{group}"
        cloud.clients.logs.create_log_group(logGroupName=name)
        cloud.clients.logs.create_log_stream(logGroupName=name, logStreamName="pipelines-a-Train-b/algo-1-1")
        event: Any = {"timestamp": int(time.time() * 1000), "message": "line"}
        cloud.clients.logs.put_log_events(
            logGroupName=name, logStreamName="pipelines-a-Train-b/algo-1-1", logEvents=[event]
        )
        job = f"arn:aws:sagemaker:{cloud.scope.region}:{cloud.scope.account_id}:{kind}/pipelines-a-train-b"
        assert await pipelines.last_lines(account, cloud.calls, Step("Train", "Failed", job_arn=job)) == ("line",)
    other = replace(
        spec, definition=rendered(Shape("loss", frozenset({"seed"}), has_pull_request=True)), content="other"
    )
    again = await Pipelines(time.monotonic).start(account, cloud.calls, other, 1)
    await pipelines.stop(account, cloud.calls, again.arn)
    former = f"{spec.pipeline}-former"
    cloud.clients.sagemaker.create_pipeline(
        PipelineName=former,
        PipelineDefinition=spec.definition.text,
        RoleArn=spec.role_arn,
        Tags=tag_list(spec.tags),
        ClientRequestToken="c" * 32,
    )
    client = cloud.operator.sagemaker
    found = await items(cloud.calls, client.list_pipelines, "PipelineSummaries", PipelineNamePrefix="eep")
    assert former in {each["PipelineName"] for each in found}
    await cloud.calls(client.delete_pipeline, PipelineName=former, ClientRequestToken="d" * 32)


async def packages(cloud: RestrictedCloud) -> None:
    """A model of an approved version, whose group is looked at before the version is deleted."""
    put_image(cloud.aws)
    group = "wine-previews"
    container: Any = {"Image": IMAGE}
    cloud.clients.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    arn = cloud.clients.sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [container]},
    )["ModelPackageArn"]
    operator = cloud.operator.sagemaker
    await cloud.calls(operator.list_model_packages, ModelPackageGroupName=group)
    await cloud.calls(operator.describe_model_package, ModelPackageName=arn)
    key = Key(MODEL, cloud.names.immutable("p" * 6, "p" * 26))
    resource = replace(with_spec(cloud.resources[MODEL], package=arn, is_direct=False, data_url=None), key=key)
    component = cloud.components[MODEL]
    await component.delete(cloud.calls, await component.apply(cloud.calls, resource, None, cloud.known), cloud.known)
    await cloud.calls(operator.list_tags, ResourceArn=cloud.scope.arn("sagemaker", f"model-package-group/{group}"))
    await cloud.calls(operator.delete_model_package, ModelPackageName=arn)
    tags = tag_list(class_tags(cluster_id=cloud.scope.cluster_id, name="default", uid="uid"))
    cloud.clients.sagemaker.create_model_package_group(ModelPackageGroupName="beer-previews", Tags=tags)
    account = cast("Account", SimpleNamespace(clients=cloud.operator, scope=cloud.scope))
    assert "beer-previews" in {each.name for each in await empty_groups(account.clients.sagemaker, cloud.calls)}
    await delete_group(account.clients.sagemaker, cloud.calls, "beer-previews")


async def tag_index(cloud: RestrictedCloud) -> None:
    """The owner tags of a resource are read from the index."""
    made = await cloud.make(cloud.resources[LOG_GROUP])
    index = TagIndex(cloud.operator.tagging, time.monotonic)
    assert await index.tags(cloud.calls, [made.arn]) == {made.arn: dict(cloud.tags)}


def other_account(sessions: Sessions, cloud: RestrictedCloud) -> None:
    """A role of another account is assumed, and asked who it is."""
    sessions.connect(cloud.scope.region, Role(ROLE_ELSEWHERE)).sts.get_caller_identity()


@pytest.fixture(scope="module")
def permissions(held: RestrictedCloud, operator_sessions: Sessions) -> Permissions:
    """What became of the policy while everything was done that the code can do."""

    async def everything() -> None:
        await roles(held)
        await lives(held)
        await logs(held)
        await images(held)
        await builds(held)
        await events(held)
        await notifications(held)
        await quotas(held)
        await prices(held)
        await packages(held)
        await tag_index(held)
        await comparisons(held)
        await trainings(held)
        await apis(held)

    asyncio.run(everything())
    other_account(operator_sessions, held)
    return held.aws.control.permissions(KEY)


def several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_nothing_is_denied(permissions: Permissions) -> None:
    assert permissions.denied == []


def test_without_any_one_permission_something_would_be_denied(permissions: Permissions) -> None:
    granted = {(row["Sid"], action) for row in POLICY["Statement"] for action in several(row["Action"])}
    assert granted == {(use.sid, use.action) for use in permissions.used if use.needed}


def test_without_any_one_resource_something_would_be_denied(permissions: Permissions) -> None:
    used: dict[str, set[str]] = {}
    for use in permissions.used:
        used.setdefault(use.sid, set()).add(use.resource)
    idle = [
        (row["Sid"], pattern)
        for row in POLICY["Statement"]
        for pattern in several(row["Resource"])
        if not any(fnmatchcase(resource, pattern) for resource in used[row["Sid"]])
    ]
    assert idle == []
