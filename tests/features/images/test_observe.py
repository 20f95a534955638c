"""Images from commits: built, shared, given up, collected. The builder, the registry and the repository are real."""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
from tests.controllers.environment import Environment
from tests.controllers.orphans.deps import sweep_deps
from tests.fixtures.platform import Aws

from eep_platform import bootstrap
from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.git import GitHost
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.controllers.orphans import image_sweep
from ephemeral_endpoints.controllers.orphans.image_sweep import ImageSweep
from ephemeral_endpoints.deploy.event_queue import builds_pattern
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.images.builds import queue
from ephemeral_endpoints.features.images.references import ImageReference, ScanState, ScanStatus
from ephemeral_endpoints.features.images.registry import Images
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key

PROJECT = "previews"
REPOSITORY = "acme/sentiment"
FORK = "mallory/sentiment"
PYTHON = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
QUICK = (
    f'FROM {PYTHON}\nENTRYPOINT ["python"]\nCOPY model.txt /\nARG MODEL_REVISION\nLABEL revision=${{MODEL_REVISION}}\n'
)
SLOW = (
    f"FROM {PYTHON} AS slow\nCOPY sleep.py /\nRUN python /sleep.py\n"
    f'FROM {PYTHON}\nENTRYPOINT ["python"]\nCOPY --from=slow /sleep.py /\n'
)
NOBODYS = f"{'0' * 40}-{'a' * 52}"
"""The tag of an image that was made of a commit which no object names."""

BROKEN = f"FROM {PYTHON}\nCOPY absent.txt /\n"


class Shop:
    """An operator whose class builds what is in Git repositories on this machine."""

    def __init__(self, env: Environment, aws: Aws, git: GitHost) -> None:
        self.env = env
        self.aws = aws
        self.git = git
        self.ecr = aws.client("ecr")
        self.codebuild = aws.client("codebuild")
        self.codebuild.create_project(
            name=PROJECT,
            source={"type": "NO_SOURCE", "buildspec": "{version: 0.2, phases: {}}"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole=f"arn:aws:iam::{ministack.ACCOUNT}:role/any",
        )

    def make_class(self, images: Mapping[str, Any] | None = None, **builds: Any) -> None:  # noqa: ANN401 - any member
        policy = {"codeBuild": {"project": PROJECT}, "gitUrl": self.git.url, "allowTags": True, **builds}
        self.env.make_class("builds", builds=policy, images=images or {}, lifecycle={"allowRetain": True})

    def commit(self, dockerfile: str = QUICK, text: str = "one", repository: str = REPOSITORY) -> str:
        # Unlike any other: a layer may be in the cache, of a build that nobody stopped.
        sleep = f"import time\ntime.sleep(600)\n# {uuid4()}\n"
        files = {"Dockerfile": dockerfile, "model.txt": text, "sleep.py": sleep}
        content = {name: each.encode() for name, each in files.items()}
        return self.git.push(repository, "main", content, message=text)

    def make(
        self,
        revision: str,
        name: str = "pr",
        source: Mapping[str, Any] | None = None,
        model: Mapping[str, Any] | None = None,
    ) -> ObjectKey:
        spec = {
            "className": "builds",
            "source": {"repository": REPOSITORY, "revision": revision, **(source or {})},
            "model": model or {"build": {}},
        }
        self.env.api.put("EphemeralEndpoint", "nlp", name, spec)
        return endpoint_key("nlp", name)

    def push(self, key: ObjectKey, revision: str) -> None:
        self.env.api.change(key, {"spec": {"source": {"revision": revision}}})

    def reconcile_at(self, key: ObjectKey, value: str) -> None:
        self.annotate(key, "reconcile-at", value)

    def annotate(self, key: ObjectKey, name: str, value: str) -> None:
        self.env.api.change(key, {"metadata": {"annotations": {f"ephemeral-endpoints.io/{name}": value}}})

    def put(self, *tags: str) -> None:
        """Put an image under these tags into the class's repository."""
        manifest = json.dumps({"schemaVersion": 2, "config": {"size": 1}, "layers": []})
        for tag in tags:
            self.ecr.put_image(repositoryName=self.repository, imageManifest=manifest, imageTag=tag)

    @property
    def repository(self) -> str:
        uid = self.env.api.kept[class_key("builds")]["metadata"]["uid"]
        return f"eep-c1-builds-{owner_hash(uid)}"

    def tags(self) -> list[str]:
        """The tags in the class's repository that are not caches."""
        images = self.ecr.describe_images(repositoryName=self.repository)["imageDetails"]
        return sorted(tag for image in images for tag in image["imageTags"] if not tag.startswith("cache-"))

    def builds(self) -> list[dict[str, Any]]:
        """The builds of the project, the newest first."""
        ids = self.codebuild.list_builds_for_project(projectName=PROJECT)["ids"]
        return list(self.codebuild.batch_get_builds(ids=ids)["builds"]) if ids else []

    def outcomes(self) -> list[str]:
        """What came of the builds, the newest first."""
        return [build["buildStatus"] for build in self.builds()]

    async def digest_to_approve(self, key: ObjectKey) -> str:
        """The digest that the condition asks an approver for."""
        message = await self.image(key, "ApprovalRequired")
        found = re.search(r"approved-build to ([0-9a-f]{64})$", message)
        assert found
        return found[1]

    async def image(self, key: ObjectKey, reason: str) -> str:
        return await self.env.reason(key, reason, "ImageReady")

    async def building(self, key: ObjectKey) -> None:
        """Wait until commands of the Dockerfile run."""
        await self.image(key, "Building")
        await self.env.until(lambda: self.builds()[0]["currentPhase"] == "BUILD", "building")


@pytest.fixture
def shop(env: Environment, fresh_aws: Aws, tmp_path: Path) -> Shop:
    fresh_aws.control.patch_codebuild_settings(
        {"provisioning_seconds": 0.0, "log_interval_seconds": 0.05, "grace_seconds": 0.3}
    )
    return Shop(env, fresh_aws, GitHost(tmp_path / "git"))


async def test_a_commit_is_built_pushed_and_served(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    found = await shop.env.ready(shop.make(revision))
    [tag] = shop.tags()
    image = found["status"]["image"]
    assert tag.startswith(revision)
    assert image["uri"] == f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/{shop.repository}:{tag}"
    [stored] = shop.ecr.batch_get_image(repositoryName=shop.repository, imageIds=[{"imageTag": tag}])["images"]
    assert image["digest"] == stored["imageId"]["imageDigest"]
    [build] = shop.builds()
    assert (build["buildStatus"], build["resolvedSourceVersion"]) == ("SUCCEEDED", revision)


async def test_the_end_of_a_build_is_heard_of_where_no_poll_would_see_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "look_pause", lambda *_, **__: 3600.0)
    events = shop.aws.client("events")
    bootstrap.event_queue(shop.aws.client("sqs"), events)
    events.put_rule(Name=bootstrap.BUILD_RULE, EventPattern=json.dumps(builds_pattern(PROJECT)))
    shop.make_class()
    shop.env.api.change(class_key("builds"), {"spec": {"events": {"queueName": bootstrap.EVENT_QUEUE}}})
    try:
        await shop.env.ready(shop.make(shop.commit()))
        assert shop.outcomes() == ["SUCCEEDED"]
    finally:
        await shop.env.operator.services.events.stop()


async def test_the_repository_of_a_class_is_its_own_and_goes_with_it(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.env.ready(key)
    [found] = shop.ecr.describe_repositories(repositoryNames=[shop.repository])["repositories"]
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    shop.env.api.remove(key)
    await shop.env.gone(key)
    endpoint_class = class_key("builds")
    shop.env.api.remove(endpoint_class)
    await shop.env.gone(endpoint_class)
    assert shop.ecr.describe_repositories()["repositories"] == []


async def test_two_objects_with_one_commit_are_built_once_and_the_last_takes_the_image_along(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    one, two = shop.make(revision, "one"), shop.make(revision, "two")
    await shop.env.ready(one)
    await shop.env.ready(two)
    assert len(shop.builds()) == 1
    shop.env.api.remove(one)
    await shop.env.gone(one)
    assert len(shop.tags()) == 1, "the other one serves it"
    shop.env.api.remove(two)
    await shop.env.gone(two)
    assert shop.tags() == []


async def test_a_commit_that_is_in_the_repository_is_not_built_again(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    await shop.env.ready(shop.make(revision, "one"))
    await shop.env.ready(shop.make(revision, "two"))
    assert len(shop.builds()) == 1


async def test_the_image_of_the_last_revision_goes_once_the_next_one_serves(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.env.ready(key)
    newer = shop.commit(text="two")
    shop.push(key, newer)
    await shop.env.ready(key)
    assert [tag.split("-")[0] for tag in shop.tags()] == [newer]


async def test_a_newer_commit_stops_the_build_of_the_older_one(shop: Shop) -> None:
    shop.make_class(maxConcurrent=1)
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    newer = shop.commit(text="two")
    shop.push(key, newer)
    found = await shop.env.ready(key)
    assert found["status"]["revision"] == newer
    assert shop.outcomes() == ["SUCCEEDED", "STOPPED"]


async def test_deleted_while_it_is_built_the_build_is_stopped_and_nothing_is_left(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    shop.env.api.remove(key)
    await shop.env.gone(key)
    assert shop.outcomes() == ["STOPPED"]
    assert shop.tags() == []


async def test_deleted_after_a_restart_the_build_is_found_and_stopped(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    shop.env.api.remove(key)
    await shop.env.restart()
    await shop.env.gone(key)
    assert shop.outcomes() == ["STOPPED"]


async def test_an_operator_that_starts_anew_goes_on_with_the_build(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.env.until(lambda: bool(shop.builds()), "begun")
    await shop.env.restart()
    await shop.env.ready(key)
    assert len(shop.builds()) == 1


async def test_a_build_whose_answer_was_lost_is_not_begun_twice(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.add_faults(Fault(service="codebuild", operation="StartBuild", answer_lost=True, times=1))
    await shop.env.ready(shop.make(shop.commit()))
    assert len(shop.builds()) == 1


async def test_a_dockerfile_that_fails_is_reported_with_its_last_lines_and_the_next_commit_fixes_it(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(BROKEN))
    message = await shop.env.reason(key, "BuildFailed", "ImageReady", saying="absent.txt")
    assert "log: https://" in message
    assert shop.env.condition(key, "Stalled")["status"] == "True"
    assert any(event.kind == "Warning" and event.reason == "BuildFailed" for event in shop.env.api.events)
    shop.push(key, shop.commit(text="two"))
    await shop.env.ready(key)
    assert len(shop.builds()) == 2, "what fails by the commit is not tried again by itself"


async def test_somebody_may_ask_to_try_again(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(BROKEN))
    await shop.image(key, "BuildFailed")
    shop.reconcile_at(key, "now")
    await shop.env.until(lambda: len(shop.builds()) == 2, "a second build")


async def test_a_commit_that_does_not_exist_is_reported(shop: Shop) -> None:
    shop.make_class()
    shop.commit()
    message = await shop.image(shop.make("0" * 40), "BuildFailed")
    assert "failed while fetching the commit" in message
    assert "0" * 40 in message


async def test_a_commit_without_the_dockerfile_is_reported(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    shop.env.api.change(key, {"spec": {"model": {"build": {"dockerfile": "Dockerfile.gpu"}}}})
    assert "Dockerfile.gpu" in await shop.image(key, "BuildFailed")


async def test_a_build_that_hangs_is_stopped_and_reported(shop: Shop) -> None:
    shop.make_class(timeout="5m")
    shop.aws.control.patch_codebuild_settings({"minute_seconds": 0.6})
    message = await shop.image(shop.make(shop.commit(SLOW)), "BuildTimedOut")
    assert "it took longer than the class's spec.builds.timeout" in message
    assert shop.outcomes() == ["TIMED_OUT"], "another time it would hang too"


async def test_a_push_that_fails_is_tried_again(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.patch_codebuild_settings({"concurrency": 0})
    key = shop.make(shop.commit())
    await shop.env.until(lambda: bool(shop.builds()), "begun")
    shop.ecr.delete_repository(repositoryName=shop.repository, force=True)
    shop.aws.control.patch_codebuild_settings({"concurrency": None})
    assert "failed while pushing" in await shop.image(key, "BuildRetrying")
    await shop.env.snapshot()
    shop.env.clock.advance(600)
    shop.reconcile_at(key, "now")
    await shop.env.ready(key)
    assert shop.outcomes()[0] == "SUCCEEDED"
    assert set(shop.outcomes()[1:]) == {"FAILED"}


async def test_a_builder_that_fails_is_tried_again(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.patch_codebuild_settings({"fail_provisioning": 1})
    key = shop.make(shop.commit())
    await shop.image(key, "BuildRetrying")
    shop.env.clock.advance(600)
    shop.reconcile_at(key, "now")
    await shop.env.ready(key)
    assert shop.outcomes() == ["SUCCEEDED", "FAULT"]


async def test_a_missing_permission_is_reported_and_its_grant_found_without_a_change(shop: Shop) -> None:
    shop.make_class()
    denied = FaultError(code="AccessDeniedException", message="User: x is not authorized", status=400)
    shop.aws.control.add_faults(Fault(service="codebuild", operation="StartBuild", error=denied, times=1))
    key = shop.make(shop.commit())
    message = await shop.env.reason(key, "AccessDenied")
    assert "StartBuild: User: x is not authorized" in message
    await shop.env.ready(key)


async def test_a_fork_is_built_once_that_very_build_was_approved(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit(repository=FORK)
    key = shop.make(revision, source={"headRepository": FORK})
    digest = await shop.digest_to_approve(key)
    assert shop.builds() == []
    shop.annotate(key, "approved-build", "0" * 64)
    await shop.env.rest()
    assert shop.builds() == []
    shop.annotate(key, "approved-build", digest)
    await shop.env.ready(key)


async def test_an_approval_does_not_cover_arguments_that_are_patched_in_afterwards(shop: Shop) -> None:
    # BuildKit would hand the whole build to this image, with the class's secrets and the password for its registry.
    attack = {"BUILDKIT_SYNTAX": "mallory/frontend"}
    shop.make_class(allowedFrontends=["mallory/*"])
    key = shop.make(shop.commit(repository=FORK), source={"headRepository": FORK})
    digest = await shop.digest_to_approve(key)
    shop.annotate(key, "approved-build", digest)
    await shop.env.ready(key)
    shop.env.api.change(key, {"spec": {"model": {"build": {"arguments": attack}}}})
    message = await shop.image(key, "ApprovalRequired")
    assert "what is built has changed since it was approved" in message
    assert digest not in message
    assert shop.outcomes() == ["SUCCEEDED"]


async def test_an_approval_of_a_commit_alone_covers_nothing_and_says_so(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit(repository=FORK)
    key = shop.make(revision, source={"headRepository": FORK})
    shop.annotate(key, "approved-revision", revision)
    await shop.env.rest()
    message = await shop.image(key, "ApprovalRequired")
    assert "the annotation ephemeral-endpoints.io/approved-revision covers the commit only" in message
    assert shop.builds() == []


@pytest.mark.parametrize(
    ("link", "target", "build"),
    [
        pytest.param("model", "{home}", {"context": "model"}, id="a context that is a folder of the builder"),
        pytest.param("docker", "{home}", {"dockerfile": "docker/Dockerfile"}, id="a Dockerfile in such a folder"),
    ],
)
async def test_a_link_out_of_the_commit_is_refused_before_anything_is_read(
    shop: Shop, tmp_path: Path, link: str, target: str, build: Mapping[str, str]
) -> None:
    # As the builder's own ~/.docker, with its passwords for registries.
    (tmp_path / "Dockerfile").write_text(QUICK + "COPY config.json /\n")
    (tmp_path / "config.json").write_text("{}")
    shop.make_class()
    revision = shop.git.push(REPOSITORY, "main", {}, message="link", links={link: target.format(home=tmp_path)})
    key = shop.make(revision, model={"build": dict(build)})
    message = await shop.image(key, "BuildFailed")
    assert f"./{link} is a symbolic link, which may lead out of the repository" in message
    assert "the build failed while checking the commit" in message
    assert shop.outcomes() == ["FAILED"]
    assert shop.tags() == []


async def test_a_branch_that_is_named_like_a_commit_is_not_built(shop: Shop) -> None:
    shop.make_class()
    branch = "a" * 64
    shop.git.push(REPOSITORY, branch, {"Dockerfile": QUICK.encode()}, message="can be moved")
    message = await shop.image(shop.make(branch), "BuildFailed")
    assert "is not the SHA of a commit but the name of a branch or tag" in message
    assert shop.outcomes() == ["FAILED"]


async def test_a_frontend_of_the_dockerfile_is_refused_unless_the_class_allows_it(shop: Shop) -> None:
    shop.make_class(allowedFrontends=["docker/dockerfile:1"])
    refused = shop.make(shop.commit(f"# syntax=mallory/frontend\n{QUICK}"), "refused")
    message = await shop.image(refused, "BuildFailed")
    assert "the class does not allow the frontend mallory/frontend" in message
    await shop.env.ready(shop.make(shop.commit(f"# syntax=docker/dockerfile:1\n{QUICK}"), "allowed"))


async def test_what_is_served_is_served_on_when_its_approval_is_taken_back(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit(repository=FORK)
    key = shop.make(revision, source={"headRepository": FORK})
    shop.annotate(key, "approved-build", await shop.digest_to_approve(key))
    await shop.env.ready(key)
    shop.annotate(key, "approved-build", "0" * 64)
    await shop.env.restart()
    await shop.env.refresh(key)
    assert shop.env.is_up_to_date(key)
    shop.push(key, shop.commit(text="two", repository=FORK))
    await shop.image(key, "ApprovalRequired")


async def test_a_class_without_builds_says_so(shop: Shop) -> None:
    shop.env.make_class("builds")
    message = await shop.image(shop.make(shop.commit()), "BuildsNotAllowed")
    assert "set spec.builds of the class" in message


async def test_an_image_of_another_registry_is_copied(shop: Shop) -> None:
    shop.make_class()
    await shop.env.ready(shop.make(shop.commit(), "source"))
    [tag] = shop.tags()
    registry = shop.aws.endpoint.removeprefix("http://")
    shop.env.make_class(
        "copies",
        builds={"codeBuild": {"project": PROJECT}, "allowTags": True},
        images={"allowedSources": [f"{registry}/eep-*"]},
    )
    spec = {
        "className": "copies",
        "source": {"repository": REPOSITORY, "revision": "1f0c2a9"},
        "model": {"copy": {"image": f"{registry}/{shop.repository}:{tag}"}},
    }
    shop.env.api.put("EphemeralEndpoint", "nlp", "copied", spec)
    found = await shop.env.ready(endpoint_key("nlp", "copied"))
    [stored] = shop.ecr.batch_get_image(repositoryName=shop.repository, imageIds=[{"imageTag": tag}])["images"]
    assert found["status"]["image"]["digest"] == stored["imageId"]["imageDigest"], "the very same image"
    assert "eep-c1-copies-" in found["status"]["image"]["uri"]


async def test_what_somebody_pushes_over_a_copy_before_it_is_pinned_is_not_served(shop: Shop) -> None:
    for name in ("models", "copies"):
        shop.ecr.create_repository(repositoryName=name)
    source = put_manifest(shop, upload(shop, {"config": {"Entrypoint": ["serve"]}}))
    registry = shop.aws.endpoint.removeprefix("http://")
    shop.make_class({"allowedSources": [f"{registry}/models"], "repository": {"name": "copies"}})
    shop.aws.control.patch_codebuild_settings({"concurrency": 0})
    key = shop.make("1f0c2a9", model={"copy": {"image": f"{registry}/models@{source}"}})
    await shop.env.until(lambda: bool(shop.builds()), "the copy is about to begin")
    shop.aws.control.add_faults(Fault(service="ecr", operation="BatchGetImage", held=True))
    shop.aws.control.patch_codebuild_settings({"concurrency": None})
    await shop.env.until(lambda: shop.outcomes() == ["SUCCEEDED"], "copied")

    [copied] = shop.ecr.describe_images(repositoryName="copies")["imageDetails"]
    hostile = json.dumps({"schemaVersion": 2, "config": {"size": 1}, "layers": []})
    shop.ecr.put_image(repositoryName="copies", imageManifest=hostile, imageTag=copied["imageTags"][0])
    shop.aws.control.clear_faults()
    message = await shop.image(key, "ImageReplaced")
    assert f"but the build pushed {copied['imageDigest']}" in message

    await shop.env.restart()
    await shop.image(key, "ImageReplaced")
    shop.ecr.batch_delete_image(repositoryName="copies", imageIds=[{"imageTag": copied["imageTags"][0]}])
    shop.reconcile_at(key, "now")
    served = (await shop.env.ready(key))["status"]["image"]["digest"]
    assert served == copied["imageDigest"]


async def test_a_repository_that_somebody_deletes_is_made_again_and_filled(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.env.ready(key)
    before = shop.tags()
    shop.ecr.delete_repository(repositoryName=shop.repository, force=True)
    await shop.env.snapshot()
    await shop.env.until(lambda: shop.outcomes() == ["SUCCEEDED", "SUCCEEDED"], "built again")
    await shop.env.until(lambda: shop.tags() == before, "filled again")
    await shop.env.ready(key)


async def test_images_stay_where_another_operator_may_know_who_names_them(
    env: Environment, fresh_aws: Aws, tmp_path: Path
) -> None:
    await env.stop()
    shop = Shop(Environment({"EEP_NAMESPACES": "nlp"}), fresh_aws, GitHost(tmp_path / "git"))
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.env.ready(key)
    shop.env.api.remove(key)
    await shop.env.gone(key)
    assert len(shop.tags()) == 1
    await shop.env.stop()


async def test_images_stay_as_long_as_something_retained_may_serve_them(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    kept, other = shop.make(revision, "kept"), shop.make(revision, "other")
    shop.env.api.change(kept, {"spec": {"lifecycle": {"deletionPolicy": "Retain"}}})
    for key in (kept, other):
        await shop.env.ready(key)
    for key in (kept, other):
        shop.env.api.remove(key)
        await shop.env.gone(key)
    assert len(shop.tags()) == 1


def sweep_of(shop: Shop, **settings: str) -> ImageSweep:
    """The sweep a minute later, for which images of a second are old."""
    environment = {"EEP_SWEEP_MIN_AGE_SECONDS": "1", **settings}
    deps = sweep_deps(shop.env, environment, lambda: datetime.now(UTC) + timedelta(minutes=1))
    return ImageSweep(deps, PackageInventory())


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        pytest.param({}, ["somebodys"], id="swept"),
        pytest.param({"EEP_SWEEP": "dry-run"}, [NOBODYS, "somebodys"], id="only reported"),
        pytest.param({"EEP_SWEEP_MIN_AGE_SECONDS": "3600"}, [NOBODYS, "somebodys"], id="too young"),
    ],
)
async def test_images_of_nobody_are_swept_and_those_that_are_named_stay(
    shop: Shop, settings: Mapping[str, str], left: list[str]
) -> None:
    shop.make_class()
    await shop.env.ready(shop.make(shop.commit()))
    [named] = shop.tags()
    shop.put(NOBODYS, "somebodys")
    await sweep_of(shop, **settings).run()
    assert shop.tags() == sorted([named, *left])


async def test_the_image_of_a_model_package_stays_whoever_built_it(shop: Shop) -> None:
    shop.make_class()
    shop.env.api.change(class_key("builds"), {"spec": {"packages": {"groups": ["wine"]}}})
    await shop.env.ready(shop.make(shop.commit()))
    [named] = shop.tags()
    shop.put(NOBODYS)
    registry = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com"
    container: Any = {"Image": f"{registry}/{shop.repository}:{NOBODYS}"}
    sagemaker = shop.env.operator.accounts.connected[0].clients.sagemaker
    sagemaker.create_model_package_group(ModelPackageGroupName="wine")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="wine", InferenceSpecification={"Containers": [container]}
    )["ModelPackageArn"]
    sweep = sweep_of(shop)
    await sweep.run()
    assert shop.tags() == sorted([named, NOBODYS])
    sagemaker.delete_model_package(ModelPackageName=arn)
    await sweep.run()
    assert shop.tags() == [named]


async def test_of_many_images_of_nobody_a_round_takes_the_oldest(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """None are held: whoever makes many must not keep those of others for good."""
    monkeypatch.setattr(image_sweep, "MOST_IMAGES", 1)
    shop.make_class()
    await shop.env.ready(shop.make(shop.commit()))
    before = shop.tags()
    others = [f"{number:040}-{'a' * 52}" for number in range(2)]
    shop.put(*others)
    for left in (1, 0):
        await sweep_of(shop).run()
        assert len(set(shop.tags()) & set(others)) == left
    assert shop.tags() == before


@dataclass
class Scanner:
    """In place of ECR's scans, which the embedded one does not know."""

    state: ScanState

    async def scan(self, _: Calls, __: ImageReference, digest: str) -> ScanState:
        assert digest.startswith("sha256:")
        return self.state


async def test_what_a_scan_finds_holds_the_endpoint_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = Scanner(ScanState(ScanStatus.RUNNING))
    monkeypatch.setattr(Images, "scan", lambda _, calls, reference, digest: scanner.scan(calls, reference, digest))
    shop.make_class({"scan": {}})
    key = shop.make(shop.commit())
    await shop.image(key, "Scanning")
    scanner.state = ScanState(ScanStatus.COMPLETE, {"CRITICAL": 1}, (("CVE-2026-1", "CRITICAL"),))
    shop.env.clock.advance(600)
    shop.reconcile_at(key, "now")
    assert "CVE-2026-1" in await shop.image(key, "Vulnerable")
    assert shop.env.condition(key, "Stalled")["status"] == "True"
    assert shop.env.api.kept[key]["status"].get("image") is None, "it is not pinned"
    assert not any(each["kind"] == "Model" for each in shop.env.api.kept[key]["status"]["resources"])
    scanner.state = ScanState(ScanStatus.COMPLETE)
    shop.env.clock.advance(600)
    shop.reconcile_at(key, "later")
    await shop.env.ready(key)


async def test_a_tag_that_moves_is_followed_where_the_class_says_so(shop: Shop) -> None:
    shop.env.make_class("moving", images={"followTags": "1m"})
    shop.ecr.create_repository(repositoryName="models")
    manifest = json.dumps({"schemaVersion": 2, "config": {"size": 1}, "layers": []})
    shop.ecr.put_image(repositoryName="models", imageManifest=manifest, imageTag="main")
    uri = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/models:main"
    source = {"repository": REPOSITORY, "revision": "1f0c2a9"}
    shop.env.api.put(
        "EphemeralEndpoint", "nlp", "pr", {"className": "moving", "source": source, "model": {"image": uri}}
    )
    key = endpoint_key("nlp", "pr")
    before = (await shop.env.ready(key))["status"]["image"]["digest"]
    shop.ecr.put_image(repositoryName="models", imageManifest=f"{manifest} ", imageTag="main")
    await shop.env.refresh(key)
    assert shop.env.api.kept[key]["status"]["image"]["digest"] == before, "not yet"
    shop.env.clock.advance(60)
    await shop.env.refresh(key)
    await shop.env.until(lambda: shop.env.api.kept[key]["status"]["image"]["digest"] != before, "the other image")


DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def push(shop: Shop, media_type: str, **document: object) -> str:
    """Put a manifest into the repository `models` under a tag of its own; returns its digest."""
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, **document})
    pushed = shop.ecr.put_image(
        repositoryName="models",
        imageManifest=manifest,
        imageManifestMediaType=media_type,
        imageTag=hashlib.sha256(manifest.encode()).hexdigest(),
    )
    return str(pushed["image"]["imageId"]["imageDigest"])


def entry(digest: str, system: str, architecture: str) -> dict[str, object]:
    return {"digest": digest, "size": 1, "platform": {"os": system, "architecture": architecture}}


def make_object_of(shop: Shop, digest: str) -> ObjectKey:
    """Make an object of an image of the repository `models`."""
    shop.env.make_class("pushed")
    uri = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/models@{digest}"
    source = {"repository": REPOSITORY, "revision": "1f0c2a9"}
    spec = {"className": "pushed", "source": source, "model": {"image": uri}}
    shop.env.api.put("EphemeralEndpoint", "nlp", "pr", spec)
    return endpoint_key("nlp", "pr")


async def test_of_an_index_the_image_for_the_endpoints_platform_is_served(shop: Shop) -> None:
    shop.ecr.create_repository(repositoryName="models")
    layers: dict[str, object] = {"config": {"size": 1}, "layers": []}
    image, attestation = push(shop, DOCKER, **layers), push(shop, OCI, **layers)
    entries = [entry(attestation, "unknown", "unknown"), entry(image, "linux", "amd64")]
    index = push(shop, INDEX, manifests=entries)
    key = make_object_of(shop, index)
    status = (await shop.env.ready(key))["status"]
    assert status["image"]["digest"] == image
    assert index in status["image"]["uri"]


@pytest.mark.parametrize("media_type", [OCI, INDEX])
async def test_what_sagemaker_refuses_is_told_before_anything_is_made(shop: Shop, media_type: str) -> None:
    shop.ecr.create_repository(repositoryName="models")
    pushed = push(shop, OCI, config={"size": 1}, layers=[])
    if media_type == INDEX:
        pushed = push(shop, INDEX, manifests=[entry(pushed, "linux", "amd64")])
    key = make_object_of(shop, pushed)
    await shop.env.refresh(key)
    condition = shop.env.condition(key, "ImageReady")
    assert (condition["status"], condition["reason"]) == ("False", "ManifestNotSupported")
    assert "oci-mediatypes=false" in condition["message"]
    assert shop.env.condition(key, "Stalled")["status"] == "True"
    assert not any(each["kind"] == "Model" for each in shop.env.api.kept[key]["status"]["resources"])


async def test_an_image_that_sagemaker_could_not_start_is_told_with_the_line_to_add(shop: Shop) -> None:
    shop.ecr.create_repository(repositoryName="models")
    digest = push(shop, DOCKER, config=upload(shop, {"config": {"Cmd": ["python", "app.py"]}}), layers=[])
    key = make_object_of(shop, digest)
    await shop.env.refresh(key)
    condition = shop.env.condition(key, "ImageReady")
    assert (condition["status"], condition["reason"]) == ("False", "EntrypointMissing")
    assert 'ENTRYPOINT ["/bin/sh", "-c", "exec python app.py"]' in condition["message"]


def upload(shop: Shop, config: object) -> dict[str, object]:
    """Put the configuration of an image into the repository `models`."""
    content = json.dumps(config).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    uploads = f"{shop.ecr.meta.endpoint_url}/v2/models/blobs/uploads/"
    begun = requests.post(uploads, timeout=60)
    target = requests.compat.urljoin(begun.url, begun.headers["Location"])
    requests.put(target, params={"digest": digest}, data=content, timeout=60).raise_for_status()
    return {"digest": digest, "size": len(content)}


def put_manifest(shop: Shop, config: Mapping[str, object]) -> str:
    """Push an image of this configuration into the repository `models`, as docker does; returns its digest."""
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", **config}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": []}).encode()
    address, header = f"{shop.ecr.meta.endpoint_url}/v2/models/manifests/original", {"content-type": DOCKER}
    requests.put(address, data=manifest, headers=header, timeout=60).raise_for_status()
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


async def test_another_way_to_build_the_same_commit_is_another_image(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    first = (await shop.env.ready(key))["status"]["image"]["uri"]
    shop.env.api.change(key, {"spec": {"model": {"build": {"arguments": {"EXTRA": "1"}}}}})
    second = (await shop.env.ready(key))["status"]["image"]["uri"]
    assert first != second
    assert shop.tags() == [second.rpartition(":")[2]], "the first is not used any more"


THROTTLED = FaultError(code="ThrottlingException", message="Rate exceeded", status=400)
FAILED = FaultError(code="InternalFailure", message="Try again", status=500)
TROUBLES: Mapping[str, Mapping[str, Any]] = {
    "throttled": {"error": THROTTLED},
    "500": {"error": FAILED},
    "its answer lost": {"answer_lost": True},
}


def trouble(name: str, service: str, operation: str) -> Fault:
    return Fault(service=service, operation=operation, times=1, **TROUBLES[name])


@pytest.mark.parametrize("name", ["its answer lost", "throttled"])
async def test_an_image_that_cannot_be_deleted_at_once_goes_in_the_end(shop: Shop, name: str) -> None:
    shop.make_class()
    shop.aws.control.add_faults(trouble(name, "ecr", "BatchDeleteImage"))
    key = shop.make(shop.commit())
    await shop.env.ready(key)
    shop.env.api.remove(key)
    await shop.env.gone(key)
    assert shop.tags() == []
    assert [fault["fired"] for fault in map(vars, shop.aws.control.faults())] == [1]


async def test_the_log_of_a_failed_build_may_not_be_readable(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.add_faults(trouble("500", "logs", "GetLogEvents"))
    key = shop.make(shop.commit(BROKEN))
    assert "exit status 1" in await shop.image(key, "BuildFailed")
    await shop.env.until(lambda: "absent.txt" in shop.env.condition(key, "ImageReady")["message"], "its last lines")
