"""Which image a class makes for an object, and why it does not."""

import re
from fnmatch import fnmatchcase
from typing import Final

from ephemeral_endpoints.api import APPROVED_ANNOTATION
from ephemeral_endpoints.api.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.image_policy import BuildPolicy, ForkPolicy
from ephemeral_endpoints.api.model import ImageBuild, Platform
from ephemeral_endpoints.api.serving import Serving
from ephemeral_endpoints.core.builds import Commit, Copy, Order
from ephemeral_endpoints.core.images import ImageProblem, ImageState
from ephemeral_endpoints.core.repositories import repository_uri

# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_GRAVITON: Final = re.compile(r"ml\.[a-z]+[0-9]+g[a-z]*\.")

# No name ends in a label of digits, or that begins with one; decimal, octal and hexadecimal addresses do:
# https://url.spec.whatwg.org/#ends-in-a-number-checker
_ADDRESS: Final = re.compile(r"(.*\.)?[0-9][^.]*\.?|(.*\.)?localhost\.?")


def platform_of(serving: Serving) -> Platform:
    """What an object's images must run on, as the type of its instances tells."""
    instances = serving.instances
    return Platform.ARM64 if instances and _GRAVITON.match(instances.type) else Platform.AMD64


def order_of(cluster_id: str, endpoint: EphemeralEndpoint, klass: EphemeralEndpointClass) -> Order | None:
    """The image that is made for an object; None where somebody else pushes it."""
    model = endpoint.spec.model
    if model.build:
        commit = _commit(endpoint, model.build, klass.spec.builds)
        return Order(repository_uri(cluster_id, klass), commit, model.build.platform)
    if model.copy_of:
        copy = Copy(model.copy_of.image, endpoint.spec.source.revision)
        return Order(repository_uri(cluster_id, klass), copy, platform_of(endpoint.spec.serving))
    return None


def refusal(endpoint: EphemeralEndpoint, klass: EphemeralEndpointClass) -> ImageState | None:
    """Why a class does not make the object's image; None if it does, or need not."""
    model, policy = endpoint.spec.model, klass.spec.builds
    if model.build is None and model.copy_of is None:
        return None
    if policy is None:
        return _refused(
            f"the class {klass.metadata.name} makes no images: set its spec.builds, or give spec.model.image"
        )
    if model.build:
        return _refused_build(endpoint, model.build, policy)
    return _refused_copy(endpoint, klass)


def _commit(endpoint: EphemeralEndpoint, build: ImageBuild, policy: BuildPolicy | None) -> Commit:
    source = endpoint.spec.source
    secrets = policy.secrets if policy else {}
    return Commit(
        location=f"{policy.git_url if policy else ''}/{source.head_repository or source.repository}.git",
        revision=source.revision,
        context=build.context,
        dockerfile=build.dockerfile,
        target=build.target,
        arguments=tuple(sorted(build.arguments.items())),
        secrets=tuple(sorted((name, secrets.get(name, "")) for name in build.secrets)),
    )


def _refused_build(endpoint: EphemeralEndpoint, build: ImageBuild, policy: BuildPolicy) -> ImageState | None:
    if unknown := sorted(set(build.secrets) - policy.secrets.keys()):
        known = ", ".join(sorted(policy.secrets)) or "none"
        return _refused(f"spec.model.build.secrets names {', '.join(unknown)}, but the class has {known}")
    if build.platform is not (needed := platform_of(endpoint.spec.serving)):
        message = f"spec.model.build.platform is {build.platform}, but what it is served on takes {needed} only"
        return ImageState(problem=ImageProblem.OTHER_PLATFORM, message=message)
    return _unapproved(endpoint, policy)


def _unapproved(endpoint: EphemeralEndpoint, policy: BuildPolicy) -> ImageState | None:
    source = endpoint.spec.source
    is_fork = (source.head_repository or source.repository).lower() != source.repository.lower()
    if is_fork and policy.forks is ForkPolicy.REFUSE:
        return _refused(f"the commit is of the fork {source.head_repository}, and the class builds no forks")
    needs_approval = policy.approve_all or (is_fork and policy.forks is ForkPolicy.APPROVE)
    if not needs_approval or endpoint.metadata.annotations.get(APPROVED_ANNOTATION) == source.revision:
        return None
    whose = f"the fork {source.head_repository}" if is_fork else source.repository
    message = (
        f"the commit is of {whose}: it is built once somebody who may approve objects has read it and set the "
        f"annotation {APPROVED_ANNOTATION} to {source.revision}"
    )
    return ImageState(problem=ImageProblem.UNAPPROVED, message=message)


def _refused_copy(endpoint: EphemeralEndpoint, klass: EphemeralEndpointClass) -> ImageState | None:
    asked = endpoint.spec.model.copy_of
    if asked is None:
        return None
    allowed = klass.spec.images.allowed_sources
    name = re.sub("(@.*|:[^:/@]*(@.*)?)$", "", asked.image)
    if any(_is_source(name, pattern) for pattern in allowed):
        return None
    told = f"the class allows {', '.join(allowed)}" if allowed else "the class allows no image to be copied"
    return ImageState(problem=ImageProblem.NOT_ALLOWED, message=f"{name} is not allowed: {told}")


def _is_source(name: str, pattern: str) -> bool:
    """Whether a pattern allows an image to be copied.

    Wildcards stand for names of registries: an address, such as the metadata service's, has to be allowed as it is.
    """
    registry = name.partition("/")[0]
    is_address = _ADDRESS.fullmatch(registry.partition(":")[0]) is not None
    return fnmatchcase(name, pattern) and (not is_address or pattern.partition("/")[0] == registry)


def _refused(message: str) -> ImageState:
    return ImageState(problem=ImageProblem.NOT_BUILT, message=message)
