"""What objects say of the package that they serve, or wait for."""

from collections.abc import Iterator
from typing import Any

from ephemeral_endpoints.api.v1alpha1.packages import ModelPackage, PackagePolicy
from ephemeral_endpoints.features.packages.policy import (
    PackageState,
    absent,
    decide,
    refusal,
    version_of,
    without_approved,
)
from ephemeral_endpoints.features.packages.stage import approval, held

_ACCOUNT, _REGION = "123456789012", "eu-central-1"
_ARN = f"arn:aws:sagemaker:{_REGION}:{_ACCOUNT}:model-package/wine/7"
_POLICY = PackagePolicy(groups=("wine",))
_STRICT = PackagePolicy(groups=("wine",), allow_unapproved=False)
_NAMED = ModelPackage(group="wine", version=7)
_COMPLETED: dict[str, Any] = {
    "ModelPackageArn": _ARN,
    "ModelPackageStatus": "Completed",
    "ModelApprovalStatus": "Approved",
    "ApprovalDescription": "better on short reviews",
    "InferenceSpecification": {
        "Containers": [
            {
                "Image": f"{_ACCOUNT}.dkr.ecr.{_REGION}.amazonaws.com/models/wine:1",
                "ImageDigest": f"sha256:{'a' * 64}",
                "ModelDataUrl": "s3://acme-models/wine/model.tar.gz",
            }
        ]
    },
}
_FAILURE = {"ValidationStatuses": [{"Name": "v", "Status": "Failed", "FailureReason": "the image does not start"}]}


def told() -> Iterator[tuple[str, str]]:
    for state in (*_refused(), absent("wine/7"), without_approved("wine"), *_decided()):
        stage = held(state)
        update = stage.update if stage else approval(state)
        assert update
        yield f"{update.type}={update.status} {update.reason}", update.message


def _refused() -> Iterator[PackageState]:
    for asked, policy, region in (
        (ModelPackage(group="beer"), _POLICY, _REGION),
        (ModelPackage(group="beer"), None, _REGION),
        (ModelPackage(arn=_ARN), _POLICY, "us-east-1"),
    ):
        refused = refusal(asked, policy, region=region, account=_ACCOUNT)
        assert refused
        yield refused


def _decided() -> Iterator[PackageState]:
    for change, policy, is_served in (
        ({}, _POLICY, False),
        ({"ModelApprovalStatus": "PendingManualApproval"}, _POLICY, False),
        ({"ModelApprovalStatus": "PendingManualApproval"}, _STRICT, False),
        ({"ModelApprovalStatus": "Rejected"}, _POLICY, False),
        ({"ModelApprovalStatus": "Rejected"}, _POLICY, True),
        ({"ModelPackageStatus": "InProgress"}, _POLICY, False),
        ({"ModelPackageStatus": "Failed", "ModelPackageStatusDetails": _FAILURE}, _POLICY, False),
        ({"InferenceSpecification": {"Containers": [{"Image": "docker.io/acme/wine:1"}]}}, _POLICY, False),
    ):
        version = version_of({**_COMPLETED, **change})
        yield decide(_NAMED, version, policy, is_served=is_served, is_serverless=True)
