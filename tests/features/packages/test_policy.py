"""Which versions of a package an object serves, and how."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api.v1alpha1.model_data import ModelData
from ephemeral_endpoints.api.v1alpha1.packages import Approval, ModelPackage, PackagePolicy
from ephemeral_endpoints.api.v1alpha1.training import PREVIEWS
from ephemeral_endpoints.engine.reasons import Reason
from ephemeral_endpoints.features.packages import reasons
from ephemeral_endpoints.features.packages.policy import (
    PackageVersion,
    VersionArn,
    allows,
    decide,
    is_of_previews,
    refusal,
    version_of,
)

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:eu-central-1:{ACCOUNT}:model-package/wine/7"
DIGEST = f"sha256:{'a' * 64}"
NAME = f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/models/wine"
DATA = "s3://acme-models/wine/model.tar.gz"
FREE = PackagePolicy(groups=("wine", "beer-?", "210987654321/wine"))
STRICT = PackagePolicy(groups=("wine",), allow_unapproved=False)
NAMED = ModelPackage(group="wine", version=7)
LATEST = ModelPackage(group="wine")


def answer(container: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    content = {"Image": f"{NAME}:1f0c2a9", "ImageDigest": DIGEST, "ModelDataUrl": DATA, **(container or {})}
    return {
        "ModelPackageArn": ARN,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [{key: value for key, value in content.items() if value}]},
        **members,
    }


def version(approval: str = "Approved", **members: Any) -> PackageVersion:  # noqa: ANN401 - JSON
    return version_of(answer(ModelApprovalStatus=approval, **members))


@pytest.mark.parametrize(
    ("group", "account", "expected", "reason"),
    [
        ("wine", None, True, "by its name"),
        ("wine-previews", None, True, "the packages of pull requests of a group that is allowed"),
        ("beer-1", None, True, "by a pattern"),
        ("beer-1-previews", None, True, "by a pattern, of pull requests"),
        ("winery", None, False, "a longer name"),
        ("previews", None, False, "another group"),
        ("wine", "210987654321", True, "another account's that is listed"),
        ("wine", "111111111111", False, "another account's that is not"),
        ("beer-1", "210987654321", False, "of another account, where only its name is listed"),
    ],
)
def test_a_class_allows_groups(group: str, account: str | None, reason: str, *, expected: bool) -> None:
    assert reason
    assert allows(FREE, group, account) is expected


def test_a_class_without_packages_allows_none() -> None:
    assert not allows(None, "wine")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (NAMED, ""),
        (ModelPackage(arn=ARN), ""),
        (ModelPackage(group="gin"), "group gin: use one of wine, beer-?, 210987654321/wine"),
        (ModelPackage(arn=ARN.replace(ACCOUNT, "111111111111")), "group 111111111111/wine"),
        (ModelPackage(arn=ARN.replace("eu-central-1", "us-east-1")), "the package is in us-east-1"),
    ],
)
def test_a_class_refuses_other_packages(asked: ModelPackage, message: str) -> None:
    refused = refusal(asked, FREE, region="eu-central-1", account=ACCOUNT)
    assert bool(refused) is bool(message)
    if refused:
        assert refused.cause.reason is reasons.NOT_ALLOWED
        assert message in refused.cause.message
        assert refused.model is None


@given(
    st.from_regex(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}", fullmatch=True).filter(lambda name: len(name + PREVIEWS) <= 63)
)
def test_the_previews_of_a_group_are_a_group(group: str) -> None:
    previews = group + PREVIEWS
    assert is_of_previews(previews)
    assert ModelPackage(group=previews).group == previews
    assert VersionArn.group_of(f"arn:aws:sagemaker:eu-central-1:{ACCOUNT}:model-package/{previews}/1") == previews


@pytest.mark.parametrize(
    ("container", "image", "data", "problem", "reason"),
    [
        ({}, f"{NAME}@{DIGEST}", ModelData(data_url=DATA), "", "as it is registered"),
        ({"ImageDigest": DIGEST.upper()}, f"{NAME}@{DIGEST}", ModelData(data_url=DATA), "", "AWS takes capitals too"),
        (
            {"Image": f"{NAME}@{DIGEST}", "ImageDigest": None},
            f"{NAME}@{DIGEST}",
            ModelData(data_url=DATA),
            "",
            "named by its digest",
        ),
        ({"ModelDataUrl": None}, f"{NAME}@{DIGEST}", ModelData(), "", "the image holds the model"),
        (
            {"ModelDataUrl": None, "ModelDataSource": {"S3DataSource": {"S3Uri": "s3://acme-models/wine/"}}},
            f"{NAME}@{DIGEST}",
            ModelData(s3_prefix="s3://acme-models/wine/"),
            "",
            "a folder",
        ),
        (
            {
                "ModelDataUrl": None,
                "ModelDataSource": {"S3DataSource": {"S3Uri": DATA, "ModelAccessConfig": {"AcceptEula": True}}},
            },
            f"{NAME}@{DIGEST}",
            ModelData(data_url=DATA, accept_eula=True),
            "",
            "an agreement",
        ),
        ({"ImageDigest": None}, "", ModelData(data_url=DATA), "which digest it has", "a tag moves"),
        ({"Image": "docker.io/acme/wine:1"}, "", ModelData(data_url=DATA), "not in ECR", "SageMaker reads ECR only"),
        ({"ModelDataUrl": "https://acme.example/a.tar.gz"}, f"{NAME}@{DIGEST}", ModelData(), "in S3", "no S3 URL"),
        ({"ModelDataUrl": "s3://acme-models/wine"}, f"{NAME}@{DIGEST}", ModelData(), "in S3", "neither"),
        ({"AdditionalModelDataSources": [{}]}, f"{NAME}@{DIGEST}", ModelData(), "in S3", "more than one"),
    ],
)
def test_a_version_is_read(container: dict[str, Any], image: str, data: ModelData, problem: str, reason: str) -> None:
    assert reason
    read = version_of(answer(container))
    assert (read.image, read.data) == (image, data)
    assert problem in read.problem
    assert bool(read.problem) is bool(problem)


def test_a_version_with_several_containers_is_not_served() -> None:
    containers = answer()["InferenceSpecification"]["Containers"] * 2
    read = version_of(answer(InferenceSpecification={"Containers": containers}))
    assert read.problem == "it has 2 containers, and must have one"
    assert version_of(answer(InferenceSpecification={})).problem == "it has no specification of a container"


SERVED, DIRECT, HELD = "of the package", "directly", "not"
CASES = [
    (NAMED, "Approved", FREE, False, SERVED, reasons.APPROVED, "an approved version"),
    (NAMED, "Approved", STRICT, False, SERVED, reasons.APPROVED, "an approved version in a strict class"),
    (LATEST, "Approved", FREE, True, SERVED, reasons.APPROVED, "the latest, which is served already"),
    (NAMED, "PendingManualApproval", FREE, False, DIRECT, reasons.WAITING_FOR_APPROVAL, "a preview of a version"),
    (NAMED, "PendingManualApproval", STRICT, False, HELD, reasons.WAITING_FOR_APPROVAL, "the class requires approval"),
    (LATEST, "PendingManualApproval", FREE, False, HELD, reasons.WAITING_FOR_APPROVAL, "nobody has named it"),
    (NAMED, "PendingManualApproval", STRICT, True, SERVED, reasons.WAITING_FOR_APPROVAL, "the class became strict"),
    (NAMED, "Rejected", FREE, False, HELD, reasons.REJECTED, "a rejected version"),
    (NAMED, "Rejected", STRICT, True, SERVED, reasons.REJECTED_BUT_SERVING, "a rejection takes nothing down"),
    (LATEST, "Rejected", FREE, True, SERVED, reasons.REJECTED_BUT_SERVING, "nothing else is approved"),
]


@pytest.mark.parametrize(("asked", "approval", "policy", "is_served", "how", "reason", "why"), CASES)
def test_what_is_served_depends_on_the_approval(  # noqa: PLR0917 - the columns of the table
    asked: ModelPackage, approval: str, policy: PackagePolicy, how: str, reason: Reason, why: str, *, is_served: bool
) -> None:
    assert why
    state = decide(asked, version(approval), policy, is_served=is_served, is_serverless=True)
    assert state.cause.reason is reason
    assert "wine/7" in state.cause.message
    found = HELD if state.model is None else DIRECT if state.model.is_direct else SERVED
    assert found == how


@pytest.mark.parametrize(
    ("members", "reason", "message"),
    [
        ({"ModelPackageStatus": "InProgress"}, reasons.PENDING, "still registering wine/7"),
        ({"ModelPackageStatus": "Deleting"}, reasons.NOT_FOUND, "no model package wine/7"),
        (
            {
                "ModelPackageStatus": "Failed",
                "ModelPackageStatusDetails": {
                    "ValidationStatuses": [{"Name": "v", "Status": "Failed", "FailureReason": "no ping"}]
                },
            },
            reasons.FAILED,
            "could not register wine/7: no ping",
        ),
        ({"InferenceSpecification": {}}, reasons.UNUSABLE, "wine/7 cannot be served"),
    ],
)
@pytest.mark.parametrize("is_served", [True, False])
def test_what_cannot_be_served_is_not(
    members: dict[str, Any], reason: Reason, message: str, *, is_served: bool
) -> None:
    state = decide(NAMED, version(**members), FREE, is_served=is_served, is_serverless=True)
    assert (state.cause.reason, state.model) == (reason, None)
    assert message in state.cause.message


def test_a_folder_needs_instances() -> None:
    read = version_of(answer({"ModelDataUrl": "s3://acme-models/wine/"}))
    assert decide(NAMED, read, FREE, is_served=False, is_serverless=True).cause.reason is reasons.UNUSABLE
    assert decide(NAMED, read, FREE, is_served=False, is_serverless=False).model is not None


@given(
    st.sampled_from([NAMED, LATEST, ModelPackage(arn=ARN)]),
    st.sampled_from(list(Approval)),
    st.sampled_from([FREE, STRICT]),
    st.booleans(),
)
def test_nothing_unapproved_begins_to_be_served_but_what_the_object_names(
    asked: ModelPackage,
    approval: Approval,
    policy: PackagePolicy,
    is_served: bool,  # noqa: FBT001 - as given
) -> None:
    state = decide(asked, version(approval), policy, is_served=is_served, is_serverless=True)
    if state.model and approval is not Approval.APPROVED and not is_served:
        assert approval is Approval.PENDING
        assert policy.allow_unapproved
        assert asked != LATEST
        assert state.model.is_direct
    if is_served:
        assert state.model is not None
