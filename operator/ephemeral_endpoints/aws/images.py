"""Images in ECR: whether a tag or digest exists, which digest it is, what was found in it, what a repository holds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import pages
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.images import (
    ImageProblem,
    ImageReference,
    ImageState,
    ScanState,
    ScanStatus,
    StoredImage,
    facts_of_manifest,
    worst_first,
)

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ACTIONS: Final = frozenset(
    {"ecr:BatchDeleteImage", "ecr:BatchGetImage", "ecr:DescribeImageScanFindings", "ecr:DescribeImages"}
)
MOST: Final = 100
"""Images a call (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html)."""

PAGE: Final = 1000
"""Images or findings a page, at most; of enhanced scanning's findings ECR gives fewer whatever is asked for."""

PAUSE_SECONDS: Final = 0.5
"""Between two calls: nothing beside the minutes that an endpoint takes, and most calls of a burst."""

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
_MISSING: Final = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html; with continuous scanning a scan is
# never over. All other words mean that there are no findings to go by.
_SCANS: Final = {
    "ACTIVE": ScanStatus.COMPLETE,
    "COMPLETE": ScanStatus.COMPLETE,
    "IN_PROGRESS": ScanStatus.RUNNING,
    "PENDING": ScanStatus.RUNNING,
    "UNSUPPORTED_IMAGE": ScanStatus.UNSUPPORTED,
}
# Basic scanning fails with this (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-troubleshooting.html).
_UNSUPPORTED: Final = ("UnsupportedImageError", "UnsupportedImageTypeException")

_Repository = tuple[str, str]
"""The account of its registry, and its name."""

_Identifier = tuple[str, str]
"""``imageTag`` or ``imageDigest``, and its value."""

_States = dict[_Identifier, ImageState | errors.AwsError]


class Images:
    """The images that an account may read; what many ask of one repository is one call.

    BatchGetImage and not DescribeImages: it is the permission that pulling needs anyway, and tells of an index its
    own digest.
    """

    def __init__(self, client: "ECRClient") -> None:
        self._client = client
        self._asking: dict[_Repository, Batches[_Identifier, ImageState]] = {}

    async def resolve(self, calls: Calls, reference: ImageReference) -> ImageState:
        """The image's digest, or that it is missing. Raises errors of the ``AwsError`` tree for everything else."""
        repository = reference.account, reference.repository
        if repository not in self._asking:
            self._asking[repository] = Batches(partial(self._ask, repository), most=MOST, pause_seconds=PAUSE_SECONDS)
        return await self._asking[repository].ask(calls, _identifier(reference))

    async def scan(self, calls: Calls, reference: ImageReference, digest: str) -> ScanState:
        """What scans have found in the image with that digest of the reference's repository. Raises an ``AwsError``."""
        listing = pages(
            calls,
            self._client.describe_image_scan_findings,
            asks="nextToken",
            registryId=reference.account,
            repositoryName=reference.repository,
            imageId={"imageDigest": digest},
            maxResults=PAGE,
        )
        try:
            return _scan_state([page async for page in listing])
        except errors.NotFound:
            return ScanState(ScanStatus.NOT_SCANNED)
        except errors.Invalid as error:
            if any(word in error.message for word in _UNSUPPORTED):
                return ScanState(ScanStatus.UNSUPPORTED)
            raise

    async def list_tagged(self, calls: Calls, repository: str) -> list[StoredImage]:
        """All images with tags of a repository in the account's own registry. Raises an ``AwsError``."""
        listing = pages(
            calls,
            self._client.describe_images,
            asks="nextToken",
            repositoryName=repository,
            filter={"tagStatus": "TAGGED"},
            maxResults=PAGE,
        )
        return [
            StoredImage(item["imageDigest"], tuple(sorted(item["imageTags"])), item["imagePushedAt"])
            async for page in listing
            for item in page["imageDetails"]
            if item.get("imageTags")
        ]

    async def take_off(self, calls: Calls, repository: str, tags: Iterable[str]) -> None:
        """Take tags off images; an image goes with its last tag, and what is not there is fine. Raises an ``AwsError``.

        Takes off all that can be before it raises Transient for one that cannot
        (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html).
        """
        failures: list[Any] = []
        identifiers: list[Any] = [{"imageTag": tag} for tag in dict.fromkeys(tags)]
        for start in range(0, len(identifiers), MOST):
            batch = identifiers[start : start + MOST]
            try:
                answer = await calls(self._client.batch_delete_image, repositoryName=repository, imageIds=batch)
            except errors.NotFound:
                return
            failures += [each for each in answer["failures"] if each.get("failureCode") not in _MISSING]
        if failures:
            tag = failures[0].get("imageId", {}).get("imageTag", "")
            raise errors.Transient(f"{repository}:{tag}: {_why(failures[0])}", operation="BatchDeleteImage")

    async def _ask(self, repository: _Repository, calls: Calls, fill: Fill[_Identifier]) -> _States:
        asked: list[_Identifier] = []

        def arguments() -> dict[str, Any]:
            asked[:] = fill()
            return _request(repository, asked)

        name = repository[1]
        try:
            answer = await calls.deferred(self._client.batch_get_image, arguments)
        except errors.NotFound:
            return dict.fromkeys(asked, _missing(f"the repository {name} does not exist in account {repository[0]}"))
        states = ((each, _state(name, each, answer, is_only=len(asked) == 1)) for each in asked)
        return {each: state for each, state in states if state is not None}


def _request(repository: _Repository, identifiers: Iterable[_Identifier]) -> dict[str, Any]:
    account, name = repository
    return {"registryId": account, "repositoryName": name, "imageIds": [{kind: value} for kind, value in identifiers]}


def _identifier(reference: ImageReference) -> _Identifier:
    return ("imageTag", reference.tag) if reference.tag else ("imageDigest", str(reference.digest))


def _state(
    repository: str, identifier: _Identifier, answer: Any, *, is_only: bool
) -> ImageState | errors.AwsError | None:
    """What an answer tells of one image; None if that is not clear, as when an image is told under another tag."""
    kind, value = identifier
    for image in answer["images"]:
        if is_only or image["imageId"].get(kind) == value:
            facts = facts_of_manifest(image.get("imageManifest", ""))
            return ImageState(digest=image["imageId"]["imageDigest"], facts=facts)
    failures = (each for each in answer["failures"] if is_only or each.get("imageId", {}).get(kind) == value)
    failure: Any = next(failures, None)
    name = f"{repository}:{value}" if kind == "imageTag" else f"{repository}@{value}"
    if failure and failure.get("failureCode") in _MISSING:
        return _missing(f"{name} is not in ECR yet: the endpoint is made as soon as it is pushed")
    if failure:
        return errors.Transient(_why(failure), operation="BatchGetImage")
    return errors.Transient(f"nothing was answered about {name}", operation="BatchGetImage") if is_only else None


def _missing(message: str) -> ImageState:
    return ImageState(problem=ImageProblem.NOT_FOUND, message=message)


def _why(failure: Any) -> str:
    return f"{failure.get('failureReason', '')} ({failure.get('failureCode', 'no code')})"


def _scan_state(answers: Sequence[Any]) -> ScanState:
    """All pages of one scan."""
    scan = answers[0].get("imageScanStatus", {})
    status = _SCANS.get(scan.get("status", ""), ScanStatus.NOT_SCANNED)
    if any(scan.get("description", "").startswith(word) for word in _UNSUPPORTED):
        status = ScanStatus.UNSUPPORTED
    if status is not ScanStatus.COMPLETE:
        return ScanState(status)
    found = {each for answer in answers for each in _findings(answer.get("imageScanFindings", {}))}
    told = answers[0].get("imageScanFindings", {}).get("findingSeverityCounts", {})
    # ECR counts a vulnerability once for every package; what it counts without naming it counts all the same.
    counts = {**told, **Counter(severity for _, severity in found)}
    return ScanState(status, counts, worst_first(found))


def _findings(told: Any) -> Iterator[tuple[str, str]]:
    """Those of basic scanning, which have names, and of Amazon Inspector, which name vulnerabilities of packages."""
    for each in told.get("findings", []):
        yield each.get("name", ""), each.get("severity", "")
    for each in told.get("enhancedFindings", []):
        details = each.get("packageVulnerabilityDetails", {})
        yield details.get("vulnerabilityId") or each.get("title", ""), each.get("severity", "")
