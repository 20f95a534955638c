"""Images in ECR: whether a tag or digest exists, and which digest it is."""

from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.core import errors
from ephemeral_endpoints.core.images import ImageProblem, ImageReference, ImageState

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ACTIONS: Final = frozenset({"ecr:BatchGetImage"})

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageFailure.html
_MISSING: Final = frozenset({"ImageNotFound", "ImageTagDoesNotMatchDigest"})


async def resolve(calls: Calls, client: "ECRClient", reference: ImageReference) -> ImageState:
    """The image's digest, or that it is missing. Raises errors of the ``AwsError`` tree for everything else.

    BatchGetImage and not DescribeImages: it is the permission that pulling needs anyway, and tells of an index its
    own digest.
    """
    wanted: Any = {"imageTag": reference.tag} if reference.tag else {"imageDigest": reference.digest}
    try:
        answer = await calls(
            client.batch_get_image, registryId=reference.account, repositoryName=reference.repository, imageIds=[wanted]
        )
    except errors.NotFound:
        return _missing(f"the repository {reference.repository} does not exist in account {reference.account}")
    if not answer["images"]:
        _raise_unless_missing(answer["failures"])
        name = (
            f"{reference.repository}:{reference.tag}" if reference.tag else f"{reference.repository}@{reference.digest}"
        )
        return _missing(f"{name} is not in ECR yet: the endpoint is made as soon as it is pushed")
    return ImageState(digest=answer["images"][0]["imageId"]["imageDigest"])


def _raise_unless_missing(failures: list[Any]) -> None:
    for failure in failures:
        if failure.get("failureCode") not in _MISSING:
            reason = f"{failure.get('failureReason', '')} ({failure.get('failureCode', 'no code')})"
            raise errors.Transient(reason, operation="BatchGetImage")


def _missing(message: str) -> ImageState:
    return ImageState(problem=ImageProblem.NOT_FOUND, message=message)
