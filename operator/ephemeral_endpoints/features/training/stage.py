"""The conditions ``Trained`` and ``ModelRegistered``."""

from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate, Stage
from ephemeral_endpoints.features.training.outcome import SUCCEEDED, Progress, cause_of
from ephemeral_endpoints.features.training.reasons import (
    MODEL_REGISTERED,
    NOT_REGISTERED,
    NOTHING_REGISTERED,
    REGISTERED,
    TRAINED,
)


def trained(progress: Progress | None) -> Stage | None:
    """Whether the model is trained and has passed the gate; None for an object that trains none."""
    if progress is None:
        return None
    cause = Cause.of(progress.error) if progress.error else cause_of(progress)
    is_done = progress.error is None and progress.run is not None and progress.run.status == SUCCEEDED
    status = ConditionStatus.TRUE if is_done else ConditionStatus.FALSE
    permanent = cause if cause.reason.is_permanent else None
    return Stage(ConditionUpdate.of(TRAINED, status, cause), permanent, is_precondition=True)


def model_registered(progress: Progress | None) -> Stage | None:
    """Whether the model is a package; None for an object that trains none."""
    if progress is None:
        return None
    if progress.package:
        cause = Cause(REGISTERED, f"the model is {progress.package.arn}")
        return Stage(ConditionUpdate.of(MODEL_REGISTERED, ConditionStatus.TRUE, cause), is_precondition=True)
    if progress.run is None or progress.run.status != SUCCEEDED or progress.error:
        cause = Cause(NOT_REGISTERED, "waiting for the training")
        return Stage(ConditionUpdate.of(MODEL_REGISTERED, ConditionStatus.FALSE, cause), is_precondition=True)
    cause = Cause(NOTHING_REGISTERED, "the pipeline has registered no package with the image of this commit")
    return Stage(ConditionUpdate.of(MODEL_REGISTERED, ConditionStatus.FALSE, cause), cause, is_precondition=True)
