"""The condition ``ImageReady``."""

from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate, Stage
from ephemeral_endpoints.features.images.reasons import IMAGE_READY, NOT_LOOKED_UP, PINNED
from ephemeral_endpoints.features.images.references import ImageState


def image_ready(image: ImageState | None) -> Stage:
    """Whether the images are known; ``image`` is None while one could not be looked up."""
    if image is None:
        cause = Cause(NOT_LOOKED_UP, "the operator has not looked the image up in ECR yet")
        return Stage(ConditionUpdate.of(IMAGE_READY, ConditionStatus.UNKNOWN, cause), is_precondition=True)
    if image.problem:
        cause = Cause(image.problem.reason, image.message)
        update = ConditionUpdate.of(IMAGE_READY, ConditionStatus.FALSE, cause)
        return Stage(update, cause if image.problem.is_terminal else None, is_precondition=True)
    cause = Cause(PINNED, f"pinned to {image.digest}")
    return Stage(ConditionUpdate.of(IMAGE_READY, ConditionStatus.TRUE, cause), is_precondition=True)
