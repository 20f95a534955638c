"""Container images: what a model may name, and which digest the name means now."""

import re
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.errors import validation_exception

_ECR_URI = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[a-z0-9]+(?:[._/-][a-z0-9]+)*)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image in ECR; without tag and digest it means the tag `latest`."""

    uri: str
    registry: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def base(self) -> str:
        """The URI without tag and digest."""
        return self.uri.partition("@")[0].removesuffix(f":{self.tag}")


def image_name(uri: str, region: str) -> ImageName:
    """Read an image URI as CreateModel takes it in `region`.

    Raises:
        ServiceError: `ValidationException` for what is not in ECR, not well-formed, or in another region.
    """
    match = _ECR_URI.fullmatch(uri)
    if match is None and ".dkr.ecr." not in uri:
        raise validation_exception(f'Using non-ECR image "{uri}" without Vpc repository access mode is not supported.')
    if match is None:
        raise validation_exception(f'ECR image "{uri}" is invalid.')
    if match["region"] != region:
        raise validation_exception(
            f'Region of "{uri}" does not match expected region of {region}. '
            "Cross region ECR image pulls are not allowed."
        )
    tag = match["tag"] or (None if match["digest"] else "latest")
    return ImageName(uri, match["registry"], match["region"], match["repository"], tag, match["digest"])


async def resolved_digest(name: ImageName, aws: Aws) -> str | None:
    """The digest that an image name means now; None if ECR has no such image.

    Raises:
        botocore.exceptions.BotoCoreError, ClientError: ECR could not be asked.
    """
    image_id = {"imageDigest": name.digest} if name.digest else {"imageTag": name.tag}
    try:
        answer = await aws.call(
            "ecr", "batch_get_image", registryId=name.registry, repositoryName=name.repository, imageIds=[image_id]
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "RepositoryNotFoundException":
            return None
        raise
    digests = [str(image["imageId"]["imageDigest"]) for image in answer["images"]]
    return digests[0] if digests else None
