"""Model packages: what may be registered, what changes, and what is deployed; pure.

The body of a package is the request that registered it, with the digest of its image and later changes.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.s3 import refuse_elsewhere

if TYPE_CHECKING:
    from eep_platform.sagemaker.store import Body, Record

PENDING: Final = "PendingManualApproval"
APPROVED: Final = "Approved"
_REJECTED: Final = "Rejected"
# "Update the Approval Status of a Model" in the SageMaker developer guide.
_TRANSITIONS: Final = frozenset(
    {(PENDING, APPROVED), (PENDING, _REJECTED), (_REJECTED, APPROVED), (APPROVED, _REJECTED)}
)
_MOST_PROPERTIES: Final = 50
_NOT_SERVED: Final = (
    "AdditionalInferenceSpecifications",
    "ManagedStorageType",
    "SecurityConfig",
    "SourceAlgorithmSpecification",
    "ValidationSpecification",
)
_NOT_UPDATED: Final = ("AdditionalInferenceSpecificationsToAdd", "InferenceSpecification")
_REPLACED: Final = (
    "ApprovalDescription",
    "ModelApprovalStatus",
    "ModelCard",
    "ModelLifeCycle",
    "ModelPackageRegistrationType",
    "SourceUri",
)
_OF_THE_PACKAGE: Final = ("Image", "ModelDataUrl", "ModelDataSource", "AdditionalModelDataSources")
_OF_THE_SUMMARY: Final = (
    "ModelApprovalStatus",
    "ModelLifeCycle",
    "ModelPackageDescription",
    "ModelPackageRegistrationType",
)


def refuse_unregistrable(request: Mapping[str, Any]) -> None:
    """Raise `ValidationException` for a request that the service model allows and CreateModelPackage rejects."""
    name, group = request.get("ModelPackageName"), request.get("ModelPackageGroupName")
    if name and group:
        raise validation_exception(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to "
            "use."
        )
    if not name and not group:
        raise validation_exception("Missing ARN.")
    if name:
        raise validation_exception("ModelPackageGroupName is needed: unversioned model packages are not served here.")
    if request.get("Tags"):
        raise validation_exception("Tags cannot be given for a model package of a group: it has those of its group.")
    if request.get("CertifyForMarketplace"):
        raise validation_exception("CertifyForMarketplace does not apply to a model package of a group.")
    for member in _NOT_SERVED:
        if request.get(member):
            raise validation_exception(f"{member} is not served here.")
    _refuse_container(registered_container(request))


def registered_container(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container of a package; raises `ValidationException` for none and for several."""
    containers = body.get("InferenceSpecification", {}).get("Containers", [])
    if len(containers) != 1:
        raise validation_exception("InferenceSpecification with exactly one container is needed here.")
    container: Mapping[str, Any] = containers[0]
    return container


def _refuse_container(container: Mapping[str, Any]) -> None:
    if not container.get("Image"):
        raise validation_exception("Image is needed for the container of a model package.")
    if container.get("ModelDataUrl") and container.get("ModelDataSource"):
        raise validation_exception("You can only specify one of ModelDataUrl or ModelDataSource.")
    refuse_elsewhere("ModelDataUrl", container.get("ModelDataUrl"))


def registered(request: Mapping[str, Any], group: str, version: int, digest: str) -> "Body":
    """The body of a new version, with the digest that its image has now."""
    container = {**registered_container(request), "ImageDigest": digest}
    ignored = ("ClientToken", "SkipModelValidation")
    return {
        "ModelApprovalStatus": PENDING,
        "ModelPackageRegistrationType": "Registered",
        **{member: value for member, value in request.items() if member not in ignored},
        "SkipModelValidation": request.get("SkipModelValidation", "None"),
        "ModelPackageGroupName": group,
        "ModelPackageVersion": version,
        "InferenceSpecification": {**request["InferenceSpecification"], "Containers": [container]},
    }


def updated(body: "Body", request: Mapping[str, Any], now: datetime) -> tuple["Body", list[str]]:
    """The body after an update, and the members that it changed; raises `ValidationException` for what cannot be."""
    for member in _NOT_UPDATED:
        if request.get(member):
            raise validation_exception(f"{member} of an existing model package cannot be changed here.")
    before, after = body["ModelApprovalStatus"], request.get("ModelApprovalStatus", body["ModelApprovalStatus"])
    if before != after and (before, after) not in _TRANSITIONS:
        raise validation_exception(f"ModelApprovalStatus cannot change from {before} to {after}.")
    wanted = {member: request[member] for member in _REPLACED if member in request}
    properties = _properties(body, request)
    if properties is not None:
        wanted["CustomerMetadataProperties"] = properties
    changed = sorted(member for member, value in wanted.items() if body.get(member) != value)
    return ({**body, **wanted, "LastModifiedTime": now}, changed) if changed else (body, changed)


def _properties(body: "Body", request: Mapping[str, Any]) -> Mapping[str, str] | None:
    added, removed = request.get("CustomerMetadataProperties"), request.get("CustomerMetadataPropertiesToRemove")
    if not added and not removed:
        return None
    merged = {**body.get("CustomerMetadataProperties", {}), **(added or {})}
    left = {key: value for key, value in merged.items() if key not in (removed or ())}
    if len(left) > _MOST_PROPERTIES:
        raise validation_exception(f"A model package can have at most {_MOST_PROPERTIES} customer metadata properties.")
    return left


def deployable(package: "Record[Body]", given: Mapping[str, Any]) -> dict[str, Any]:
    """The container of a model from a package: `given` names the package and may add to the environment.

    The image is the one that was registered, whatever its tag names now.

    Raises:
        ServiceError: `ValidationException` for a package that is not approved, or what only the package may say.
    """
    for member in _OF_THE_PACKAGE:
        if given.get(member):
            raise validation_exception(f"You can only specify one of {member} or ModelPackageName.")
    if given.get("InferenceSpecificationName"):
        raise validation_exception("InferenceSpecificationName is not served here.")
    status = package.value["ModelApprovalStatus"]
    if status != APPROVED:
        raise validation_exception(
            f"Model package {package.arn} cannot be deployed: its ModelApprovalStatus is {status}, and must be "
            f"{APPROVED}."
        )
    container = registered_container(package.value)
    return {
        **given,
        **{member: container[member] for member in _OF_THE_PACKAGE if member in container},
        "Image": pinned(container["Image"], container["ImageDigest"]),
        "Environment": {**container.get("Environment", {}), **given.get("Environment", {})},
    }


def pinned(image: str, digest: str) -> str:
    """The URI of an image by its digest instead of its tag."""
    repository = image.partition("@")[0]
    path, slash, name = repository.rpartition("/")
    return f"{path}{slash}{name.partition(':')[0]}@{digest}"


def described(package: "Record[Body]") -> dict[str, Any]:
    """DescribeModelPackage's answer."""
    return {
        **package.value,
        "ModelPackageArn": package.arn,
        "CreationTime": package.created,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
        "CreatedBy": {},
    }


def summary(package: "Record[Body]") -> dict[str, Any]:
    """A package as ListModelPackages shows it."""
    body = package.value
    return {
        **{member: body.get(member) for member in _OF_THE_SUMMARY},
        "ModelPackageGroupName": body["ModelPackageGroupName"],
        "ModelPackageVersion": body["ModelPackageVersion"],
        "ModelPackageArn": package.arn,
        "CreationTime": package.created,
        "ModelPackageStatus": "Completed",
    }


def listed_for(request: Mapping[str, Any], group: str | None) -> Callable[["Record[Body]"], bool]:
    """Whether ListModelPackages shows a package to a request for `group`, which is None without a group.

    Without a group, only unversioned packages are listed unless the request asks for others.
    """
    versioned = group is not None or request.get("ModelPackageType", "Unversioned") != "Unversioned"
    approval = request.get("ModelApprovalStatus")

    def shown(package: "Record[Body]") -> bool:
        body = package.value
        return (
            versioned
            and group in {None, body["ModelPackageGroupName"]}
            and approval in {None, body["ModelApprovalStatus"]}
        )

    return shown
