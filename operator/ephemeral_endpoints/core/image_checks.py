"""Whether an image that is there can be served, and may be."""

from typing import Final

from ephemeral_endpoints.api.image_policy import ScanPolicy, Severity
from ephemeral_endpoints.api.model import Platform
from ephemeral_endpoints.core.images import ImageProblem, ImageState, ScanState, ScanStatus

# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-containers
SERVERLESS_BYTES: Final = 10 * 1000**3
_SHOWN: Final = 5
_ORDER: Final = tuple(Severity)


def unfit(state: ImageState, *, platform: Platform, is_serverless: bool) -> ImageState | None:
    """Why SageMaker cannot run an image on that platform, as far as its manifest tells; None if it can.

    A manifest tells the compressed size: an image that is too large by that is too large in any case.
    """
    facts = state.facts
    if facts is None:
        return None
    if facts.platforms and platform not in facts.platforms:
        message = f"the image is for {', '.join(facts.platforms)}, but it is served on {platform}"
        return ImageState(problem=ImageProblem.OTHER_PLATFORM, message=message)
    if is_serverless and facts.size_bytes is not None and facts.size_bytes > SERVERLESS_BYTES:
        size = f"{facts.size_bytes / 1000**3:.1f} GB"
        message = f"the image has {size} compressed, and a serverless endpoint takes 10 GB: use spec.serving.instances"
        return ImageState(problem=ImageProblem.TOO_LARGE, message=message)
    return None


def judged(scan: ScanState, policy: ScanPolicy) -> ImageState | None:
    """Why a class does not serve an image by what ECR found in it; None if it does."""
    match scan.status:
        case ScanStatus.RUNNING:
            return ImageState(problem=ImageProblem.SCANNING, message="ECR looks for vulnerabilities in the image")
        case ScanStatus.NOT_SCANNED:
            message = "ECR has not scanned the image: turn on scans for its repository, or scan it by hand"
            return ImageState(problem=ImageProblem.NOT_SCANNED, message=message)
        case ScanStatus.UNSUPPORTED:
            message = "ECR cannot scan such an image, and the class asks for scans: use another base image"
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
    told = ", ".join(f"{count} {severity.lower()}" for severity, count in counts.items() if count > 0)
    worst = f": {', '.join(named[:_SHOWN])}" if named else ""
    remedy = "fix them and push again, or let the class ignore them (spec.images.scan)"
    return ImageState(problem=ImageProblem.VULNERABLE, message=f"the image has {told} findings{worst}; {remedy}")
