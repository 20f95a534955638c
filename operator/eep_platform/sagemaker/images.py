"""Container images: the names that a model may use, and their digests."""

import re
from dataclasses import dataclass

from botocore.exceptions import ClientError

from eep_platform.containers.image import INDEXES, MANIFEST
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception

_ECR_URI = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.(?:com(?:\.cn)?|eu)/"
    r"(?P<repository>(?=[^:@]{2,256})[a-z0-9]+(?:[._/-][a-z0-9]+)*)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ImageName:
    """An image in ECR; the tag is `latest` if the URI has neither tag nor digest."""

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
    """Parse an image URI as CreateModel does in `region`.

    Raises:
        ServiceError: `ValidationException` for an image outside of ECR, a malformed URI, or another region.
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


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """The digest of an image and the media type of its manifest, as ECR has them now."""

    digest: str
    media_type: str

    @property
    def is_servable(self) -> bool:
        """Whether CreateModel accepts it: neither an index nor anything of OCI.

        Source: https://github.com/aws/amazon-sagemaker-feedback/issues/180
        """
        return self.media_type not in INDEXES | {MANIFEST}


async def resolved_image(name: ImageName, aws: Aws) -> ResolvedImage | None:
    """What an image is at present; None if ECR has no such image.

    Raises:
        botocore.exceptions.BotoCoreError, ClientError: The call to ECR failed.
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
    images = [
        ResolvedImage(str(image["imageId"]["imageDigest"]), str(image.get("imageManifestMediaType", "")))
        for image in answer["images"]
    ]
    return images[0] if images else None
