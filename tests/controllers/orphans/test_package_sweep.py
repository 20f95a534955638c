"""The sweep of model packages: what it takes, and what it leaves alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import CLUSTER, IMAGE, Environment
from tests.controllers.orphans.deps import sweep_deps
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.controllers.orphans import package_sweep
from ephemeral_endpoints.controllers.orphans.package_sweep import PackageSweep
from ephemeral_endpoints.engine.tags import CLUSTER as CLUSTER_TAG
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.features.packages.lineage import Lineage
from ephemeral_endpoints.kube.cache import class_key

PREVIEWS = "wine-previews"
CLOSED = Lineage(repository="acme/wine", pull_request="7", uid="uid-gone")
AFTER_CACHE = timedelta(days=32)
DENIED = FaultError(code="AccessDenied", message="not you", status=403)
BUCKET = "acme-artifacts"
TRAINING = {
    "executionRoleArn": f"arn:aws:iam::{ministack.ACCOUNT}:role/training",
    "artifacts": f"s3://{BUCKET}/artifacts",
    "instanceTypes": ["ml.m5.*"],
    "data": ["s3://acme-data"],
}


class Previews:
    """Packages of pull requests, and the sweep of them."""

    def __init__(self, env: Environment, aws: Aws) -> None:
        put_image(aws)
        self.later = timedelta()
        env.api.change(class_key("default"), {"spec": {"packages": {"groups": ["wine"]}}})
        self.env, self.client, self.s3 = env, aws.client("sagemaker"), aws.client("s3")

    def make_group(self, name: str = PREVIEWS, cluster: str = CLUSTER) -> None:
        self.client.create_model_package_group(
            ModelPackageGroupName=name, Tags=[{"Key": CLUSTER_TAG, "Value": cluster}]
        )

    def register(self, lineage: Lineage = CLOSED, group: str = PREVIEWS, approval: Any = None) -> str:  # noqa: ANN401 - a word
        container: Any = {"Image": IMAGE}
        more: Any = {"ModelApprovalStatus": approval} if approval else {}
        answer = self.client.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification={"Containers": [container]},
            CustomerMetadataProperties=lineage.properties,
            **more,
        )
        return str(answer["ModelPackageArn"])

    def keep_artifacts(self, *runs: str) -> None:
        """What trainings wrote, in a class that trains."""
        self.env.api.change(class_key("default"), {"spec": {"training": TRAINING}})
        self.s3.create_bucket(Bucket=BUCKET)
        for run in runs:
            for file in ("model.tar.gz", "evaluation.json", "checkpoint"):
                self.s3.put_object(Bucket=BUCKET, Key=f"{run}/{file}", Body=b"-")

    def register_run(self, run: str, group: str = PREVIEWS) -> str:
        """A version of a closed pull request with the artifacts of a run."""
        folder = f"s3://{BUCKET}/{run}"
        container: Any = {"Image": IMAGE, "ModelDataUrl": f"{folder}/model.tar.gz"}
        answer = self.client.create_model_package(
            ModelPackageGroupName=group,
            InferenceSpecification={"Containers": [container]},
            ModelMetrics={
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": f"{folder}/evaluation.json"}
                }
            },
            CustomerMetadataProperties=CLOSED.properties,
        )
        return str(answer["ModelPackageArn"])

    def files(self) -> set[str]:
        return {each["Key"] for each in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def left(self) -> set[str]:
        found = self.client.list_model_packages(ModelPackageType="Versioned")["ModelPackageSummaryList"]
        return {each["ModelPackageArn"] for each in found}

    def made(self, **settings: str) -> PackageSweep:
        deps = sweep_deps(self.env, settings, lambda: datetime.now(UTC) + self.later)
        return PackageSweep(deps, PackageInventory())

    async def sweep(self, later: timedelta = AFTER_CACHE, **settings: str) -> None:
        self.later = later
        await self.env.rest()
        await self.made(**settings).run()


@pytest.fixture
async def previews(env: Environment, fresh_aws: Aws) -> Previews:
    return Previews(env, fresh_aws)


async def test_a_package_of_a_closed_pull_request_goes_once_no_cache_names_it(previews: Previews) -> None:
    previews.make_group()
    arn = previews.register()
    await previews.sweep(timedelta(days=30))
    assert previews.left() == {arn}, "the run of the merge may still register the same artifact"
    await previews.sweep(EEP_SWEEP="dry-run")
    assert previews.left() == {arn}
    await previews.sweep()
    assert previews.left() == set()


async def test_what_is_approved_named_alive_or_not_ours_stays(previews: Previews) -> None:
    previews.make_group()
    previews.make_group("wine")
    previews.make_group("beer-previews")
    served = previews.register()
    previews.env.make(model={"package": {"group": PREVIEWS, "version": 1}})
    alive = Lineage(repository="acme/sentiment", pull_request="42", uid="uid-of-an-earlier-object")
    kept = {
        served,
        previews.register(approval="Approved"),
        previews.register(alive),
        previews.register(Lineage(revision="by hand")),
        previews.register(group="wine"),
        previews.register(group="beer-previews"),
    }
    previews.register()
    await previews.sweep()
    assert previews.left() == kept


async def test_what_a_stage_serves_or_can_go_back_to_stays(previews: Previews) -> None:
    previews.make_group()
    kept = {previews.register() for _ in range(3)}
    previews.register()
    ended = {"kind": "Promotion", "outcome": "Succeeded", "finishedAt": "2026-11-28T12:00:00Z"}
    stage = {
        "kind": "ModelStage",
        "metadata": {"name": "trial", "namespace": "default", "uid": "uid-trial", "resourceVersion": "1"},
        "spec": {"className": "default", "repository": "acme/wine", "source": {"group": PREVIEWS}},
        "status": {
            "current": {"version": f"{PREVIEWS}/1", "since": "2026-11-28T12:00:00Z", "promotion": "trial-1"},
            "candidate": f"{PREVIEWS}/2",
            "history": [{"promotion": "trial-3", "version": f"{PREVIEWS}/3", **ended}],
        },
    }
    previews.env.operator.store.put(stage)
    await previews.sweep()
    assert previews.left() == kept


async def test_a_group_of_another_cluster_is_left_alone(previews: Previews) -> None:
    previews.make_group(cluster="c2")
    arn = previews.register()
    await previews.sweep()
    assert previews.left() == {arn}


async def test_artifacts_go_with_their_version_and_nothing_else_does(previews: Previews) -> None:
    previews.make_group()
    previews.keep_artifacts("artifacts/a", "elsewhere/a")
    previews.register_run("artifacts/a")
    previews.register_run("elsewhere/a")
    await previews.sweep()
    assert previews.left() == set()
    elsewhere = {f"elsewhere/a/{file}" for file in ("model.tar.gz", "evaluation.json", "checkpoint")}
    assert previews.files() == {"artifacts/a/checkpoint", *elsewhere}


async def test_artifacts_stay_that_a_version_or_an_object_names(previews: Previews) -> None:
    previews.make_group()
    previews.make_group("beer")
    previews.keep_artifacts("artifacts/merged", "artifacts/named", "artifacts/twice")
    previews.env.make_class("drinks", packages={"groups": ["beer"]})
    merged = previews.register_run("artifacts/merged", group="beer")
    previews.register_run("artifacts/merged")
    previews.register_run("artifacts/named")
    previews.env.make(model={"image": IMAGE, "dataUrl": f"s3://{BUCKET}/artifacts/named/model.tar.gz"})
    for _ in range(2):
        previews.register_run("artifacts/twice")
    await previews.sweep()
    assert previews.left() == {merged}
    kept = {"artifacts/merged/model.tar.gz", "artifacts/merged/evaluation.json", "artifacts/named/model.tar.gz"}
    assert {each for each in previews.files() if not each.endswith("checkpoint")} == kept


async def test_a_class_leaves_versions_to_the_class_whose_artifacts_they_have(previews: Previews) -> None:
    previews.make_group()
    previews.keep_artifacts("artifacts/a")
    previews.env.make_class("a-class-that-only-serves", packages={"groups": ["wine"]})
    previews.register_run("artifacts/a")
    await previews.sweep()
    assert (previews.left(), previews.files()) == (set(), {"artifacts/a/checkpoint"})


async def test_a_refusal_of_s3_is_told_and_stops_neither_the_sweep_nor_a_later_one(
    previews: Previews, fresh_aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    previews.make_group()
    previews.keep_artifacts("artifacts/a", "artifacts/b")
    refused = previews.register_run("artifacts/a")
    previews.register()
    fresh_aws.control.add_faults(Fault(service="s3", operation="DeleteObject", error=DENIED))
    await previews.sweep()
    assert previews.left() == {refused}, "its files would be found by nobody any more"
    [told] = [each for each in caplog.records if each.message.startswith("a package or its artifacts")]
    assert told.__dict__["package"] == refused
    assert "DeleteObject" in told.__dict__["error"]
    fresh_aws.control.clear_faults()
    await previews.sweep()
    assert (previews.left(), "artifacts/a/model.tar.gz" in previews.files()) == (set(), False)


async def test_what_could_not_be_deleted_keeps_nothing_else_from_being(
    previews: Previews, fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_sweep, "MOST_PACKAGES", 1)
    previews.make_group()
    refused, other = previews.register(), previews.register()
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="DeleteModelPackage", error=DENIED, times=1))
    previews.later = AFTER_CACHE
    await previews.env.rest()
    sweep, left = previews.made(), []
    for _ in range(3):
        await sweep.run()
        left.append(previews.left())
    assert [len(each) for each in left] == [2, 1, 0]
    assert left[1] < {refused, other}


async def test_what_a_live_object_of_a_fork_was_trained_stays(previews: Previews) -> None:
    previews.make_group()
    arn = previews.register(Lineage(repository="fork/sentiment", pull_request="42"))
    source = {
        "repository": "acme/sentiment",
        "headRepository": "fork/sentiment",
        "pullRequest": 42,
        "revision": "a" * 40,
    }
    previews.env.make(source=source)
    await previews.sweep()
    assert previews.left() == {arn}
