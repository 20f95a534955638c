"""The reasons of the condition ``Approved``."""

from typing import Final

from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup

APPROVED_CONDITION: Final = "Approved"
"""The type of the condition."""

REASONS: Final = ReasonGroup(APPROVED_CONDITION)

APPROVED: Final = REASONS.normal("Approved", meaning="The version of `spec.model.package` is approved in the registry.")
WAITING_FOR_APPROVAL: Final = REASONS.for_author(
    "WaitingForApproval",
    finality=Finality.RECOVERABLE,
    meaning="Nobody has approved the version yet. An object that names it serves its image and its data all the same, "
    "unless the class has `packages.allowUnapproved: false`.",
    remedy="approve it with `eep model approve <group>/<version>`; the operator notices within minutes",
)
NO_APPROVED_VERSION: Final = REASONS.for_author(
    "NoApprovedVersion",
    finality=Finality.RECOVERABLE,
    meaning="The group has no approved version, and `spec.model.package` names none.",
    remedy="approve a version with `eep model approve <group>/<version>`, or name one in `spec.model.package.version`",
)
REJECTED: Final = REASONS.for_author(
    "Rejected",
    meaning="The version was rejected in the registry, so that it is not served. What was served before still is.",
    remedy="name another version in `spec.model.package`, or approve this one",
)
REJECTED_BUT_SERVING: Final = REASONS.for_author(
    "RejectedButServing",
    finality=Finality.RECOVERABLE,
    meaning="The version was rejected after the object had begun to serve it, and no other one is approved. It is "
    "served on: a rejection never takes an endpoint down.",
    remedy="name another version in `spec.model.package`, or approve one; delete the object if nothing may be served",
)
NOT_ALLOWED: Final = REASONS.for_author(
    "PackageNotAllowed",
    meaning="The class does not allow packages of this group, or of another region than its own.",
    remedy="use a group that the message names, or ask the platform team to add yours to `spec.packages.groups` of the "
    "class",
)
NOT_FOUND: Final = REASONS.for_author(
    "PackageNotFound",
    finality=Finality.RECOVERABLE,
    meaning="The registry has no such version or group. An endpoint that serves it already stays.",
    remedy="correct `spec.model.package`, or register the version; the operator looks again within 5 minutes",
)
PENDING: Final = REASONS.transient("PackagePending", meaning="SageMaker is still registering the version.")
FAILED: Final = REASONS.for_author(
    "PackageFailed",
    meaning="SageMaker could not register the version; its validation or the scan of its image failed.",
    remedy="register it again, and name the new version",
)
UNUSABLE: Final = REASONS.for_author(
    "PackageUnusable",
    meaning="The version has several containers, no image in ECR with a digest, or data that the endpoint cannot have.",
    remedy="register a version with one container, whose image is in ECR, and whose data is an archive in S3; a folder "
    "needs `spec.serving.instances`",
)
