"""Packages of the model registry on real parts: SageMaker's events tell the operator of approvals and rejections."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from tests.fixtures.operator import Bench
from tests.integration.test_serving import ask

from eep_platform import bootstrap
from eep_platform.workbench import Object


@dataclass(frozen=True)
class Group:
    """A group of packages of the smallest model server, and the class that allows it and hears of it."""

    bench: Bench
    name: str

    @property
    def client(self) -> Any:  # noqa: ANN401 - a client of boto3
        return self.bench.aws("sagemaker")

    def register(self, text: str) -> str:
        """A version whose model answers with a text."""
        container = {"Image": self.bench.image, "Environment": {"SAY": text}}
        answer = self.client.create_model_package(
            ModelPackageGroupName=self.name, InferenceSpecification={"Containers": [container]}
        )
        return str(answer["ModelPackageArn"])

    def set(self, arn: str, approval: Literal["Approved", "Rejected"]) -> None:
        self.client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=approval)

    def serves(self, name: str, arn: str, approval: str = "Approved") -> Object:
        """Wait until the object is ready with the version; returns it."""

        def serves(obj: Object) -> bool:
            return bool(obj["status"].get("package") == {"arn": arn, "approval": approval})

        self.bench.wait(name, serves, what=f"{arn} served")
        return self.bench.wait_ready(name)

    def answers(self, name: str, arn: str, text: str) -> None:
        assert ask(self.bench, self.serves(name, arn)).text == text


@pytest.fixture
def group(bench: Bench) -> Iterator[Group]:
    bootstrap.event_queue(bench.aws("sqs"), bench.aws("events"))
    made = Group(bench, f"wine-{bench.namespace}")
    made.client.create_model_package_group(ModelPackageGroupName=made.name)
    policy = {"groups": [made.name]}
    bench.make_class(made.name, events={"queueName": bootstrap.EVENT_QUEUE}, packages=policy)
    yield made
    bench.delete_class(made.name)
    for each in made.client.list_model_packages(ModelPackageGroupName=made.name)["ModelPackageSummaryList"]:
        made.client.delete_model_package(ModelPackageName=each["ModelPackageArn"])
    made.client.delete_model_package_group(ModelPackageGroupName=made.name)


def test_an_object_follows_what_people_approve_and_reject(bench: Bench, group: Group) -> None:
    first = group.register("one")
    model = {"package": {"group": group.name}}
    bench.apply("pr", bench.spec(className=group.name, model=model))
    bench.wait_condition("pr", "Approved", reason="NoApprovedVersion")
    group.set(first, "Approved")
    group.answers("pr", first, "one")

    second = group.register("two")
    group.set(second, "Approved")
    group.answers("pr", second, "two")
    group.set(second, "Rejected")
    group.answers("pr", first, "one")

    bench.control.reset_meter()
    group.set(first, "Rejected")
    bench.wait_condition("pr", "Approved", reason="RejectedButServing")
    assert ask(bench, group.serves("pr", first, "Rejected")).text == "one"
    assert bench.effects() == Counter({"UpdateModelPackage": 1})


def test_a_version_that_nobody_approved_yet_is_previewed(bench: Bench, group: Group) -> None:
    arn = group.register("soon")
    model = {"package": {"group": group.name, "version": 1}}
    bench.apply("pr", bench.spec(className=group.name, model=model))
    made = group.serves("pr", arn, "PendingManualApproval")
    assert ask(bench, made).text == "soon"
    bench.wait_throttle()
    bench.control.reset_meter()
    group.set(arn, "Approved")
    bench.wait_condition("pr", "Approved", reason="Approved")
    bench.wait_ready("pr")
    assert bench.effects() == Counter({"UpdateModelPackage": 1})
