"""The reasons of the condition ``Compared``."""

from typing import Final

from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup

COMPARED: Final = "Compared"
"""The type of the condition."""

REASONS: Final = ReasonGroup(COMPARED)

NO_DIFFERENCE: Final = REASONS.normal(
    "NoDifference", meaning="The model answers all requests of the comparison as its base does."
)
ANSWERS_CHANGED: Final = REASONS.normal(
    "AnswersChanged",
    meaning="The model answers some requests differently than its base. The message has the figures, "
    "`status.comparison` the worst differences, and `eep compare NAME --all` all of them.",
)
FIRST_REVISION: Final = REASONS.normal(
    "FirstRevision",
    meaning="Of no previous revision were answers to these requests kept. Those of this one are, for the next.",
)
COMPARING: Final = REASONS.transient(
    "Comparing", meaning="The requests are being sent to both models, or will be as soon as other comparisons are over."
)
COMPARISON_WAITS: Final = REASONS.transient(
    "ComparisonWaits", meaning="The comparison begins when this object is Ready, or shortly after its base has changed."
)
BASE_NOT_FOUND: Final = REASONS.for_author(
    "BaseNotFound",
    finality=Finality.RECOVERABLE,
    meaning="There is no object of the name that `spec.compare.with.endpoint` has, in the namespace of this object, or "
    "it is being deleted or has expired.",
    remedy="create it, or name another one; the comparison begins when it is Ready",
)
BASE_NOT_READY: Final = REASONS.for_author(
    "BaseNotReady",
    finality=Finality.TRANSIENT,
    meaning="The base is not Ready with its current spec, or is suspended.",
    remedy="see the conditions of the base; the comparison begins when it is Ready",
)
COMPARISON_REFUSED: Final = REASONS.for_author(
    "ComparisonRefused",
    meaning="The class has no place for reports, which a comparison with the previous revision needs, or does not "
    "allow the recorded requests; or the base can be compared with nothing.",
    remedy="choose what the message says, or ask the platform team to allow yours in `comparisons` of the class",
)
RECORDINGS_UNAVAILABLE: Final = REASONS.for_platform(
    "RecordingsUnavailable",
    meaning="Recorded requests, or the report of the previous revision, cannot be read from S3. The message quotes "
    "its answer.",
    remedy="compare the operator's role with the [policies](iam.md), and read the policy of the bucket; the operator "
    "tries again within five minutes",
)
NOTHING_COMPARED: Final = REASONS.for_author(
    "NothingCompared",
    finality=Finality.RECOVERABLE,
    meaning="No request was answered by both models.",
    remedy="see which of the two fails, and why: `eep compare NAME`, `eep logs NAME`. A new revision is compared by "
    "itself; the annotation `ephemeral-endpoints.io/compare-at` compares again",
)
