from datetime import UTC, datetime
from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.registry.package import (
    deployable,
    listed_for,
    pinned,
    refuse_unregistrable,
    registered,
    updated,
)
from eep_platform.sagemaker.store import Record

NOW = datetime(2026, 11, 30, tzinfo=UTC)
DIGEST = f"sha256:{'0' * 64}"
BASE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/models/wine"
SPECIFICATION = {
    "Containers": [{"Image": f"{BASE}:1", "ModelDataUrl": "s3://b/model.tar.gz", "Environment": {"A": "1"}}]
}
REQUEST = {"ModelPackageGroupName": "wine", "InferenceSpecification": SPECIFICATION}


def package(**changes: Any) -> Record[dict[str, Any]]:  # noqa: ANN401 - as many types as members
    body = registered(REQUEST, "wine", 7, DIGEST) | changes
    return Record("wine/7", "arn:aws:sagemaker:us-east-1:000000000000:model-package/wine/7", NOW, {}, body)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param({}, "Missing ARN.", id="neither a name nor a group"),
        pytest.param(REQUEST | {"ModelPackageName": "w"}, "Both ModelPackageName and", id="both"),
        pytest.param({"ModelPackageName": "w"}, "unversioned model packages are not", id="not of a group"),
        pytest.param(
            REQUEST | {"Tags": [{"Key": "a", "Value": "b"}]}, "Tags cannot be given", id="tags are the group's"
        ),
        pytest.param(
            REQUEST | {"CertifyForMarketplace": True}, "does not apply", id="versions are not for the Marketplace"
        ),
        pytest.param(REQUEST | {"SecurityConfig": {"KmsKeyId": "k"}}, "SecurityConfig is not served", id="encryption"),
        pytest.param({"ModelPackageGroupName": "wine"}, "exactly one container", id="no container"),
        pytest.param(
            REQUEST | {"InferenceSpecification": {"Containers": [{"Image": "a"}, {"Image": "b"}]}},
            "exactly one container",
            id="a pipeline of containers",
        ),
        pytest.param(
            REQUEST | {"InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://b/k"}]}},
            "Image is needed",
            id="an artifact alone does not serve",
        ),
        pytest.param(
            REQUEST | {"InferenceSpecification": {"Containers": [{"Image": "a", "ModelDataUrl": "https://b/k"}]}},
            "Write ModelDataUrl as s3://",
            id="one way to name an artifact",
        ),
    ],
)
def test_what_cannot_be_registered(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        refuse_unregistrable(request_)


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("PendingManualApproval", "Approved", True),
        ("PendingManualApproval", "Rejected", True),
        ("Rejected", "Approved", True),
        ("Approved", "Rejected", True),
        ("Approved", "Approved", True),
        ("Approved", "PendingManualApproval", False),
        ("Rejected", "PendingManualApproval", False),
    ],
)
def test_how_an_approval_changes(before: str, after: str, *, allowed: bool) -> None:
    body = package(ModelApprovalStatus=before).value
    if allowed:
        assert updated(body, {"ModelApprovalStatus": after}, NOW)[0]["ModelApprovalStatus"] == after
    else:
        with pytest.raises(ServiceError, match=f"cannot change from {before} to {after}"):
            updated(body, {"ModelApprovalStatus": after}, NOW)


@pytest.mark.parametrize(
    ("request_", "members"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"ModelApprovalStatus": "PendingManualApproval"}, {}, id="what it is already"),
        pytest.param({"ApprovalDescription": "why"}, {"ApprovalDescription": "why"}, id="a reason"),
        pytest.param(
            {"ModelLifeCycle": {"Stage": "QA", "StageStatus": "Approved"}},
            {"ModelLifeCycle": {"Stage": "QA", "StageStatus": "Approved"}},
            id="a stage",
        ),
        pytest.param(
            {"CustomerMetadataProperties": {"b": "3", "c": "4"}, "CustomerMetadataPropertiesToRemove": ["a"]},
            {"CustomerMetadataProperties": {"b": "3", "c": "4"}},
            id="properties are merged, then removed",
        ),
    ],
)
def test_an_update_tells_what_it_changed(request_: dict[str, Any], members: dict[str, Any]) -> None:
    before = package(CustomerMetadataProperties={"a": "1", "b": "2"}).value
    after, changed = updated(before, request_, NOW)
    assert changed == sorted(members)
    assert after == (before | members | {"LastModifiedTime": NOW} if members else before)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param({"InferenceSpecification": SPECIFICATION}, "cannot be changed", id="a version is immutable"),
        pytest.param(
            {"CustomerMetadataProperties": {str(number): "" for number in range(51)}},
            "at most 50",
            id="more properties than fit",
        ),
    ],
)
def test_updates_that_cannot_be(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        updated(package().value, request_, NOW)


def test_a_model_has_what_its_package_registered() -> None:
    given = {"ModelPackageName": "wine/7", "Environment": {"B": "2"}}
    assert deployable(package(ModelApprovalStatus="Approved"), given) == {
        "ModelPackageName": "wine/7",
        "Image": f"{BASE}@{DIGEST}",
        "ModelDataUrl": "s3://b/model.tar.gz",
        "Environment": {"A": "1", "B": "2"},
    }


@pytest.mark.parametrize(
    ("given", "approval", "message"),
    [
        pytest.param(
            {}, "PendingManualApproval", "is PendingManualApproval, and must be Approved", id="not yet approved"
        ),
        pytest.param({}, "Rejected", "is Rejected, and must be Approved", id="rejected"),
        pytest.param({"Image": "a"}, "Approved", "one of Image or ModelPackageName", id="another image"),
        pytest.param({"ModelDataUrl": "s3://b/k"}, "Approved", "one of ModelDataUrl or", id="another artifact"),
        pytest.param({"InferenceSpecificationName": "x"}, "Approved", "not served", id="another specification"),
    ],
)
def test_models_that_a_package_cannot_make(given: dict[str, Any], approval: str, message: str) -> None:
    with pytest.raises(ServiceError, match=message):
        deployable(package(ModelApprovalStatus=approval), given)


@pytest.mark.parametrize("image", [BASE, f"{BASE}:1", f"{BASE}@sha256:{'1' * 64}", f"{BASE}:1@sha256:{'1' * 64}"])
def test_images_are_pinned_to_their_digest(image: str) -> None:
    assert pinned(image, DIGEST) == f"{BASE}@{DIGEST}"


@pytest.mark.parametrize(
    ("request_", "group", "shown"),
    [
        pytest.param({}, "wine", True, id="its group"),
        pytest.param({}, "beer", False, id="another group"),
        pytest.param({"ModelApprovalStatus": "Approved"}, "wine", False, id="another approval"),
        pytest.param({}, None, False, id="without a group only unversioned packages"),
        pytest.param({"ModelPackageType": "Versioned"}, None, True, id="versioned ones on request"),
        pytest.param({"ModelPackageType": "Both"}, None, True, id="all on request"),
    ],
)
def test_which_packages_are_listed(request_: dict[str, Any], group: str | None, *, shown: bool) -> None:
    assert listed_for(request_, group)(package()) is shown
