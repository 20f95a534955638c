"""Images in ECR: whether a tag or digest exists, and which digest it is."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.images import ImageProblem, ImageReference, ImageState

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ACTIONS: Final = frozenset({"ecr:BatchGetImage"})
MOST: Final = 100
"""Images a call (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html)."""

PAUSE_SECONDS: Final = 0.5
"""Between two calls: nothing beside the minutes that an endpoint takes, and most calls of a burst."""

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
_MISSING: Final = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})

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
            return ImageState(digest=image["imageId"]["imageDigest"])
    failures = (each for each in answer["failures"] if is_only or each.get("imageId", {}).get(kind) == value)
    failure: Any = next(failures, None)
    name = f"{repository}:{value}" if kind == "imageTag" else f"{repository}@{value}"
    if failure and failure.get("failureCode") in _MISSING:
        return _missing(f"{name} is not in ECR yet: the endpoint is made as soon as it is pushed")
    if failure:
        reason = f"{failure.get('failureReason', '')} ({failure.get('failureCode', 'no code')})"
        return errors.Transient(reason, operation="BatchGetImage")
    return errors.Transient(f"nothing was answered about {name}", operation="BatchGetImage") if is_only else None


def _missing(message: str) -> ImageState:
    return ImageState(problem=ImageProblem.NOT_FOUND, message=message)
