"""Images in ECR: whether a tag or digest exists, its digest, its findings, and the contents of a repository."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import pages
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.features.images.commands import Commands
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import (
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
    {
        "ecr:BatchDeleteImage",
        "ecr:BatchGetImage",
        "ecr:DescribeImageScanFindings",
        "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer",
    }
)
MOST: Final = 100
"""Images a call (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html)."""

PAGE: Final = 1000
"""Images or findings a page, at most; of enhanced scanning's findings ECR always gives fewer."""

PAUSE_SECONDS: Final = 0.5
"""Between two calls: nothing beside the minutes that an endpoint takes, and most calls of a burst."""

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
_MISSING: Final = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanStatus.html; with continuous scanning a scan is
# never over. All other values mean that there are no findings.
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
    """The images that an account may read; requests of many for one repository are one call.

    BatchGetImage and not DescribeImages: it is the permission that pulling needs anyway, and returns an index's
    own digest.
    """

    def __init__(self, client: "ECRClient") -> None:
        self.commands = Commands(client)
        self._client = client
        self._asking: dict[_Repository, Batches[_Identifier, ImageState]] = {}

    async def resolve(self, calls: Calls, reference: ImageReference) -> ImageState:
        """The image's digest, or that it is missing. Raises errors of the ``AwsError`` tree for everything else.

        An index has a digest of its own.
        """
        repository = reference.registry.account, reference.repository
        if repository not in self._asking:
            self._asking[repository] = Batches(partial(self._ask, repository), most=MOST, pause_seconds=PAUSE_SECONDS)
        return await self._asking[repository].ask(calls, _identifier(reference))

    async def resolve_for(self, calls: Calls, reference: ImageReference, platform: str) -> ImageState:
        """Like ``resolve``, but of an index its image for the platform, if it has one."""
        state = await self.resolve(calls, reference)
        digest = state.facts.digest_for(platform) if state.facts else None
        return await self.resolve(calls, replace(reference, tag=None, digest=digest)) if digest else state

    async def scan(self, calls: Calls, reference: ImageReference, digest: str) -> ScanState:
        """The scans' findings in the image with that digest of the reference's repository. Raises an ``AwsError``."""
        listing = pages(
            calls,
            self._client.describe_image_scan_findings,
            request_cursor="nextToken",
            registryId=reference.registry.account,
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
            request_cursor="nextToken",
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
        """Untag images; an image is deleted with its last tag; missing ones are skipped. Raises an ``AwsError``.

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
        states = ((each, image_state(name, each, answer, is_only=len(asked) == 1)) for each in asked)
        return {each: state for each, state in states if state is not None}


def _request(repository: _Repository, identifiers: Iterable[_Identifier]) -> dict[str, Any]:
    account, name = repository
    return {"registryId": account, "repositoryName": name, "imageIds": [{kind: value} for kind, value in identifiers]}


def _identifier(reference: ImageReference) -> _Identifier:
    return ("imageTag", reference.tag) if reference.tag else ("imageDigest", str(reference.digest))


def image_state(
    repository: str, identifier: _Identifier, answer: Any, *, is_only: bool
) -> ImageState | errors.AwsError | None:
    """The state of one image in an answer; None if that is not clear, as when it is listed under another tag."""
    kind, value = identifier
    for image in answer["images"]:
        if is_only or image["imageId"].get(kind) == value:
            facts = facts_of_manifest(image.get("imageManifest", ""), image.get("imageManifestMediaType", ""))
            return ImageState(digest=image["imageId"]["imageDigest"], facts=facts)
    failures = (each for each in answer["failures"] if is_only or each.get("imageId", {}).get(kind) == value)
    failure: Any = next(failures, None)
    name = f"{repository}:{value}" if kind == "imageTag" else f"{repository}@{value}"
    if failure and failure.get("failureCode") in _MISSING:
        return _missing(f"{name} is not in ECR: push the image, and the operator creates the endpoint")
    if failure:
        return errors.Transient(_why(failure), operation="BatchGetImage")
    return errors.Transient(f"ECR did not answer about {name}", operation="BatchGetImage") if is_only else None


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
    totals = answers[0].get("imageScanFindings", {}).get("findingSeverityCounts", {})
    # ECR counts a vulnerability once for every package; those that it counts without naming them count too.
    counts = {**totals, **Counter(severity for _, severity in found)}
    return ScanState(status, counts, worst_first(found))


def _findings(answer: Any) -> Iterator[tuple[str, str]]:
    """Those of basic scanning, which have names, and of Amazon Inspector, which name vulnerabilities of packages."""
    for each in answer.get("findings", []):
        yield each.get("name", ""), each.get("severity", "")
    for each in answer.get("enhancedFindings", []):
        details = each.get("packageVulnerabilityDetails", {})
        yield details.get("vulnerabilityId") or each.get("title", ""), each.get("severity", "")
