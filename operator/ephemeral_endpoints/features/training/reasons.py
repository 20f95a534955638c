"""The reasons of the conditions ``Trained`` and ``ModelRegistered``."""

from typing import Final, Self

from ephemeral_endpoints.engine.errors import Invalid, ReconcileError
from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup

TRAINED: Final = "Trained"
MODEL_REGISTERED: Final = "ModelRegistered"
"""The types of the conditions."""

REASONS: Final = ReasonGroup(TRAINED)

_AGAIN: Final = "change the annotation `ephemeral-endpoints.io/reconcile-at` to train again"

SUCCEEDED: Final = REASONS.normal("TrainingSucceeded", meaning="The model is trained, and has passed the gate.")
CACHED: Final = REASONS.normal(
    "TrainingCached",
    meaning="The same code was trained on the same data before, with the same hyperparameters: SageMaker has taken "
    "its results. The model has passed the gate.",
)
WAITING: Final = REASONS.transient(
    "TrainingWaiting",
    meaning="The training starts once the image is ready, and built commits are approved if they must be.",
    remedy="see `ImageReady`",
)
STARTING: Final = REASONS.transient("TrainingStarting", meaning="The operator is starting the pipeline.")
RUNNING: Final = REASONS.transient(
    "TrainingRunning", meaning="The pipeline is running. The message has its steps; what serves goes on serving."
)
STOPPING: Final = REASONS.transient(
    "TrainingStopping", meaning="SageMaker is stopping the pipeline, which gives its jobs two minutes to end."
)
STOPPED: Final = REASONS.for_author(
    "TrainingStopped", meaning="Somebody has stopped the pipeline.", remedy=f"push another commit, or {_AGAIN}"
)
GATE_FAILED: Final = REASONS.for_author(
    "GateFailed",
    meaning="The model is trained, but its metric is below `spec.model.training.gate.atLeast`, so that it is not "
    "registered. An earlier model goes on serving, unless `onGateFailure` is `Fail`.",
    remedy="improve the model and push again, or lower the bound",
)
METRIC_MISSING: Final = REASONS.for_author(
    "MetricMissing",
    meaning="The gate could not be decided: `evaluation.json` is missing, is no JSON, or has no number at "
    "`spec.model.training.gate.metric`, such as NaN.",
    remedy="have `evaluate` write the number to `/opt/ml/processing/evaluation/evaluation.json`, and push again",
)
JOB_FAILED: Final = REASONS.for_author(
    "JobFailed",
    meaning="A job of the pipeline failed. The message has SageMaker's reason and the last lines of the job's log.",
    remedy=f"fix what the message names and push again; if AWS was the cause, {_AGAIN}",
)
DATA_NOT_FOUND: Final = REASONS.for_author(
    "DataNotFound",
    meaning="There is nothing in S3 where a job reads its data.",
    remedy=f"upload the data, or correct `spec.model.training.data`, and {_AGAIN}",
)
DATA_DENIED: Final = REASONS.for_platform(
    "DataDenied",
    finality=Finality.PERMANENT,
    meaning="The role of the jobs may not read the data, or may not write what they produce.",
    remedy=f"grant the access to `spec.training.executionRoleArn` of the class, and {_AGAIN}",
)
PIPELINE_FAILED: Final = REASONS.for_author(
    "PipelineFailed",
    meaning="The pipeline failed, and none of its jobs did. The message has SageMaker's reason.",
    remedy=f"fix what the message names and push again; if AWS was the cause, {_AGAIN}",
)

REGISTERED: Final = REASONS.normal(
    "Registered", MODEL_REGISTERED, meaning="The model is a package of the group that the message names."
)
NOT_REGISTERED: Final = REASONS.transient(
    "NotRegisteredYet", MODEL_REGISTERED, meaning="The model is registered once it is trained.", remedy="see `Trained`"
)
NOTHING_REGISTERED: Final = REASONS.for_author(
    "NothingRegistered",
    MODEL_REGISTERED,
    meaning="The pipeline has succeeded, but has registered no package that can be served: none at all, one of "
    "another image, or one that is gone.",
    remedy="have the pipeline register a package with the image `Parameters.ImageUri` in the group "
    f"`Parameters.ModelPackageGroupName`, or {_AGAIN}",
)


class DefinitionInvalid(ReconcileError):
    """The definition of a pipeline in a ConfigMap cannot be used. Only a change of it can help."""

    reason = REASONS.for_author(
        "DefinitionInvalid",
        finality=Finality.RECOVERABLE,
        meaning="The ConfigMap that `spec.model.training.pipeline` names, or its key, does not exist, or holds no "
        "definition that the class allows and SageMaker takes.",
        remedy="create or correct the ConfigMap; the operator then starts the training",
    )

    @classmethod
    def by_sagemaker(cls, place: str, error: Invalid) -> Self:
        """SageMaker refuses the definition at a place."""
        return cls(f"SageMaker refuses {place}: {error}")
