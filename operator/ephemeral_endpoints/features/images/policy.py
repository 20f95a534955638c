"""Which image a class makes for an object, and why it does not."""

import re
from fnmatch import fnmatchcase
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint, Source
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.image_build import ImageBuild, Platform
from ephemeral_endpoints.api.v1alpha1.image_policy import GITHUB, BuildPolicy, ForkPolicy
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.features.images.approvals import build_digest, missing_approval
from ephemeral_endpoints.features.images.build_options import refused_option
from ephemeral_endpoints.features.images.builds.policy import BuildTarget, Commit, Copy, Tenant, Trust
from ephemeral_endpoints.features.images.desired import repository_uri
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.subject import Subject

# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
# Grace, the processor beside the GPUs of p6e-gb200, is an Arm processor too.
_ARM64: Final = re.compile(r"ml\.([a-z]+[0-9]+g[a-z]*|p6e-gb200)\.")

# No name ends in a label of digits, or that begins with one; decimal, octal and hexadecimal addresses do:
# https://url.spec.whatwg.org/#ends-in-a-number-checker
_ADDRESS: Final = re.compile(r"(.*\.)?[0-9][^.]*\.?|(.*\.)?localhost\.?")

_SUFFIX: Final = ".git"
_CODE_COMMIT: Final = re.compile(r"https://git-codecommit(-fips)?\.")


def platform_of(serving: Serving) -> Platform:
    """The platform that an object's images must run on, by the type of its instances."""
    return runs_on(serving.instances.type) if serving.instances else Platform.AMD64


def runs_on(instance_type: str) -> Platform:
    """The platform of a type of instances."""
    return Platform.ARM64 if _ARM64.match(instance_type) else Platform.AMD64


def target_of(subject: Subject) -> BuildTarget | None:
    """The image that the class makes for an object; None where another client pushes it."""
    endpoint, endpoint_class = subject.endpoint, subject.endpoint_class
    model = endpoint.spec.model
    content: Commit | Copy
    if build := model.built:
        content, platform = commit_of(endpoint, build, endpoint_class.spec.builds), build.platform
    elif model.copy_of:
        content = Copy(model.copy_of.image, endpoint.revision)
        platform = platform_of(endpoint.spec.serving)
    else:
        return None
    tenant = Tenant(endpoint_class.metadata.uid, endpoint.metadata.namespace or "")
    return BuildTarget(repository_uri(subject.cluster_id, endpoint_class), content, platform, tenant)


def image_of(subject: Subject) -> str:
    """The URI of the image of ``spec.model``, by tag or digest, whether it exists yet or not.

    Empty while the package is not known that brings it.
    """
    if target := target_of(subject):
        return target.image
    return subject.endpoint.spec.model.pushed_image or (subject.package.image if subject.package else "")


def images_of(subject: Subject) -> frozenset[str]:
    """The images of all variants that are known, as the spec or the package names them."""
    own = image_of(subject)
    named = {each.model.image or own for each in subject.endpoint.spec.serving.variants} or {own}
    return frozenset(filter(None, named))


def refusal(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> ImageState | None:
    """Why a class does not make the object's image; None if it does, or need not."""
    model, policy = endpoint.spec.model, endpoint_class.spec.builds
    if not model.is_made:
        return None
    if policy is None:
        return _refused(
            f"class {endpoint_class.metadata.name} does not build images: set spec.model.image, or ask the platform "
            "team to set spec.builds of the class"
        )
    if images := policy.unpinned_images:
        return _refused(
            f"class {endpoint_class.metadata.name} builds with images that are named by a tag, which can move: "
            f"{', '.join(images)}; the platform team must add their digests (@sha256:...) to spec.builds of the class, "
            "or accept tags with spec.builds.allowTags"
        )
    if model.built:
        return _refused_build(endpoint, model.built, policy)
    return _refused_copy(endpoint, endpoint_class)


def clone_url(git_url: str, repository: str) -> str:
    """The URL at which Git clones a repository over HTTPS.

    GitHub, GitLab, Bitbucket, Gitea and Forgejo show it with ``.git``. AWS CodeCommit and Azure DevOps, whose paths
    have the segment ``_git``, know no repository of that name: they add nothing to the one that it was given.
    https://docs.aws.amazon.com/codecommit/latest/userguide/how-to-connect.html
    https://learn.microsoft.com/azure/devops/repos/git/clone
    """
    url = f"{git_url}/{repository}"
    is_plain = "_git" in url.split("/") or _CODE_COMMIT.match(url) is not None or url.endswith(_SUFFIX)
    return url if is_plain else f"{url}{_SUFFIX}"


def commit_of(endpoint: EphemeralEndpoint, build: ImageBuild, policy: BuildPolicy | None) -> Commit:
    """The commit that an object asks for, with all that its build depends on."""
    source = endpoint.spec.source
    secrets = policy.secrets if policy else {}
    host = policy.git_url if policy else GITHUB
    return Commit(
        location=clone_url(host, source.head_repository or source.repository),
        revision=endpoint.revision,
        context=build.context,
        dockerfile=build.dockerfile,
        target=build.target,
        arguments=tuple(sorted(build.arguments.items())),
        secrets=tuple(sorted((name, secrets.get(name, "")) for name in build.secrets)),
        frontends=tuple(policy.allowed_frontends) if policy else (),
        trust=_trust(source, policy),
        base=clone_url(host, source.repository) if is_fork(source) else None,
    )


def is_fork(source: Source) -> bool:
    """Whether the object says that its commit is in a fork of the repository."""
    return (source.head_repository or source.repository).lower() != source.repository.lower()


def _trust(source: Source, policy: BuildPolicy | None) -> Trust:
    """Why the class would build the commit; a class without builds counts as one with their defaults."""
    approve_all, forks = (policy.approve_all, policy.forks) if policy else (False, ForkPolicy.APPROVE)
    if approve_all or (is_fork(source) and forks is not ForkPolicy.BUILD):
        return Trust.APPROVED
    return Trust.FORK if is_fork(source) else Trust.OWN


def _refused_build(endpoint: EphemeralEndpoint, build: ImageBuild, policy: BuildPolicy) -> ImageState | None:
    if unknown := sorted(set(build.secrets) - policy.secrets.keys()):
        known = ", ".join(sorted(policy.secrets)) or "no secrets"
        return _refused(
            f"spec.model.build.secrets names {', '.join(unknown)}, but the class has {known}: remove it, or ask the "
            "platform team to add it to spec.builds.secrets of the class"
        )
    if build.platform is not (needed := platform_of(endpoint.spec.serving)):
        message = (
            f"spec.model.build.platform is {build.platform}, but the endpoint runs on {needed}: set it to {needed}"
        )
        return ImageState(problem=ImageProblem.OTHER_PLATFORM, message=message)
    source = endpoint.spec.source
    url = clone_url(policy.git_url, source.head_repository or source.repository)
    if policy.job and not url.endswith(_SUFFIX):
        # https://github.com/moby/buildkit/blob/master/frontend/dockerfile/dfgitutil/git_ref.go
        return _refused(
            f"the class builds in Jobs, whose BuildKit fetches commits only from URLs that end with {_SUFFIX}, but the "
            f"repository is at {url}: ask the platform team to set spec.builds.codeBuild of the class"
        )
    if refused := refused_option(build.arguments, policy):
        return _refused(refused)
    return _unapproved(endpoint, build, policy)


def refused_training(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> ImageState | None:
    """Why an image that another client pushes may not train; None if it may, or need not.

    It says nothing of where it comes from, so that only the commit that the object names can be approved with it.
    """
    training = endpoint.spec.model.training
    return _unapproved(endpoint, ImageBuild(), endpoint_class.spec.builds) if training else None


def _unapproved(endpoint: EphemeralEndpoint, build: ImageBuild, policy: BuildPolicy | None) -> ImageState | None:
    source = endpoint.spec.source
    comes_from_fork = is_fork(source)
    if comes_from_fork and policy and policy.forks is ForkPolicy.REFUSE:
        return _refused(
            f"the commit comes from the fork {source.head_repository}, but the class does not build forks: push it to "
            f"a branch of {source.repository}, or ask the platform team to change spec.builds.forks of the class"
        )
    if _trust(source, policy) is not Trust.APPROVED:
        return None
    digest = build_digest(commit_of(endpoint, build, policy), build.platform, endpoint.spec.model.training)
    missing = missing_approval(endpoint.metadata.annotations, digest)
    if missing is None:
        return None
    origin = f"the fork {source.head_repository}" if comes_from_fork else source.repository
    return ImageState(problem=ImageProblem.UNAPPROVED, message=f"the commit from {origin} {missing}")


def _refused_copy(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> ImageState | None:
    asked = endpoint.spec.model.copy_of
    if asked is None:
        return None
    allowed = endpoint_class.spec.images.allowed_sources
    name = re.sub("(@.*|:[^:/@]*(@.*)?)$", "", asked.image)
    if any(_is_source(name, pattern) for pattern in allowed):
        return None
    remedy = f"use one of {', '.join(allowed)}, or " if allowed else ""
    message = (
        f"the class does not allow copies of {name}: {remedy}ask the platform team to add it to "
        "spec.images.allowedSources of the class"
    )
    return ImageState(problem=ImageProblem.NOT_ALLOWED, message=message)


def _is_source(name: str, pattern: str) -> bool:
    """Whether a pattern allows an image to be copied.

    Wildcards match names of registries: an address, such as the metadata service's, has to be allowed as it is.
    """
    registry = name.partition("/")[0]
    is_address = _ADDRESS.fullmatch(registry.partition(":")[0]) is not None
    return fnmatchcase(name, pattern) and (not is_address or pattern.partition("/")[0] == registry)


def _refused(message: str) -> ImageState:
    return ImageState(problem=ImageProblem.NOT_BUILT, message=message)
