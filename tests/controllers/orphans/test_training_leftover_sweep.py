"""The sweep of what trainings leave beside packages: what it takes, and what it leaves alone."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import CLUSTER, IMAGE, Environment
from tests.controllers.orphans.deps import sweep_deps
from tests.controllers.orphans.test_package_sweep import TRAINING
from tests.features.training.examples import SHA
from tests.features.training.examples import TRAINING as TRAINED
from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.controllers.orphans.training_leftover_sweep import TrainingLeftoverSweep
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.tags import class_tags
from ephemeral_endpoints.kube.cache import class_key

DAYS = timedelta(days=2)
GONE = "uid-of-a-class-that-is-gone"
ROLE = TRAINING["executionRoleArn"]
DENIED = FaultError(code="AccessDenied", message="not you", status=403)


@dataclass
class Leftovers:
    """What trainings left, and the sweep of it."""

    env: Environment
    aws: Aws

    def __post_init__(self) -> None:
        change = {"spec": {"packages": {"groups": ["wine"]}, "training": TRAINING}}
        self.uid = str(self.env.api.change(class_key("default"), change)["metadata"]["uid"])
        self.sagemaker = self.aws.client("sagemaker")

    def tags(self, uid: str, cluster: str = CLUSTER) -> list[Any]:
        tags = class_tags(cluster_id=cluster, name="default", uid=uid)
        return [{"Key": key, "Value": value} for key, value in tags]

    def make_group(self, name: str, tags: list[Any], *, is_empty: bool = True) -> None:
        self.sagemaker.create_model_package_group(ModelPackageGroupName=name, Tags=tags)
        container: Any = {"Image": IMAGE}
        if not is_empty:
            self.sagemaker.create_model_package(
                ModelPackageGroupName=name, InferenceSpecification={"Containers": [container]}
            )

    def make_pipeline(self, uid: str, cluster: str = CLUSTER) -> str:
        name = f"eep-{CLUSTER}-wine-{owner_hash(uid)}-abcdefgh"
        fail = {"Name": "Fail", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}
        definition = {"Version": "2020-12-01", "Metadata": {}, "Parameters": [], "Steps": [fail]}
        self.sagemaker.create_pipeline(
            PipelineName=name,
            PipelineDefinition=json.dumps(definition),
            RoleArn=ROLE,
            ClientRequestToken="token-of-a-pipeline-of-a-test-" + owner_hash(uid),
            Tags=self.tags(uid, cluster),
        )
        return name

    def left(self, kind: str) -> list[str]:
        return contents(self.aws.client).get(kind, [])

    async def sweep(self, later: timedelta = DAYS, **settings: str) -> None:
        await self.env.rest()
        deps = sweep_deps(self.env, settings, lambda: datetime.now(UTC) + later)
        await TrainingLeftoverSweep(deps).run()


@pytest.fixture
async def leftovers(env: Environment, fresh_aws: Aws) -> Leftovers:
    fresh_aws.make_role("training", trusted=("sagemaker.amazonaws.com",))
    put_image(fresh_aws)
    return Leftovers(env, fresh_aws)


async def test_empty_groups_go_that_only_trainings_of_the_past_have_used(leftovers: Leftovers) -> None:
    own, gone = leftovers.tags(leftovers.uid), leftovers.tags(GONE)
    source = {"repository": "acme/digits", "pullRequest": 42, "revision": SHA}
    leftovers.env.make(source=source, model={"training": {**TRAINED, "register": {"group": "digits"}}})
    leftovers.make_group("wine-previews", own)
    leftovers.make_group("beer-previews", gone)
    leftovers.make_group("beer", gone)
    kept = {
        "a class of today allows it": ("wine", gone),
        "the class that made it exists": ("cider", own),
        "an object trains for it": ("digits-previews", own),
        "it is another cluster's": ("tea-previews", leftovers.tags(GONE, "c2")),
        "somebody else made it": ("milk-previews", []),
    }
    for name, tags in kept.values():
        leftovers.make_group(name, tags)
    leftovers.make_group("juice-previews", own, is_empty=False)
    everything = leftovers.left("ModelPackageGroup")
    await leftovers.sweep(timedelta(hours=23))
    await leftovers.sweep(EEP_SWEEP="dry-run")
    assert leftovers.left("ModelPackageGroup") == everything, "a young one may be about to be used"
    await leftovers.sweep()
    assert set(leftovers.left("ModelPackageGroup")) == {"juice-previews", *(name for name, _ in kept.values())}
    assert leftovers.left("ModelPackage") == ["juice-previews/1"]


async def test_pipelines_go_with_their_classes(leftovers: Leftovers) -> None:
    leftovers.make_pipeline(GONE)
    kept = {leftovers.make_pipeline(leftovers.uid), leftovers.make_pipeline("uid-elsewhere", "c2")}
    await leftovers.sweep()
    assert set(leftovers.left("Pipeline")) == kept


@pytest.mark.parametrize("is_denied", [False, True], ids=["allowed", "a role that was never meant for trainings"])
async def test_pipelines_go_where_no_class_trains_any_more(
    leftovers: Leftovers, caplog: pytest.LogCaptureFixture, *, is_denied: bool
) -> None:
    made = leftovers.make_pipeline(GONE)
    leftovers.env.api.change(class_key("default"), {"spec": {"training": None}})
    if is_denied:
        leftovers.aws.control.add_faults(Fault(service="sagemaker", operation="ListPipelines", error=DENIED))
    await leftovers.sweep()
    leftovers.aws.control.clear_faults()
    assert leftovers.left("Pipeline") == ([made] if is_denied else [])
    assert [each.message for each in caplog.records if "trainings" in each.message and each.levelname != "DEBUG"] == []


async def test_a_refusal_of_aws_is_told_and_stops_nothing_else(
    leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    refused = leftovers.make_pipeline(GONE)
    leftovers.make_pipeline("uid-of-another-class-that-is-gone")
    fault = Fault(service="sagemaker", operation="DeletePipeline", error=DENIED, times=1)
    leftovers.aws.control.add_faults(fault)
    await leftovers.sweep()
    assert len(leftovers.left("Pipeline")) == 1
    [told] = [each for each in caplog.records if each.message.startswith("what a training left")]
    assert told.__dict__["resource"] in leftovers.left("Pipeline")
    await leftovers.sweep()
    assert refused not in leftovers.left("Pipeline")
