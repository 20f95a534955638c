"""`eep sweep` against the embedded AWS: what it shows is what it does, and nothing of anybody else."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import IMAGE
from tests.features.expiry.reaper.conftest import DAY, Preview
from tests.fixtures.aws import CLUSTER, QUICK
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.cli.sweep import CHANGED, FAILED, REFUSED, command
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.tags import CLUSTER as CLUSTER_TAG
from ephemeral_endpoints.engine.tags import EXPIRES_AT, UID, class_tags, timestamp
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.features.serving.specs import ENDPOINT, MODEL

PLACE = ("--account", ministack.ACCOUNT, "--cluster", CLUSTER, "--region", ministack.REGION)
Sweep = Callable[..., Result]


@pytest.fixture
def preview(fresh_aws: Aws, clients: Clients, calls: Calls) -> Iterator[Preview]:
    """An object with everything, two days after its end."""
    fresh_aws.control.patch_sagemaker_settings(QUICK)
    fresh_aws.control.set_ahead((2 * DAY).total_seconds())
    yield Preview(fresh_aws, clients, calls, Scope(CLUSTER, ministack.ACCOUNT, ministack.REGION))
    fresh_aws.control.set_ahead(0)


@pytest.fixture
def sweep(fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    for name, value in {**ministack.credentials(), "AWS_ENDPOINT_URL": fresh_aws.endpoint}.items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: CliRunner().invoke(command, [*PLACE, *arguments])


OF_CLASSES = {"ApiMapping", "Authorizer", "DeliveryStream", "Repository"}
"""Kinds that only classes have; an object may have an alarm and an API too."""

OF_TARGETS = {"ScalingPolicy"}
"""What AWS deletes with the target that it belongs to."""


async def test_exactly_the_plan_that_was_shown_is_executed(preview: Preview, sweep: Sweep) -> None:
    await preview.make_all()
    await preview.make(preview.resources[LOG_GROUP])
    before = contents(preview.aws.client)
    shown = await asyncio.to_thread(sweep, "-o", "json")
    plan = json.loads(shown.stdout)
    assert (shown.exit_code, contents(preview.aws.client)) == (0, before)
    assert {each["kind"] for each in plan["delete"]} == before.keys() - OF_CLASSES - OF_TARGETS

    other = await asyncio.to_thread(sweep, "--execute", "0" * 24)
    assert (other.exit_code, contents(preview.aws.client)) == (CHANGED, before)
    assert plan["digest"] in other.output

    done = await asyncio.to_thread(sweep, "--execute", plan["digest"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert contents(preview.aws.client).keys() == OF_CLASSES | {"Alarm", "HttpApi"}

    last = await asyncio.to_thread(sweep, "--unattended", "--class", "default", "-o", "json")
    assert last.exit_code == 0, last.output
    assert contents(preview.aws.client) == {}


async def test_what_changed_since_the_plan_was_shown_is_left(preview: Preview, sweep: Sweep, tmp_path: Path) -> None:
    """Extended between the two commands: the digest is another, and a file's items do not match any more."""
    await preview.make_all()
    shown = await asyncio.to_thread(sweep, "-o", "json")
    file = tmp_path / "plan.json"
    file.write_text(shown.stdout)
    later = ((EXPIRES_AT, timestamp(preview.ends_at + 9 * DAY)),)
    await preview.components[FUNCTION].add_tags(preview.calls, preview.observed(FUNCTION), later)
    before = contents(preview.aws.client)
    by_digest = await asyncio.to_thread(sweep, "--execute", json.loads(shown.stdout)["digest"])
    by_file = await asyncio.to_thread(sweep, "--execute", str(file))
    assert (by_digest.exit_code, by_file.exit_code) == (CHANGED, 0)
    assert "not as the plan says any more" in by_file.stderr
    assert contents(preview.aws.client) == before
    elsewhere = await asyncio.to_thread(sweep, "--region", "eu-west-1", "--execute", str(file))
    assert (elsewhere.exit_code, "is a plan of" in elsewhere.output) == (2, True)


async def test_nothing_overrides_ownership(preview: Preview, sweep: Sweep) -> None:
    """A stranger's model under our prefix, without tags and with forged ones, beside an object that has expired."""
    await preview.make(await preview.prepare(ENDPOINT))
    sagemaker = preview.aws.client("sagemaker")
    named, forged = (preview.names.immutable("f" * 6, each * 26) for each in "ab")
    for name, tags in ((named, {}), (forged, dict(preview.tags) | {UID: "forged"})):
        role = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        image = f"{ministack.ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/models@sha256:{'0' * 64}"
        sagemaker.create_model(ModelName=name, PrimaryContainer={"Image": image}, ExecutionRoleArn=role, Tags=listed)
    sagemaker.delete_tags(ResourceArn=preview.observed(ENDPOINT).arn, TagKeys=[CLUSTER_TAG])
    done = await asyncio.to_thread(sweep, "--unattended", "--most-percent", "100")
    left = contents(preview.aws.client)
    assert {named, forged} <= {*left["Model"]}
    assert left["Endpoint"] == [preview.key(ENDPOINT).name]
    for name in (named, forged, preview.key(ENDPOINT).name):
        assert f"{name}: it has our name without our tags" in done.output


async def test_a_kind_that_cannot_be_read_is_left_and_named_and_stops_no_other(preview: Preview, sweep: Sweep) -> None:
    await preview.make_all()
    denied = FaultError(code="AccessDeniedException", status=400)
    preview.aws.control.add_faults(
        Fault(service="lambda", operation="ListTags", error=denied),
        Fault(service="cloudwatch", operation="DescribeAlarms", held=True),
    )
    done = await asyncio.to_thread(sweep, "--unattended", "--kind-timeout", "10", "--timeout", "120")
    preview.aws.control.clear_faults()
    assert done.exit_code == FAILED
    assert f"left: Function {preview.key(FUNCTION).name}: its tags cannot be read" in done.output
    assert "not listed: Alarm: no answer within 10 s" in done.output
    left = contents(preview.aws.client)
    assert {"Function", "Alarm"} <= left.keys()
    assert not {"Endpoint", "EndpointConfig", "Model"} & left.keys()
    assert preview.key(ALARM).name in left["Alarm"]


async def test_what_a_kind_that_cannot_be_listed_may_use_is_left(preview: Preview, sweep: Sweep) -> None:
    await preview.make(await preview.prepare(ENDPOINT))
    denied = FaultError(code="AccessDeniedException", status=400)
    preview.aws.control.add_faults(Fault(service="sagemaker", operation="ListEndpoints", error=denied))
    done = await asyncio.to_thread(sweep, "--unattended")
    preview.aws.control.clear_faults()
    assert "not listed: EndpointConfig: ListEndpoints" in done.output
    assert {"Endpoint", "EndpointConfig", "Model"} <= contents(preview.aws.client).keys()


async def test_too_much_at_once_is_refused(preview: Preview, sweep: Sweep) -> None:
    await preview.make(await preview.prepare(MODEL))
    done = await asyncio.to_thread(sweep, "--unattended", "--grace", "0", "--most", "1", "--most-percent", "0")
    assert done.exit_code == 0, "one is never too many"
    made = [Preview(preview.aws, preview.clients, preview.calls, preview.scope, uid=f"uid-{n}") for n in range(6)]
    for each in made:
        await each.make(await each.prepare(MODEL))
    before = contents(preview.aws.client)
    done = await asyncio.to_thread(sweep, "--unattended")
    assert (done.exit_code, contents(preview.aws.client)) == (REFUSED, before)
    assert "add --most-percent 100" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--account", "12"), "12 digits"),
        (("--cluster", "Prod"), "cluster id"),
        (("--execute", "0" * 24, "--unattended"), "exclude each other"),
    ],
)
def test_arguments_that_are_wrong_are_refused(sweep: Sweep, arguments: tuple[str, ...], why: str) -> None:
    done = sweep(*arguments)
    assert (done.exit_code, why in done.output) == (2, True)


def test_credentials_of_another_account_are_refused(sweep: Sweep) -> None:
    done = sweep("--account", "123456789012")
    assert (done.exit_code, "the credentials belong to account 000000000000" in done.output) == (1, True)


GONE, LIVING = "uid-of-a-class-that-is-gone", "uid-of-another-class"


def tags_of(uid: str, name: str, cluster: str = CLUSTER) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in class_tags(cluster_id=cluster, name=name, uid=uid)]


@pytest.fixture
def trained(fresh_aws: Aws) -> Iterator[Aws]:
    """Pipelines and groups of classes, some of which are gone, two days later."""
    sagemaker = fresh_aws.client("sagemaker")
    fail = {"Name": "Fail", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
    definition = {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": [fail]}
    for uid, name in ((GONE, "old"), (LIVING, "default")):
        sagemaker.create_pipeline(
            PipelineName=f"eep-{CLUSTER}-wine-{owner_hash(uid)}-abcdefgh",
            PipelineDefinition=json.dumps(definition),
            RoleArn=f"arn:aws:iam::{ministack.ACCOUNT}:role/any",
            ClientRequestToken=f"token-of-a-pipeline-of-a-test-{name}",
            Tags=tags_of(uid, name),
        )
    for group, tags in (
        ("empty", tags_of(GONE, "old")),
        ("with-a-version", tags_of(GONE, "old")),
        ("of-a-living-class", tags_of(LIVING, "default")),
        ("of-another-cluster", tags_of(GONE, "old", "other")),
        ("of-a-team", []),
    ):
        sagemaker.create_model_package_group(ModelPackageGroupName=group, Tags=tags)
    put_image(fresh_aws)
    version = {"ModelPackageGroupName": "with-a-version", "InferenceSpecification": {"Containers": [{"Image": IMAGE}]}}
    sagemaker.create_model_package(**version)
    fresh_aws.control.set_ahead((2 * DAY).total_seconds())
    yield fresh_aws
    fresh_aws.control.set_ahead(0)


async def test_what_trainings_left_goes_with_its_class_once_it_is_old_enough(trained: Aws, sweep: Sweep) -> None:
    before = contents(trained.client)
    for arguments in ((), ("--class", "old", "--grace", "72")):
        assert json.loads((await asyncio.to_thread(sweep, *arguments, "-o", "json")).stdout)["delete"] == []
    shown = json.loads((await asyncio.to_thread(sweep, "--class", "old", "-o", "json")).stdout)
    pipeline = f"eep-{CLUSTER}-wine-{owner_hash(GONE)}-abcdefgh"
    assert [(each["kind"], each["name"]) for each in shown["delete"]] == [
        ("ModelPackageGroup", "empty"),
        ("Pipeline", pipeline),
    ]
    assert contents(trained.client) == before
    done = await asyncio.to_thread(sweep, "--class", "old", "--execute", shown["digest"])
    assert done.exit_code == 0, done.output
    left = contents(trained.client)
    assert set(left["ModelPackageGroup"]) == set(before["ModelPackageGroup"]) - {"empty"}
    assert left["Pipeline"] == [f"eep-{CLUSTER}-wine-{owner_hash(LIVING)}-abcdefgh"]


async def test_a_role_that_may_not_list_pipelines_leaves_them_and_says_so(trained: Aws, sweep: Sweep) -> None:
    denied = FaultError(code="AccessDeniedException", status=400)
    trained.control.add_faults(Fault(service="sagemaker", operation="ListPipelines", error=denied, times=1))
    done = await asyncio.to_thread(sweep, "--class", "old", "--unattended")
    assert (done.exit_code, "not listed: Pipeline: ListPipelines" in done.output) == (FAILED, True)
    left = contents(trained.client)
    assert (len(left["Pipeline"]), "empty" in left["ModelPackageGroup"]) == (2, False)
