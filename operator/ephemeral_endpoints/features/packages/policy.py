"""Whether and how an object serves a version of a model package."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, Self

from pydantic import TypeAdapter, ValidationError

from ephemeral_endpoints.api.v1alpha1.image_types import Image
from ephemeral_endpoints.api.v1alpha1.model_data import ModelData
from ephemeral_endpoints.api.v1alpha1.packages import Approval, ModelPackage, PackagePolicy
from ephemeral_endpoints.api.v1alpha1.training import PREVIEWS
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.packages.lineage import Lineage
from ephemeral_endpoints.features.packages.reasons import (
    APPROVED,
    FAILED,
    NO_APPROVED_VERSION,
    NOT_ALLOWED,
    NOT_FOUND,
    PENDING,
    REJECTED,
    REJECTED_BUT_SERVING,
    UNUSABLE,
    WAITING_FOR_APPROVAL,
)
from ephemeral_endpoints.features.packages.specs import PackagedModel

CACHED: Final = timedelta(days=30)
"""For so long pipelines take the results of earlier steps, which therefore have to stay where they are."""


_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:sagemaker:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):model-package/"
    r"(?P<group>[A-Za-z0-9-]{1,63})/(?P<version>[1-9][0-9]{0,8})"
)
_IMAGE: Final[TypeAdapter[str]] = TypeAdapter(Image)
_UNSPECIFIED: Final = "it has no specification of a container"
_REGISTERING: Final = frozenset({"Pending", "InProgress"})


@dataclass(frozen=True, slots=True)
class VersionArn:
    """The parts of the ARN of a version."""

    region: str
    account: str
    group: str
    version: int

    @classmethod
    def parse(cls, arn: str) -> Self | None:
        """None for text that is not the ARN of a version of a group."""
        match = _ARN.fullmatch(arn)
        return cls(match["region"], match["account"], match["group"], int(match["version"])) if match else None

    @classmethod
    def group_of(cls, arn: str) -> str | None:
        """The group of a version."""
        parsed = cls.parse(arn)
        return parsed.group if parsed else None


@dataclass(frozen=True, slots=True)
class PackageVersion:
    """A version as the registry describes it. ``problem`` says why nothing can be served of it."""

    arn: str
    status: str
    approval: str
    image: str = ""
    data: ModelData = field(default_factory=ModelData)
    environment: tuple[tuple[str, str], ...] = ()
    problem: str = ""
    comment: str = ""
    lineage: Lineage = field(default_factory=Lineage)
    urls: frozenset[str] = frozenset()
    """All that its description names: models, figures, and whatever else."""

    @property
    def name(self) -> str:
        """The group and the number, for people."""
        return self.arn.rpartition(":model-package/")[2]

    @property
    def group(self) -> str:
        """The name of its group."""
        return VersionArn.group_of(self.arn) or ""


@dataclass(frozen=True, slots=True)
class PackageState:
    """What is known of an object's package, and what is served of it: None while nothing may be or can be."""

    cause: Cause
    model: PackagedModel | None = None
    version: PackageVersion | None = None


def is_of_previews(group: str) -> bool:
    """Whether packages of pull requests are registered there."""
    return group.endswith(PREVIEWS) and group != PREVIEWS


def allows(policy: PackagePolicy | None, group: str, account: str | None = None) -> bool:
    """Whether a class lets its objects use a group, of another ``account`` or its own."""
    name = group.removesuffix(PREVIEWS)
    prefix = f"{account}/" if account else ""
    globs = policy.groups if policy else ()
    return any(fnmatchcase(f"{prefix}{each}", glob) for each in (group, name) for glob in globs)


def refusal(asked: ModelPackage, policy: PackagePolicy | None, *, region: str, account: str) -> PackageState | None:
    """Why a class does not allow the package; None if it does. ``account`` is the class's."""
    named = VersionArn.parse(asked.arn or "")
    group = named.group if named else str(asked.group)
    if named and named.region != region:
        message = f"the package is in {named.region}, but the class's endpoints run in {region}: register it there"
        return PackageState(Cause(NOT_ALLOWED, message))
    foreign = named.account if named and named.account != account else None
    if allows(policy, group, foreign):
        return None
    use = f"use one of {', '.join(policy.groups)}" if policy else "it allows none"
    message = (
        f"the class does not allow packages of the group {f'{foreign}/' if foreign else ''}{group}: {use}, or ask the "
        "platform team to add it to spec.packages.groups of the class"
    )
    return PackageState(Cause(NOT_ALLOWED, message))


def version_of(answer: Mapping[str, Any]) -> PackageVersion:
    """The version in an answer to DescribeModelPackage."""
    containers = answer.get("InferenceSpecification", {}).get("Containers", [])
    found = PackageVersion(
        arn=answer["ModelPackageArn"],
        status=answer["ModelPackageStatus"],
        approval=answer.get("ModelApprovalStatus", Approval.PENDING),
        comment=answer.get("ApprovalDescription", ""),
        problem=_failure(answer),
        lineage=Lineage.of(answer.get("CustomerMetadataProperties", {})),
        urls=frozenset(urls_in(answer)),
    )
    if len(containers) != 1:
        problem = f"it has {len(containers)} containers, and must have one"
        return replace(found, problem=found.problem or (problem if containers else _UNSPECIFIED))
    container = containers[0]
    image, data = pinned(container), _data(container)
    problem = "" if image else "its image is not in ECR, or the registry does not say which digest it has"
    if data is None:
        problem = problem or "its data is neither an archive nor a folder in S3"
    return replace(
        found,
        image=image,
        data=data or ModelData(),
        environment=tuple(sorted(container.get("Environment", {}).items())),
        problem=found.problem or problem,
    )


def urls_in(value: object) -> Iterable[str]:
    """All texts in a document that are URLs."""
    if isinstance(value, str):
        if "://" in value:
            yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from urls_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from urls_in(each)


def pinned(container: Mapping[str, Any]) -> str:
    """The image of a package's container by its digest; empty if it is not in ECR or has none."""
    name, _, own = str(container.get("Image", "")).partition("@")
    digest = str(container.get("ImageDigest") or own).lower()
    try:
        return _IMAGE.validate_python(f"{re.sub(':[^:/]*$', '', name)}@{digest}")
    except ValidationError:
        return ""


def absent(name: str) -> PackageState:
    """The registry does not have the version or the group of that name."""
    message = (
        f"the registry has no model package {name}: correct spec.model.package, or register it; the operator looks "
        "again within 5 minutes"
    )
    return PackageState(Cause(NOT_FOUND, message))


def without_approved(group: str) -> PackageState:
    """No version of the group is approved, and none was."""
    message = (
        f"no version of the model package group {group} is approved: approve one with `eep model approve`, or name one "
        "in spec.model.package.version; the operator goes on by itself"
    )
    return PackageState(Cause(NO_APPROVED_VERSION, message))


def decide(
    asked: ModelPackage, version: PackageVersion, policy: PackagePolicy, *, is_served: bool, is_serverless: bool
) -> PackageState:
    """What an object serves of the version that ``asked`` means; ``is_served``: it does so already."""
    if version.status in _REGISTERING:
        return PackageState(Cause(PENDING, f"SageMaker is still registering {version.name}"), version=version)
    if version.status == "Failed":
        message = f"SageMaker could not register {version.name}: {version.problem}; register it again"
        return PackageState(Cause(FAILED, message), version=version)
    if version.status == "Deleting":
        return absent(version.name)
    if problem := version.problem or _unfit(version, is_serverless=is_serverless):
        message = f"{version.name} cannot be served: {problem}: register a version that can"
        return PackageState(Cause(UNUSABLE, message), version=version)
    is_approved = version.approval == Approval.APPROVED
    cause = _cause(asked, version, policy, is_served=is_served)
    if not (is_approved or is_served or _is_free(asked, version, policy)):
        return PackageState(cause, version=version)
    model = PackagedModel(
        asked, version.arn, version.image, version.data, version.environment, is_direct=not (is_approved or is_served)
    )
    return PackageState(cause, model, version)


def _is_free(asked: ModelPackage, version: PackageVersion, policy: PackagePolicy) -> bool:
    """Whether the object may serve it although nobody has approved it."""
    is_named = asked.arn is not None or asked.version is not None
    return is_named and policy.allow_unapproved and version.approval == Approval.PENDING


def _cause(asked: ModelPackage, version: PackageVersion, policy: PackagePolicy, *, is_served: bool) -> Cause:
    approve = f"approve it with `eep model approve {version.name}`"
    if version.approval == Approval.APPROVED:
        return Cause(APPROVED, f"{version.name} is approved{_quoted(version.comment)}")
    if version.approval == Approval.REJECTED:
        rejected = f"{version.name} was rejected{_quoted(version.comment)}"
        if is_served:
            message = f"{rejected}, and is served on until another version is approved or named in spec.model.package"
            return Cause(REJECTED_BUT_SERVING, message)
        message = f"{rejected}: name another version in spec.model.package, or {approve}"
        return Cause(REJECTED, message, awaited="the approval of the version, or a change of the spec")
    if is_served or _is_free(asked, version, policy):
        message = f"nobody has approved {version.name} yet; its image and its data are served all the same: {approve}"
    else:
        message = f"nobody has approved {version.name} yet, as the class requires: {approve}"
    return Cause(WAITING_FOR_APPROVAL, f"{message}; the operator notices it by itself")


def _quoted(comment: str) -> str:
    return f" ({comment})" if comment else ""


def _unfit(version: PackageVersion, *, is_serverless: bool) -> str:
    if version.data.is_source and is_serverless:
        return "its data is a folder, which SageMaker does not support on serverless endpoints"
    return ""


def _failure(answer: Mapping[str, Any]) -> str:
    """Why SageMaker could not register a version; empty if it could."""
    if answer["ModelPackageStatus"] != "Failed":
        return ""
    details = answer.get("ModelPackageStatusDetails", {})
    items = [*details.get("ValidationStatuses", []), *details.get("ImageScanStatuses", [])]
    return "; ".join(each["FailureReason"] for each in items if each.get("FailureReason")) or "it does not say why"


def _data(container: Mapping[str, Any]) -> ModelData | None:
    """The data of a container; None if an object could not name such data itself."""
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    if container.get("AdditionalModelDataSources") or source.get("HubAccessConfig") or source.get("ManifestS3Uri"):
        return None
    uri = container.get("ModelDataUrl") or source.get("S3Uri")
    if uri is None:
        return ModelData()
    accepts = bool(source.get("ModelAccessConfig", {}).get("AcceptEula"))
    try:
        return ModelData.model_validate({"s3Prefix" if uri.endswith("/") else "dataUrl": uri, "acceptEula": accepts})
    except ValidationError:
        return None
