"""Images from commits: built, shared, given up, collected. The builder, the registry and the repository are real."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.platform import Aws
from tests.reconcile.world import Desk

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.images import Images
from ephemeral_endpoints.core.images import ImageReference, ScanState, ScanStatus
from ephemeral_endpoints.core.names import owner_hash
from ephemeral_endpoints.image_sweep import ImageSweep
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.local.aws import ministack
from ephemeral_endpoints.local.aws.faults import Fault, FaultError
from ephemeral_endpoints.local.git import GitHost
from ephemeral_endpoints.settings import Settings

PROJECT = "previews"
REPOSITORY = "acme/sentiment"
FORK = "mallory/sentiment"
PYTHON = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
QUICK = f"FROM {PYTHON}\nCOPY model.txt /\nARG MODEL_REVISION\nLABEL revision=${{MODEL_REVISION}}\n"
SLOW = f"FROM {PYTHON} AS slow\nCOPY sleep.py /\nRUN python /sleep.py\nFROM {PYTHON}\nCOPY --from=slow /sleep.py /\n"
NOBODYS = f"{'0' * 40}-00000000"
"""The tag of an image that was made of a commit which no object names."""

BROKEN = f"FROM {PYTHON}\nCOPY absent.txt /\n"


class Shop:
    """An operator whose class builds what is in Git repositories on this machine."""

    def __init__(self, desk: Desk, aws: Aws, git: GitHost) -> None:
        self.desk = desk
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
        policy = {"codeBuild": {"project": PROJECT}, "gitUrl": self.git.url, **builds}
        self.desk.make_class("builds", builds=policy, images=images or {})

    def commit(
        self, dockerfile: str = QUICK, text: str = "one", repository: str = REPOSITORY, seconds: int = 300
    ) -> str:
        files = {"Dockerfile": dockerfile, "model.txt": text, "sleep.py": f"import time\ntime.sleep({seconds})\n"}
        content = {name: each.encode() for name, each in files.items()}
        return self.git.push(repository, "main", content, message=text)

    def make(self, revision: str, name: str = "pr", source: Mapping[str, Any] | None = None) -> ObjectKey:
        spec = {
            "className": "builds",
            "source": {"repository": REPOSITORY, "revision": revision, **(source or {})},
            "model": {"build": {}},
        }
        self.desk.api.put("EphemeralEndpoint", "nlp", name, spec)
        return ObjectKey("nlp", name)

    def push(self, key: ObjectKey, revision: str) -> None:
        self.desk.api.change(key, {"spec": {"source": {"revision": revision}}})

    def reconcile_at(self, key: ObjectKey, value: str) -> None:
        self.annotate(key, "reconcile-at", value)

    def annotate(self, key: ObjectKey, name: str, value: str) -> None:
        self.desk.api.change(key, {"metadata": {"annotations": {f"ephemeral-endpoints.io/{name}": value}}})

    def put(self, *tags: str) -> None:
        """Put an image under these tags into the class's repository."""
        manifest = json.dumps({"schemaVersion": 2, "config": {"size": 1}, "layers": []})
        for tag in tags:
            self.ecr.put_image(repositoryName=self.repository, imageManifest=manifest, imageTag=tag)

    @property
    def repository(self) -> str:
        uid = self.desk.api.kept[ObjectKey(None, "builds")]["metadata"]["uid"]
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

    async def image(self, key: ObjectKey, reason: str) -> str:
        return await self.desk.reason(key, reason, "ImageReady")

    async def building(self, key: ObjectKey) -> None:
        """Wait until commands of the Dockerfile run."""
        await self.image(key, "Building")
        await self.desk.until(lambda: self.builds()[0]["currentPhase"] == "BUILD", "building")


@pytest.fixture
def shop(desk: Desk, fresh_aws: Aws, tmp_path: Path) -> Shop:
    fresh_aws.control.patch_codebuild_settings(
        {"provisioning_seconds": 0.0, "log_interval_seconds": 0.05, "grace_seconds": 0.3}
    )
    return Shop(desk, fresh_aws, GitHost(tmp_path / "git"))


async def test_a_commit_is_built_pushed_and_served(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    found = await shop.desk.ready(shop.make(revision))
    [tag] = shop.tags()
    image = found["status"]["image"]
    assert tag.startswith(revision)
    assert image["uri"] == f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/{shop.repository}:{tag}"
    [stored] = shop.ecr.batch_get_image(repositoryName=shop.repository, imageIds=[{"imageTag": tag}])["images"]
    assert image["digest"] == stored["imageId"]["imageDigest"]
    [build] = shop.builds()
    assert (build["buildStatus"], build["resolvedSourceVersion"]) == ("SUCCEEDED", revision)


async def test_the_repository_of_a_class_is_its_own_and_goes_with_it(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.desk.ready(key)
    [found] = shop.ecr.describe_repositories(repositoryNames=[shop.repository])["repositories"]
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    shop.desk.api.remove(key)
    await shop.desk.gone(key)
    klass = ObjectKey(None, "builds")
    shop.desk.api.remove(klass)
    await shop.desk.gone(klass)
    assert shop.ecr.describe_repositories()["repositories"] == []


async def test_two_objects_with_one_commit_are_built_once_and_the_last_takes_the_image_along(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    one, two = shop.make(revision, "one"), shop.make(revision, "two")
    await shop.desk.ready(one)
    await shop.desk.ready(two)
    assert len(shop.builds()) == 1
    shop.desk.api.remove(one)
    await shop.desk.gone(one)
    assert len(shop.tags()) == 1, "the other one serves it"
    shop.desk.api.remove(two)
    await shop.desk.gone(two)
    assert shop.tags() == []


async def test_a_commit_that_is_in_the_repository_is_not_built_again(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    await shop.desk.ready(shop.make(revision, "one"))
    await shop.desk.ready(shop.make(revision, "two"))
    assert len(shop.builds()) == 1


async def test_the_image_of_the_last_revision_goes_once_the_next_one_serves(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.desk.ready(key)
    newer = shop.commit(text="two")
    shop.push(key, newer)
    await shop.desk.ready(key)
    assert [tag.split("-")[0] for tag in shop.tags()] == [newer]


async def test_a_newer_commit_stops_the_build_of_the_older_one(shop: Shop) -> None:
    shop.make_class(maxConcurrent=1)
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    newer = shop.commit(text="two")
    shop.push(key, newer)
    found = await shop.desk.ready(key)
    assert found["status"]["revision"] == newer
    assert shop.outcomes() == ["SUCCEEDED", "STOPPED"]


async def test_deleted_while_it_is_built_the_build_is_stopped_and_nothing_is_left(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    shop.desk.api.remove(key)
    await shop.desk.gone(key)
    assert shop.outcomes() == ["STOPPED"]
    assert shop.tags() == []


async def test_deleted_after_a_restart_the_build_is_found_and_stopped(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    shop.desk.api.remove(key)
    await shop.desk.restart()
    await shop.desk.gone(key)
    assert shop.outcomes() == ["STOPPED"]


async def test_an_operator_that_starts_anew_goes_on_with_the_build(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.desk.until(lambda: bool(shop.builds()), "begun")
    await shop.desk.restart()
    await shop.desk.ready(key)
    assert len(shop.builds()) == 1


async def test_a_build_whose_answer_was_lost_is_not_begun_twice(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.add_faults(Fault(service="codebuild", operation="StartBuild", answer_lost=True, times=1))
    await shop.desk.ready(shop.make(shop.commit()))
    assert len(shop.builds()) == 1


async def test_a_dockerfile_that_fails_is_told_with_its_last_lines_and_the_next_commit_mends_it(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(BROKEN))
    message = await shop.image(key, "BuildFailed")
    assert "absent.txt" in message
    assert "the log: https://" in message
    assert shop.desk.condition(key, "Stalled")["status"] == "True"
    assert any(event.kind == "Warning" and event.reason == "BuildFailed" for event in shop.desk.api.events)
    shop.push(key, shop.commit(text="two"))
    await shop.desk.ready(key)
    assert len(shop.builds()) == 2, "what fails by the commit is not tried again by itself"


async def test_somebody_may_ask_to_try_again(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(BROKEN))
    await shop.image(key, "BuildFailed")
    shop.reconcile_at(key, "now")
    await shop.desk.until(lambda: len(shop.builds()) == 2, "a second build")


async def test_a_commit_that_does_not_exist_is_told(shop: Shop) -> None:
    shop.make_class()
    shop.commit()
    message = await shop.image(shop.make("0" * 40), "BuildFailed")
    assert "fetching the commit failed" in message
    assert "0" * 40 in message


async def test_a_commit_without_the_dockerfile_is_told(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    shop.desk.api.change(key, {"spec": {"model": {"build": {"dockerfile": "Dockerfile.gpu"}}}})
    assert "Dockerfile.gpu" in await shop.image(key, "BuildFailed")


async def test_a_build_that_hangs_is_ended_and_told(shop: Shop) -> None:
    shop.make_class(timeout="5m")
    shop.aws.control.patch_codebuild_settings({"minute_seconds": 0.6})
    message = await shop.image(shop.make(shop.commit(SLOW)), "BuildTimedOut")
    assert "building took longer than spec.builds.timeout" in message
    assert shop.outcomes() == ["TIMED_OUT"], "another time it would hang too"


async def test_a_push_that_fails_is_tried_again(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit(SLOW, seconds=2))
    await shop.building(key)
    shop.ecr.delete_repository(repositoryName=shop.repository, force=True)
    assert "pushing failed" in await shop.image(key, "BuildRetrying")
    await shop.desk.snapshot()
    await shop.desk.ready(key)
    assert shop.outcomes()[0] == "SUCCEEDED"
    assert set(shop.outcomes()[1:]) == {"FAILED"}


async def test_a_builder_that_fails_is_tried_again(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.patch_codebuild_settings({"fail_provisioning": 1})
    key = shop.make(shop.commit())
    await shop.image(key, "BuildRetrying")
    await shop.desk.ready(key)
    assert shop.outcomes() == ["SUCCEEDED", "FAULT"]


async def test_a_missing_permission_is_told_and_mended_without_a_change(shop: Shop) -> None:
    shop.make_class()
    denied = FaultError(code="AccessDeniedException", message="User: x is not authorized", status=400)
    shop.aws.control.add_faults(Fault(service="codebuild", operation="StartBuild", error=denied, times=1))
    key = shop.make(shop.commit())
    message = await shop.desk.reason(key, "AccessDenied")
    assert "StartBuild: User: x is not authorized" in message
    await shop.desk.ready(key)


async def test_a_fork_is_built_once_that_very_commit_was_approved(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit(repository=FORK)
    key = shop.make(revision, source={"headRepository": FORK})
    message = await shop.image(key, "ApprovalRequired")
    assert revision in message
    assert shop.builds() == []
    shop.annotate(key, "approved-revision", "0" * 40)
    await shop.desk.rest()
    assert shop.builds() == []
    shop.annotate(key, "approved-revision", revision)
    await shop.desk.ready(key)


async def test_what_is_served_is_served_on_when_its_approval_is_taken_back(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit(repository=FORK)
    key = shop.make(revision, source={"headRepository": FORK})
    shop.annotate(key, "approved-revision", revision)
    await shop.desk.ready(key)
    shop.annotate(key, "approved-revision", "0" * 40)
    await shop.desk.restart()
    await shop.desk.look(key)
    assert shop.desk.is_up_to_date(key)
    shop.push(key, shop.commit(text="two", repository=FORK))
    await shop.image(key, "ApprovalRequired")


async def test_a_class_without_builds_says_so(shop: Shop) -> None:
    shop.desk.make_class("builds")
    message = await shop.image(shop.make(shop.commit()), "BuildsNotAllowed")
    assert "set its spec.builds" in message


async def test_an_image_of_another_registry_is_copied(shop: Shop) -> None:
    shop.make_class()
    await shop.desk.ready(shop.make(shop.commit(), "source"))
    [tag] = shop.tags()
    registry = shop.aws.endpoint.removeprefix("http://")
    shop.desk.make_class(
        "copies",
        builds={"codeBuild": {"project": PROJECT}},
        images={"allowedSources": [f"{registry}/eep-*"]},
    )
    spec = {
        "className": "copies",
        "source": {"repository": REPOSITORY, "revision": "1f0c2a9"},
        "model": {"copy": {"image": f"{registry}/{shop.repository}:{tag}"}},
    }
    shop.desk.api.put("EphemeralEndpoint", "nlp", "copied", spec)
    found = await shop.desk.ready(ObjectKey("nlp", "copied"))
    [stored] = shop.ecr.batch_get_image(repositoryName=shop.repository, imageIds=[{"imageTag": tag}])["images"]
    assert found["status"]["image"]["digest"] == stored["imageId"]["imageDigest"], "the very same image"
    assert "eep-c1-copies-" in found["status"]["image"]["uri"]


async def test_a_repository_that_somebody_deletes_is_made_again_and_filled(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.desk.ready(key)
    before = shop.tags()
    shop.ecr.delete_repository(repositoryName=shop.repository, force=True)
    await shop.desk.snapshot()
    await shop.desk.until(lambda: len(shop.builds()) == 2, "built again")
    await shop.desk.ready(key)
    assert shop.tags() == before


async def test_images_stay_where_another_operator_may_know_who_names_them(
    desk: Desk, fresh_aws: Aws, tmp_path: Path
) -> None:
    await desk.stop()
    shop = Shop(Desk({"EEP_NAMESPACES": "nlp"}), fresh_aws, GitHost(tmp_path / "git"))
    shop.make_class()
    key = shop.make(shop.commit())
    await shop.desk.ready(key)
    shop.desk.api.remove(key)
    await shop.desk.gone(key)
    assert len(shop.tags()) == 1
    await shop.desk.stop()


async def test_images_stay_as_long_as_something_retained_may_serve_them(shop: Shop) -> None:
    shop.make_class()
    revision = shop.commit()
    kept, other = shop.make(revision, "kept"), shop.make(revision, "other")
    shop.desk.api.change(kept, {"spec": {"lifecycle": {"deletionPolicy": "Retain"}}})
    for key in (kept, other):
        await shop.desk.ready(key)
    for key in (kept, other):
        shop.desk.api.remove(key)
        await shop.desk.gone(key)
    assert len(shop.tags()) == 1


def sweep_of(shop: Shop, **settings: str) -> ImageSweep:
    """The sweep a minute later, for which images of a second are old."""
    operator = shop.desk.operator
    return ImageSweep(
        Settings.from_environment({"EEP_SWEEP_MIN_AGE_SECONDS": "1", **settings}),
        "c1",
        store=operator._store,
        accounts=operator._accounts,
        observer=operator._metrics,
        now=lambda: datetime.now(UTC) + timedelta(minutes=1),
    )


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        pytest.param({}, ["somebodys"], id="swept"),
        pytest.param({"EEP_SWEEP": "dry-run"}, [NOBODYS, "somebodys"], id="only told of"),
        pytest.param({"EEP_SWEEP_MIN_AGE_SECONDS": "3600"}, [NOBODYS, "somebodys"], id="too young"),
    ],
)
async def test_images_of_nobody_are_swept_and_those_that_are_named_stay(
    shop: Shop, settings: Mapping[str, str], left: list[str]
) -> None:
    shop.make_class()
    await shop.desk.ready(shop.make(shop.commit()))
    [named] = shop.tags()
    shop.put(NOBODYS, "somebodys")
    await sweep_of(shop, **settings)()
    assert shop.tags() == sorted([named, *left])


async def test_too_many_images_of_nobody_at_once_are_left(shop: Shop) -> None:
    shop.make_class()
    await shop.desk.ready(shop.make(shop.commit()))
    before = shop.tags()
    others = [f"{number:040}-00000000" for number in range(2)]
    shop.put(*others)
    await sweep_of(shop, EEP_SWEEP_MOST_DELETIONS="1")()
    assert shop.tags() == sorted([*before, *others])


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
    shop.reconcile_at(key, "now")
    assert "CVE-2026-1" in await shop.image(key, "Vulnerable")
    assert shop.desk.condition(key, "Stalled")["status"] == "True"
    assert shop.desk.api.kept[key]["status"].get("image") is None, "it is not pinned"
    assert not any(each["kind"] == "Model" for each in shop.desk.api.kept[key]["status"]["resources"])
    scanner.state = ScanState(ScanStatus.COMPLETE)
    shop.reconcile_at(key, "later")
    await shop.desk.ready(key)


async def test_a_tag_that_moves_is_followed_where_the_class_says_so(shop: Shop) -> None:
    shop.desk.make_class("moving", images={"followTags": "1m"})
    shop.ecr.create_repository(repositoryName="models")
    manifest = json.dumps({"schemaVersion": 2, "config": {"size": 1}, "layers": []})
    shop.ecr.put_image(repositoryName="models", imageManifest=manifest, imageTag="main")
    uri = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/models:main"
    source = {"repository": REPOSITORY, "revision": "1f0c2a9"}
    shop.desk.api.put(
        "EphemeralEndpoint", "nlp", "pr", {"className": "moving", "source": source, "model": {"image": uri}}
    )
    key = ObjectKey("nlp", "pr")
    before = (await shop.desk.ready(key))["status"]["image"]["digest"]
    shop.ecr.put_image(repositoryName="models", imageManifest=f"{manifest} ", imageTag="main")
    await shop.desk.look(key)
    assert shop.desk.api.kept[key]["status"]["image"]["digest"] == before, "not yet"
    memory = shop.desk.operator._endpoints._memories[key]
    memory.images.looked_at -= 60
    await shop.desk.look(key)
    assert (await shop.desk.ready(key))["status"]["image"]["digest"] != before


async def test_another_way_to_build_the_same_commit_is_another_image(shop: Shop) -> None:
    shop.make_class()
    key = shop.make(shop.commit())
    first = (await shop.desk.ready(key))["status"]["image"]["uri"]
    shop.desk.api.change(key, {"spec": {"model": {"build": {"arguments": {"EXTRA": "1"}}}}})
    second = (await shop.desk.ready(key))["status"]["image"]["uri"]
    assert first != second
    assert shop.tags() == [second.rpartition(":")[2]], "the first is not used any more"


DENIED = FaultError(code="AccessDeniedException", message="User: x is not authorized", status=400)
THROTTLED = FaultError(code="ThrottlingException", message="Rate exceeded", status=400)
FAILED = FaultError(code="InternalFailure", message="Try again", status=500)
TROUBLES: Mapping[str, Mapping[str, Any]] = {
    "throttled": {"error": THROTTLED},
    "denied": {"error": DENIED},
    "500": {"error": FAILED},
    "reset": {"reset": True},
    "its answer lost": {"answer_lost": True},
}


def trouble(name: str, service: str, operation: str) -> Fault:
    return Fault(service=service, operation=operation, times=1, **TROUBLES[name])


@pytest.mark.parametrize(
    ("service", "operation", "name"),
    [
        ("codebuild", "StartBuild", "500"),
        ("codebuild", "StartBuild", "reset"),
        ("codebuild", "StartBuild", "throttled"),
        ("codebuild", "ListBuildsForProject", "denied"),
        ("codebuild", "BatchGetBuilds", "reset"),
        ("codebuild", "BatchGetBuilds", "denied"),
        ("ecr", "CreateRepository", "its answer lost"),
        ("ecr", "PutLifecyclePolicy", "denied"),
        ("ecr", "BatchGetImage", "500"),
        ("ecr", "BatchDeleteImage", "its answer lost"),
        ("ecr", "BatchDeleteImage", "throttled"),
    ],
)
async def test_whatever_call_goes_wrong_there_is_one_build_and_in_the_end_nothing(
    shop: Shop, service: str, operation: str, name: str
) -> None:
    shop.make_class()
    shop.aws.control.add_faults(trouble(name, service, operation))
    key = shop.make(shop.commit())
    await shop.desk.ready(key)
    assert shop.outcomes() == ["SUCCEEDED"]
    shop.desk.api.remove(key)
    await shop.desk.gone(key)
    assert shop.tags() == []
    assert [fault["fired"] for fault in map(vars, shop.aws.control.faults())] == [1]
    assert not any(event.reason == "Stalled" for event in shop.desk.api.events)


@pytest.mark.parametrize("name", ["500", "its answer lost"])
async def test_a_build_that_cannot_be_stopped_at_once_is_stopped_in_the_end(shop: Shop, name: str) -> None:
    shop.make_class()
    key = shop.make(shop.commit(SLOW))
    await shop.building(key)
    shop.aws.control.add_faults(trouble(name, "codebuild", "StopBuild"))
    shop.desk.api.remove(key)
    await shop.desk.gone(key)
    assert shop.outcomes() == ["STOPPED"]


async def test_the_log_of_a_failed_build_may_not_be_readable(shop: Shop) -> None:
    shop.make_class()
    shop.aws.control.add_faults(trouble("500", "logs", "GetLogEvents"))
    key = shop.make(shop.commit(BROKEN))
    assert "exit status 1" in await shop.image(key, "BuildFailed")
    await shop.desk.until(lambda: "absent.txt" in shop.desk.condition(key, "ImageReady")["message"], "its last lines")
