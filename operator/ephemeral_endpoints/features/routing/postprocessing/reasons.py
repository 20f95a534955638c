"""The reasons of the condition ``Postprocessed``."""

from typing import Final

from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup

POSTPROCESSED: Final = "Postprocessed"
"""The type of the condition."""

REASONS: Final = ReasonGroup(POSTPROCESSED)

POSTPROCESSING: Final = REASONS.normal(
    "Postprocessing", meaning="Answers are passed to the second model that `spec.api.postprocess` names."
)
POSTPROCESS_NOT_FOUND: Final = REASONS.for_author(
    "PostprocessNotFound",
    finality=Finality.RECOVERABLE,
    meaning="There is no object of the name that `spec.api.postprocess.endpoint` has, in the namespace of this object, "
    "or it is being deleted or has expired. Callers get a problem beside each answer.",
    remedy="create it, or name another one",
)
POSTPROCESS_NOT_READY: Final = REASONS.for_author(
    "PostprocessNotReady",
    finality=Finality.TRANSIENT,
    meaning="The object that `spec.api.postprocess.endpoint` names is not Ready, or asleep. Its model is invoked all "
    "the same; callers get a problem beside the answers that it does not answer.",
    remedy="see the conditions of that object",
)
POSTPROCESS_REFUSED: Final = REASONS.for_author(
    "PostprocessRefused",
    finality=Finality.RECOVERABLE,
    meaning="The second model must not be invoked: the class does not list the SageMaker endpoint, or the object is of "
    "another class, is asynchronous, or needs a token while this one needs none. Callers get a problem beside each "
    "answer.",
    remedy="name another model in `spec.api.postprocess`, or change what the message says",
)
