"""The reasons of the condition ``ImageReady``."""

from enum import Enum
from typing import Final

from ephemeral_endpoints.engine.reasons import Finality, Reason, ReasonGroup

IMAGE_READY: Final = "ImageReady"
"""The type of the condition."""

REASONS: Final = ReasonGroup(IMAGE_READY)

PINNED: Final = REASONS.normal("Pinned", meaning="The image is in ECR and pinned to a digest.")
NOT_LOOKED_UP: Final = REASONS.transient("NotLookedUp", meaning="The operator has not looked the image up yet.")


class ImageProblem(Enum):
    """Why an image cannot be served."""

    NOT_FOUND = REASONS.for_author(
        "ImageNotFound",
        finality=Finality.RECOVERABLE,
        meaning="The image does not exist in ECR.",
        remedy="push the image; the operator looks for it every 2 to 30 s",
    )
    OTHER_REGION = REASONS.for_author(
        "ImageInOtherRegion",
        meaning="The image is in another region. SageMaker pulls images from its own region only.",
        remedy="push the image to the class's region, or use `spec.model.copy`",
    )
    NOT_ALLOWED = REASONS.for_author(
        "RepositoryNotAllowed",
        meaning="The class does not allow images from this repository.",
        remedy="use a repository that the message names, or ask the platform team to allow yours (`spec.images` of the "
        "class)",
    )
    NOT_BUILT = REASONS.for_author(
        "BuildsNotAllowed",
        meaning="The class does not build images, does not build images of this fork, does not have the build secret, "
        "does not allow a build argument, or builds in Jobs, which cannot fetch the commit from AWS CodeCommit or "
        "Azure DevOps.",
        remedy="follow the message, or ask the platform team to allow the build (`spec.builds` of the class)",
    )
    UNAPPROVED = REASONS.for_author(
        "ApprovalRequired",
        finality=Finality.RECOVERABLE,
        meaning="The commit comes from a fork, or the class requires an approval for every commit, and what is built "
        "is not approved: no approval was given, or the commit or `spec.model` has changed since.",
        remedy="ask a person who may approve objects to review and [approve](approvals.md) the build",
    )
    QUEUED = REASONS.transient(
        "BuildQueued", meaning="The build waits for earlier builds, or for the repository of the class."
    )
    BUILDING = REASONS.transient("Building", meaning="The image is being built. The message names the step.")
    RETRIED = REASONS.for_author(
        "BuildRetrying",
        finality=Finality.TRANSIENT,
        meaning="The builder failed, not the commit. The operator tries it up to three times.",
        remedy="if it happens often, show the platform team the cause that the message has",
    )
    FAILED = REASONS.for_author(
        "BuildFailed",
        meaning="The commit does not build, or the builder failed three times. The message has the last lines of the "
        "log.",
        remedy="fix the commit and push again; if the builder failed, ask the platform team to repair it, and change "
        "the annotation `ephemeral-endpoints.io/reconcile-at` to build again",
    )
    TIMED_OUT = REASONS.for_author(
        "BuildTimedOut",
        meaning="The build took longer than `spec.builds.timeout` of the class allows.",
        remedy="make the build faster and push again; or ask the platform team to raise the timeout, and change the "
        "annotation `ephemeral-endpoints.io/reconcile-at` to build again",
    )
    REPLACED = REASONS.for_platform(
        "ImageReplaced",
        finality=Finality.RECOVERABLE,
        meaning="The image in ECR is not the one that the build pushed: another client has pushed to the same tag, or "
        "deleted the image and pushed another one.",
        remedy="find out who pushes to the repository of the class, and revoke that permission; then delete the "
        "image, and the operator builds it again",
    )
    TOO_LARGE = REASONS.for_author(
        "ImageTooLarge",
        meaning="The image is larger than the 10 GB that serverless endpoints accept.",
        remedy="make the image smaller, or use `spec.serving.instances`",
    )
    OTHER_PLATFORM = REASONS.for_author(
        "ImageForOtherPlatform",
        meaning="The image is built for another processor architecture than the endpoint runs on.",
        remedy="build it for `linux/arm64` for Graviton instances, otherwise for `linux/amd64`",
    )
    MANIFEST = REASONS.for_author(
        "ManifestNotSupported",
        meaning="The image's manifest is of a kind that SageMaker refuses: an index (as of several platforms, or with "
        "attestations), or one of OCI's media types.",
        remedy="push it with `docker buildx build --provenance=false --sbom=false --output "
        "type=image,push=true,oci-mediatypes=false`, or use `spec.model.copy`",
    )
    NO_ENTRYPOINT = REASONS.for_author(
        "EntrypointMissing",
        meaning="SageMaker runs `docker run <image> serve`, which replaces `CMD`, and the image has neither an "
        "`ENTRYPOINT` nor an executable named `serve`.",
        remedy="add the `ENTRYPOINT` that the message names to the Dockerfile",
    )
    SCANNING = REASONS.transient(
        "Scanning", meaning="ECR is scanning the image for vulnerabilities, as the class requires."
    )
    NOT_SCANNED = REASONS.for_author(
        "NotScanned",
        finality=Finality.RECOVERABLE,
        meaning="The class requires a scan, but ECR has not scanned the image, or cannot.",
        remedy="enable scan on push for the repository, or use another base image",
    )
    VULNERABLE = REASONS.for_author(
        "Vulnerable",
        meaning="The image has vulnerabilities of a severity that the class does not allow. The message names the "
        "worst.",
        remedy="fix them and push again, or ask the platform team to ignore them (`spec.images.scan` of the class)",
    )

    @property
    def reason(self) -> Reason:
        """The reason of the condition."""
        return self.value

    @property
    def is_terminal(self) -> bool:
        """Whether only a change of the object, its class or the image itself can help."""
        return self.reason.is_permanent

    @property
    def is_notified(self) -> bool:
        """Whether the operator is notified of a change: of the object, of its class, or of a build."""
        return self in _NOTIFIED


_NOTIFIED: Final = frozenset(
    {
        ImageProblem.NOT_BUILT,
        ImageProblem.UNAPPROVED,
        ImageProblem.QUEUED,
        ImageProblem.BUILDING,
        ImageProblem.RETRIED,
        ImageProblem.FAILED,
        ImageProblem.TIMED_OUT,
    }
)
