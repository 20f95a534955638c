"""Objects that serve packages of the model registry: which version, how, and what its approval changes."""

from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from tests.controllers.endpoint.test_controls import changes
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import IMAGE, Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.features.packages.step import POLL_SECONDS
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

GROUP = "wine"
DENIED = FaultError(code="AccessDeniedException", message="not you", status=400)


def effects(aws: Aws) -> list[str]:
    """The calls since the last reset that change something but the registry, which the tests change themselves."""
    return [name for name in changes(aws) if "ModelPackage" not in name]


class Wines:
    """A group of packages, in a class that allows it."""

    def __init__(self, env: Environment, aws: Aws) -> None:
        put_image(aws)
        self.env, self.aws, self.client = env, aws, aws.client("sagemaker")
        self.client.create_model_package_group(ModelPackageGroupName=GROUP)
        self.allow()

    def allow(self, **policy: Any) -> None:  # noqa: ANN401 - members of a policy
        self.env.api.change(class_key("default"), {"spec": {"packages": {"groups": [GROUP], **policy}}})

    def register(self, *approvals: str) -> str:
        container: Any = {"Image": IMAGE, "Environment": {"FROM": "package"}}
        arn = self.client.create_model_package(
            ModelPackageGroupName=GROUP, InferenceSpecification={"Containers": [container]}
        )["ModelPackageArn"]
        for each in approvals:
            self.client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=each)
        return str(arn)

    def set(self, arn: str, approval: Any) -> None:  # noqa: ANN401 - one of few words
        """What a person does; the operator is told by an event."""
        self.client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=approval)
        self.env.operator.services.package_changed("default", GROUP)

    def make(self, name: str = "pr", **package: Any) -> ObjectKey:  # noqa: ANN401 - members of a package
        self.env.api.put(
            "EphemeralEndpoint",
            "nlp",
            name,
            {
                "className": "default",
                "source": {"repository": "acme/wine", "pullRequest": 42, "revision": "1f0c2a9"},
                "model": {"package": {"group": GROUP, **package}, "environment": {"OWN": "1"}},
            },
        )
        return ObjectKey("EphemeralEndpoint", "nlp", name)

    def models(self) -> list[dict[str, Any]]:
        """The containers of all models; one that the operator deletes meanwhile is none."""
        found = []
        for each in self.client.list_models()["Models"]:
            with suppress(self.client.exceptions.ClientError):
                found.append(dict(self.client.describe_model(ModelName=each["ModelName"])["PrimaryContainer"]))
        return found

    def reads(self) -> Counter[str]:
        """The calls that read the registry."""
        called = self.aws.control.calls().get("sagemaker", {})
        return Counter({name: count for name, count in called.items() if "ModelPackage" in name})

    async def serves(self, key: ObjectKey, arn: str) -> None:
        def serves() -> bool:
            package = self.env.api.kept[key]["status"].get("package", {})
            return package.get("arn") == arn and self.env.is_up_to_date(key)

        await self.env.until(serves, f"{arn} served")
        await self.env.rest()


@pytest.fixture
async def wines(env: Environment, fresh_aws: Aws) -> Wines:
    return Wines(env, fresh_aws)


async def test_sagemaker_makes_the_model_of_an_approved_version(env: Environment, wines: Wines) -> None:
    arn = wines.register("Approved")
    key = wines.make(version=1)
    status = (await env.ready(key))["status"]
    assert status["package"] == {"arn": arn, "approval": "Approved"}
    assert env.condition(key, "Approved")["status"] == "True"
    [container] = wines.models()
    assert container["ModelPackageName"] == arn
    assert container["Environment"] == {"FROM": "package", "OWN": "1"}
    digest = wines.client.describe_model_package(ModelPackageName=arn)["InferenceSpecification"]["Containers"][0]
    assert status["image"]["digest"] == digest["ImageDigest"]


async def test_a_version_that_nobody_approved_is_served_directly_and_its_approval_replaces_nothing(
    env: Environment, wines: Wines, fresh_aws: Aws
) -> None:
    arn = wines.register()
    key = wines.make(version=1)
    await env.ready(key)
    await env.reason(key, "WaitingForApproval", "Approved", saying="its image and its data are served all the same")
    [container] = wines.models()
    assert "ModelPackageName" not in container
    assert container["Image"].startswith(IMAGE.partition(":")[0] + "@sha256:")
    fresh_aws.control.reset_meter()
    wines.set(arn, "Approved")
    await env.reason(key, "Approved", "Approved")
    await env.ready(key)
    assert effects(fresh_aws) == []
    assert env.api.kept[key]["status"]["package"]["approval"] == "Approved"


async def test_in_a_class_that_requires_approval_a_version_waits_for_it(env: Environment, wines: Wines) -> None:
    wines.allow(allowUnapproved=False)
    arn = wines.register()
    key = wines.make(version=1)
    await env.reason(key, "WaitingForApproval", saying="as the class requires")
    assert wines.models() == []
    wines.set(arn, "Approved")
    await wines.serves(key, arn)


async def test_an_object_that_names_a_group_follows_the_latest_version_that_is_approved(
    env: Environment, wines: Wines, fresh_aws: Aws
) -> None:
    first = wines.register()
    key = wines.make()
    await env.reason(key, "NoApprovedVersion", saying="no version of the model package group wine is approved")
    wines.set(first, "Approved")
    await wines.serves(key, first)
    second = wines.register("Approved")
    env.operator.services.package_changed("default", GROUP)
    await wines.serves(key, second)
    wines.set(second, "Rejected")
    await wines.serves(key, first)

    fresh_aws.control.reset_meter()
    wines.set(first, "Rejected")
    await env.reason(key, "RejectedButServing", "Approved", saying="is served on")
    await wines.serves(key, first)
    assert effects(fresh_aws) == [], "a rejection takes nothing down"
    await env.restart()
    await env.ready(key)
    assert env.condition(key, "Approved")["reason"] == "RejectedButServing"
    assert effects(fresh_aws) == []


async def test_a_version_that_was_rejected_does_not_begin_to_be_served(env: Environment, wines: Wines) -> None:
    served, rejected = wines.register("Approved"), wines.register("Rejected")
    key = wines.make(version=1)
    await wines.serves(key, served)
    env.api.change(key, {"spec": {"model": {"package": {"version": 2}}}})
    await env.reason(key, "Rejected", saying="wine/2 was rejected")
    assert env.condition(key, "Stalled")["status"] == "True"
    assert [each["ModelPackageName"] for each in wines.models()] == [served], "what served serves on"
    wines.set(rejected, "Approved")
    await wines.serves(key, rejected)


async def test_without_events_an_approval_is_noticed_within_minutes(env: Environment, wines: Wines) -> None:
    first, second = wines.register("Approved"), wines.register()
    key = wines.make()
    await wines.serves(key, first)
    wines.client.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Approved")
    env.clock.advance(POLL_SECONDS)
    await env.refresh(key)
    await wines.serves(key, second)


async def test_objects_share_what_is_read_and_at_rest_nothing_is(
    env: Environment, wines: Wines, fresh_aws: Aws
) -> None:
    wines.register("Approved")
    fresh_aws.control.reset_meter()
    keys = [wines.make(f"pr-{number}") for number in range(3)]
    for key in keys:
        await env.ready(key)
    assert wines.reads() == {"ListModelPackages": 1, "DescribeModelPackage": 1}
    fresh_aws.control.reset_meter()
    for key in keys:
        await env.refresh(key)
    assert wines.reads() == {}


async def test_a_class_refuses_groups_that_it_does_not_list(env: Environment, wines: Wines) -> None:
    wines.register("Approved")
    wines.allow(groups=["beer"])
    key = wines.make()
    await env.reason(key, "PackageNotAllowed", saying="use one of beer")
    wines.allow()
    await env.ready(key)


async def test_what_serves_stays_when_its_package_is_deleted(env: Environment, wines: Wines, fresh_aws: Aws) -> None:
    arn = wines.register("Approved")
    key = wines.make()
    await wines.serves(key, arn)
    fresh_aws.control.reset_meter()
    wines.client.delete_model_package(ModelPackageName=arn)
    wines.client.delete_model_package_group(ModelPackageGroupName=GROUP)
    env.operator.services.package_changed("default", GROUP)
    await env.reason(key, "PackageNotFound", saying="the registry has no model package wine")
    assert effects(fresh_aws) == []
    assert len(wines.models()) == 1


async def test_a_registry_that_cannot_be_read_keeps_nothing_from_serving(
    env: Environment, wines: Wines, fresh_aws: Aws
) -> None:
    arn = wines.register("Approved")
    key = wines.make()
    await wines.serves(key, arn)
    fresh_aws.control.reset_meter()
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="ListModelPackages", error=DENIED))
    env.operator.services.package_changed("default", GROUP)
    await env.reason(key, "AccessDenied", saying="ListModelPackages: not you")
    assert effects(fresh_aws) == []
    fresh_aws.control.clear_faults()
    env.clock.advance(POLL_SECONDS)
    await env.refresh(key)
    await wines.serves(key, arn)
