"""Every deletion of the sweeps fails in every way: the other sweeps go on, and the next round takes what is left."""

import json
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from tests.controllers.environment import CLUSTER, Environment
from tests.controllers.orphans.deps import sweep_deps
from tests.controllers.orphans.test_package_sweep import Previews
from tests.controllers.orphans.test_training_leftover_sweep import GONE, Leftovers
from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents
from eep_platform.chaos.fault_kinds import FaultKind, fault
from ephemeral_endpoints.controllers.orphans.image_sweep import ImageSweep
from ephemeral_endpoints.controllers.orphans.package_sweep import PackageSweep
from ephemeral_endpoints.controllers.orphans.training_leftover_sweep import TrainingLeftoverSweep
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.kube.cache import class_key

SWEPT: Final = (
    ("ecr", "BatchDeleteImage"),
    ("s3", "DeleteObject"),
    ("sagemaker", "DeleteModelPackage"),
    ("sagemaker", "DeleteModelPackageGroup"),
    ("sagemaker", "DeletePipeline"),
)
BUILDS: Final = {"codeBuild": {"project": "previews"}, "gitUrl": "https://git.example.com"}
IMAGE_OF_NOBODY: Final = f"{'0' * 40}-{'a' * 52}"
LATER: Final = timedelta(days=40)
FILES: Final = {"artifacts/a/model.tar.gz", "artifacts/a/evaluation.json"}


class Rounds:
    """An account in which each sweep finds something."""

    def __init__(self, env: Environment, aws: Aws) -> None:
        self.env, self.aws, self.ecr = env, aws, aws.client("ecr")
        self.packages = Previews(env, aws)
        self.packages.keep_artifacts("artifacts/a")
        self.packages.make_group()
        self.packages.register_run("artifacts/a")
        leftovers = Leftovers(env, aws)
        leftovers.make_group("beer-previews", leftovers.tags(GONE))
        leftovers.make_pipeline(GONE)
        uid = str(env.api.change(class_key("default"), {"spec": {"builds": BUILDS}})["metadata"]["uid"])
        self.repository = f"eep-{CLUSTER}-default-{owner_hash(uid)}"
        self.ecr.create_repository(repositoryName=self.repository, tags=leftovers.tags(uid))
        manifest = json.dumps({"schemaVersion": 2, "config": {"size": 2}, "layers": []})
        self.ecr.put_image(repositoryName=self.repository, imageManifest=manifest, imageTag=IMAGE_OF_NOBODY)

    async def make_one(self) -> None:
        deps = sweep_deps(self.env, {}, lambda: datetime.now(UTC) + LATER)
        for sweep in (
            ImageSweep(deps, PackageInventory()),
            PackageSweep(deps, PackageInventory()),
            TrainingLeftoverSweep(deps),
        ):
            await sweep.run()

    def left(self) -> set[str]:
        found = contents(self.aws.client)
        groups = {each for each in found.get("ModelPackageGroup", []) if each == "beer-previews"}
        images = {
            tag
            for each in self.ecr.describe_images(repositoryName=self.repository)["imageDetails"]
            for tag in each["imageTags"]
        }
        files = FILES & self.packages.files()
        return {*groups, *images, *files, *found.get("Pipeline", []), *found.get("ModelPackage", [])}


@pytest.mark.chaos
@pytest.mark.parametrize("kind", [each for each in FaultKind if not each.ends_operator])
async def test_whatever_deletion_fails_the_next_round_takes_what_is_left(
    env: Environment, fresh_aws: Aws, kind: FaultKind
) -> None:
    fresh_aws.make_role("training", trusted=("sagemaker.amazonaws.com",))
    rounds = Rounds(env, fresh_aws)
    await env.rest()
    await env.snapshot()
    assert len(rounds.left()) == 6
    fresh_aws.control.add_faults(*(fault(kind, service, operation=name, times=1) for service, name in SWEPT))
    for _ in range(3):
        await rounds.make_one()
    assert rounds.left() == set()
    assert {each.fired for each in fresh_aws.control.faults()} == {1}
