"""Every call by which an image is made fails in every way: it is built once all the same, and nothing stays."""

from pathlib import Path
from typing import Final

import pytest
from tests.controllers.environment import Environment
from tests.features.images.test_observe import SLOW, Shop
from tests.fixtures.faults import Trouble
from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents
from eep_platform.git import GitHost
from ephemeral_endpoints.kube.cache import class_key

BEGUN: Final = (
    ("codebuild", "BatchGetBuilds"),
    ("codebuild", "ListBuildsForProject"),
    ("codebuild", "StartBuild"),
    ("ecr", "BatchGetImage"),
    ("ecr", "CreateRepository"),
    ("ecr", "DescribeRepositories"),
    ("ecr", "PutLifecyclePolicy"),
)
"""The calls from a class without a repository to an image that is being built."""

MENDED: Final = (("ecr", "PutImageScanningConfiguration"), ("ecr", "PutImageTagMutability"))
"""Those after somebody has changed the repository."""

ENDED: Final = (("codebuild", "StopBuild"), ("ecr", "DeleteRepository"))
"""Those at the end of the object and its class."""


@pytest.fixture
def shop(env: Environment, fresh_aws: Aws, tmp_path: Path) -> Shop:
    fresh_aws.control.patch_codebuild_settings({"provisioning_seconds": 0.0, "grace_seconds": 0.3})
    return Shop(env, fresh_aws, GitHost(tmp_path / "git"))


def settings(shop: Shop) -> tuple[str, bool]:
    """Whether tags of the class's repository can be moved, and whether its images are scanned."""
    [repository] = shop.ecr.describe_repositories()["repositories"]
    return repository["imageTagMutability"], repository["imageScanningConfiguration"]["scanOnPush"]


@pytest.mark.chaos
async def test_whatever_call_fails_an_image_is_built_once_and_nothing_stays(shop: Shop, trouble: Trouble) -> None:
    trouble.begin(BEGUN)
    async with trouble.at_work():
        shop.make_class()
        key = shop.make(shop.commit(SLOW))
        await shop.image(key, "Building")
        await trouble.all_hit()
    shop.ecr.put_image_tag_mutability(repositoryName=shop.repository, imageTagMutability="MUTABLE")
    shop.ecr.put_image_scanning_configuration(
        repositoryName=shop.repository, imageScanningConfiguration={"scanOnPush": False}
    )
    trouble.begin(MENDED)
    async with trouble.at_work():
        await shop.env.snapshot()
        await trouble.all_hit()
        await shop.env.until(lambda: settings(shop) == ("IMMUTABLE_WITH_EXCLUSION", True), "the repository mended")
    assert shop.outcomes() == ["IN_PROGRESS"]
    trouble.begin(ENDED)
    async with trouble.at_work():
        shop.env.api.remove(key)
        await shop.env.until(lambda: shop.outcomes() == ["STOPPED"], "the build stopped")
        shop.env.api.remove(class_key("builds"))
        await trouble.all_hit()
        await shop.env.until(lambda: not {key, class_key("builds")} & shop.env.api.kept.keys(), "gone")
    assert contents(shop.aws.client).keys() & {"Endpoint", "EndpointConfig", "Model", "Repository"} == set()
    assert trouble.stalled == set()
