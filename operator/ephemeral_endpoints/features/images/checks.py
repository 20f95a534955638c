"""Whether an existing image can be served, and may be."""

import json
import shlex
from collections.abc import Collection, Sequence
from typing import Final

from ephemeral_endpoints.api import RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.image_build import Platform
from ephemeral_endpoints.api.v1alpha1.image_policy import ScanPolicy, Severity
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageReference, ImageState, ScanState, ScanStatus

# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-containers
SERVERLESS_BYTES: Final = 10 * 1000**3
_SHOWN: Final = 5
_LONGEST_LINE: Final = 300
_ORDER: Final = tuple(Severity)

_INDEXES: Final = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_REFUSED: Final = _INDEXES | {"application/vnd.oci.image.manifest.v1+json"}
"""The manifests that CreateModel refuses: AWS does not document it, its users report it.

An index: https://github.com/mlflow/mlflow/issues/13834. A single image of OCI:
https://github.com/aws/amazon-sagemaker-feedback/issues/180. Both still did in July 2026; the image of an index for one
platform has a manifest of its own, which ECR stores under its own digest, and is judged like any other.
"""


def unfit(state: ImageState, *, platform: Platform, is_serverless: bool, remedy: str) -> ImageState | None:
    """Why SageMaker cannot run an image on that platform, as far as its manifest shows; None if it can.

    A manifest contains the compressed size: an image that is too large by that is too large in any case. ``remedy``
    is what makes a manifest that SageMaker accepts.
    """
    facts = state.facts
    if facts is None:
        return None
    if facts.images and facts.digest_for(platform) is None:
        built = ", ".join(name for name, _ in facts.images)
        message = f"the image is built for {built}, but the endpoint runs on {platform}: build it for {platform}"
        return ImageState(problem=ImageProblem.OTHER_PLATFORM, message=message)
    if facts.media_type in _REFUSED:
        kind = "an index of several images" if facts.media_type in _INDEXES else "an OCI image"
        message = f"the manifest is {kind} ({facts.media_type}), but SageMaker accepts only a Docker image: {remedy}"
        return ImageState(problem=ImageProblem.MANIFEST, message=message)
    if is_serverless and facts.size_bytes is not None and facts.size_bytes > SERVERLESS_BYTES:
        size = f"{facts.size_bytes / 1000**3:.1f} GB"
        message = (
            f"the compressed image has {size}, but serverless endpoints accept at most 10 GB: make it smaller, or use "
            "spec.serving.instances"
        )
        return ImageState(problem=ImageProblem.TOO_LARGE, message=message)
    return None


def without_entrypoint(command: Sequence[str]) -> ImageState:
    """The state of an image that has neither an ENTRYPOINT nor a program ``serve``, with the line to add for its CMD.

    A shell takes the word ``serve`` for its own name, other programs might not know it.
    """
    shell = list(command[2:3]) if list(command[:2]) == ["/bin/sh", "-c"] else [f"exec {shlex.join(command)}"]
    line = json.dumps(["/bin/sh", "-c", *shell]) if command else '["<program>"]'
    line = line if len(line) <= _LONGEST_LINE else '["<program>"]'
    message = (
        'SageMaker runs "docker run <image> serve", which replaces CMD, but the image has neither an ENTRYPOINT nor an '
        f"executable named serve: add the line ENTRYPOINT {line} to the Dockerfile"
    )
    return ImageState(problem=ImageProblem.NO_ENTRYPOINT, message=message)


def replaced(reference: ImageReference, state: ImageState, pushed: Collection[str]) -> ImageState | None:
    """Whether an image that was built is another one than was ``pushed``; None if it is the same, or nobody knows.

    The digest is the builder's word, not the registry's: whoever can push to the repository can move the tag.
    """
    if state.digest is None or not pushed or state.digest in pushed:
        return None
    message = (
        f"{reference.name}:{reference.tag} in ECR is {state.digest}, but the build pushed {', '.join(sorted(pushed))}: "
        "ask the platform team who else pushes to the repository, and to delete this image; then the operator builds "
        "it again"
    )
    return ImageState(problem=ImageProblem.REPLACED, message=message)


def push_again(platform: Platform) -> str:
    """How to push an image whose manifest SageMaker accepts."""
    return (
        f"push it with docker buildx build --platform {platform} --provenance=false --sbom=false "
        "--output type=image,push=true,oci-mediatypes=false, or set spec.model.copy, which converts it"
    )


BUILD_AGAIN: Final = (
    "delete the image in ECR and change the annotation " + RECONCILE_AT_ANNOTATION + " to build it again"
)
"""For an image that a builder pushed, which was not told to push another kind of manifest."""


def judged(scan: ScanState, policy: ScanPolicy) -> ImageState | None:
    """Why a class does not serve an image with ECR's findings; None if it does."""
    match scan.status:
        case ScanStatus.RUNNING:
            return ImageState(problem=ImageProblem.SCANNING, message="ECR is scanning the image for vulnerabilities")
        case ScanStatus.NOT_SCANNED:
            message = "ECR has not scanned the image: enable scan on push for the repository, or start a scan"
            return ImageState(problem=ImageProblem.NOT_SCANNED, message=message)
        case ScanStatus.UNSUPPORTED:
            message = "ECR cannot scan this image, but the class requires a scan: use another base image"
            return ImageState(problem=ImageProblem.NOT_SCANNED, message=message)
        case ScanStatus.COMPLETE:
            return _vulnerable(scan, policy)


def _vulnerable(scan: ScanState, policy: ScanPolicy) -> ImageState | None:
    severe = [each.upper() for each in reversed(_ORDER[_ORDER.index(policy.severity) :])]
    ignored = frozenset(policy.ignored)
    forgiven = [severity for name, severity in scan.findings if name in ignored]
    counts = {severity: scan.counts.get(severity, 0) - forgiven.count(severity) for severity in severe}
    if not any(count > 0 for count in counts.values()):
        return None
    named = [f"{name} ({severity.lower()})" for name, severity in scan.findings if severity in severe]
    named = [each for each in named if each.split(" ")[0] not in ignored]
    totals = ", ".join(f"{count} {severity.lower()}" for severity, count in counts.items() if count > 0)
    worst = f": {', '.join(named[:_SHOWN])}" if named else ""
    remedy = "fix them and push again, or add them to spec.images.scan.ignored of the class"
    return ImageState(problem=ImageProblem.VULNERABLE, message=f"ECR found vulnerabilities ({totals}){worst}; {remedy}")
