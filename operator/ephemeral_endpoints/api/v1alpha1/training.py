"""Training: a model that is trained by the image of the commit, on data in S3."""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.duration import cel_is_duration, cel_seconds
from ephemeral_endpoints.api.v1alpha1.image_build import ImageBuild
from ephemeral_endpoints.api.v1alpha1.image_types import Image
from ephemeral_endpoints.api.v1alpha1.model_data import ConfigMapKeyRef
from ephemeral_endpoints.api.v1alpha1.packages import PackageGroup
from ephemeral_endpoints.api.v1alpha1.types import (
    Duration,
    InstanceType,
    InstanceTypeGlob,
    Integer,
    ModelDataPrefix,
    RoleArn,
    S3Prefix,
    between,
)

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html
_MOST_HYPERPARAMETERS: Final = 100
_MOST_INSTANCES: Final = 20
_LARGEST_VOLUME_GIB: Final = 16_384

# They travel as parameters of the pipeline, which takes shorter names and values than a training job does:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Parameter.html
_HYPERPARAMETER: Final = "[A-Za-z][A-Za-z0-9_-]{0,63}"
_VALUE_LENGTH: Final = 1024

PARAMETERS: Final = (
    "ImageUri",
    "ImageDigest",
    "DataS3Uri",
    "ArtifactsS3Uri",
    "RoleArn",
    "InstanceType",
    "InstanceCount",
    "VolumeSizeInGB",
    "MaxRuntimeInSeconds",
    "MinimumMetric",
    "ModelPackageGroupName",
    "ModelApprovalStatus",
    "Repository",
    "PullRequest",
    "Revision",
    "DataRevision",
)
"""The parameters that the operator gives to a pipeline beside the hyperparameters."""

PREVIEWS: Final = "-previews"
"""What follows the name of a group for the packages of pull requests."""

JobTime = Annotated[
    Duration,
    between(
        timedelta(minutes=1), timedelta(days=5), "must be between 1m and 5d: SageMaker ends every job after 5 days"
    ),
]

Hyperparameters = Annotated[
    Mapping[str, Annotated[str, Field(max_length=_VALUE_LENGTH)]],
    Field(max_length=_MOST_HYPERPARAMETERS),
    Rule(
        cel=f"self.all(name, name.matches('^{_HYPERPARAMETER}$'))",
        message="names must be at most 64 letters, digits, '_' and '-', and begin with a letter: they are names of "
        "parameters of the pipeline",
        holds=lambda values: all(re.fullmatch(_HYPERPARAMETER, name) for name in values),
    ),
    Rule(
        cel=f"!self.exists(name, name in {list(PARAMETERS)!r})",
        message=f"must not set {', '.join(PARAMETERS)}: the operator gives these parameters to the pipeline",
        holds=lambda values: values.keys().isdisjoint(PARAMETERS),
    ),
    Rule(
        cel="self.all(name, self[name] != '')",
        message="values must not be empty: the pipeline takes no empty parameters",
        holds=lambda values: all(values.values()),
    ),
]

_LONGEST_GROUP: Final = 63 - len(PREVIEWS)

TrainedGroup = Annotated[
    PackageGroup,
    Rule(
        cel=f"size(self) <= {_LONGEST_GROUP}",
        message=f"must be at most {_LONGEST_GROUP} characters: {PREVIEWS} follows it for pull requests",
        holds=lambda name: len(name) <= _LONGEST_GROUP,
    ),
]

MetricPath = Annotated[
    str,
    Field(max_length=256),
    matches(
        r"[A-Za-z_][A-Za-z0-9_-]*([.][A-Za-z_][A-Za-z0-9_-]*)*",
        "must be the path of a number in evaluation.json: names separated by '.', such as "
        "multiclass_classification_metrics.accuracy.value",
    ),
]

Decimal = Annotated[
    str,
    Field(max_length=20),
    matches("-?[0-9]{1,9}([.][0-9]{1,9})?", "must be a decimal number in quotes, such as '0.8'"),
]

DataRevision = Annotated[
    str,
    Field(max_length=128),
    matches("[A-Za-z0-9][A-Za-z0-9._:+-]*", "must be letters, digits and '._:+-', such as 2026-11-28"),
]


class TrainingImage(ApiModel):
    """The image that trains and serves."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.build) != has(self.uri)",
            message="set exactly one of build (built from the commit) and uri (pushed to ECR by your pipeline)",
            holds=lambda image: (image.build is None) != (image.uri is None),
        ),
    )

    build: ImageBuild | None = None
    """How the image is built from the commit, if the class builds images."""

    uri: Image | None = None
    """Image in Amazon ECR, with a tag or a digest: <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>."""


class TrainingData(ApiModel):
    """The data that the model is trained on."""

    s3_uri: ModelDataPrefix
    """S3 URL of a folder, s3://<bucket>/<prefix>/ with a / at the end, in the region of the class, below one that the
    class allows."""

    revision: DataRevision
    """What tells this data from earlier data in the same folder, such as a date, at most 128 characters. Another one
    trains again, although nothing else has changed."""


class Spot(ApiModel):
    """Training on spot instances, which AWS may take away: checkpoints in /opt/ml/checkpoints survive that."""

    max_wait: JobTime
    """How long the training may take with its waits for instances, at least maxRuntime and at most 5d."""


class TrainingResources(ApiModel):
    """What the training runs on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            # A malformed duration has its own rule and message.
            cel=f"!has(self.spot) || [self.spot.maxWait, self.maxRuntime].exists(each, !{cel_is_duration('each')})"
            f" || {cel_seconds('self.spot.maxWait')} >= {cel_seconds('self.maxRuntime')}",
            message="spot.maxWait must not be shorter than maxRuntime, which it includes",
            holds=lambda resources: resources.spot is None or resources.spot.max_wait >= resources.max_runtime,
        ),
    )

    instance_type: InstanceType
    """Instance type of the jobs, such as ml.m5.large, that the class allows."""

    count: Annotated[Integer, Field(ge=1, le=_MOST_INSTANCES)] = 1
    """Number of instances that train, 1 to 20; the other steps run on one. Default 1."""

    volume_gib: Annotated[Integer, Field(ge=1, le=_LARGEST_VOLUME_GIB, alias="volumeGiB")] = 10
    """Size of the volume of each instance in GiB, 1 to 16384. Default 10."""

    max_runtime: JobTime = timedelta(minutes=30)
    """The longest that each job may run, 1m to 5d; then SageMaker stops it, and the training has failed. Default
    30m."""

    spot: Spot | None = None
    """Training on spot instances. Absent: on demand."""


class TrainingPipeline(ApiModel):
    """A pipeline of your own."""

    config_map_ref: ConfigMapKeyRef
    """The definition as JSON, such as the SageMaker Python SDK writes it: a key of a ConfigMap in the object's
    namespace. Its steps may be Processing, Training, Condition, Fail and RegisterModel; its roles, instance types and
    numbers of instances must be those of the class or the parameters RoleArn, InstanceType and InstanceCount."""


class Gate(ApiModel):
    """What a trained model must reach to be registered."""

    metric: MetricPath
    """Path of the number in evaluation.json, such as multiclass_classification_metrics.accuracy.value."""

    at_least: Decimal
    """The least value that is registered, a decimal number in quotes, such as "0.8"."""


class InitialApproval(StrEnum):
    """The approval status of a new model package."""

    PENDING = "PendingManualApproval"
    APPROVED = "Approved"


class Registration(ApiModel):
    """How the trained model is registered."""

    group: TrainedGroup
    """Name of the model package group, at most 54 characters, that the class allows in packages.groups. Packages of
    pull requests go to the group <group>-previews."""

    approval: InitialApproval = InitialApproval.PENDING
    """Status of the new package: PendingManualApproval, or Approved. Default PendingManualApproval."""


class OnGateFailure(StrEnum):
    """What becomes of an earlier model where the gate refuses the new one."""

    KEEP_SERVING = "KeepServing"
    FAIL = "Fail"


class Training(ApiModel):
    """How the model is trained."""

    image: TrainingImage
    """The image that trains and serves. It is run with the arguments preprocess, train, evaluate and serve."""

    data: TrainingData
    """The data that the model is trained on."""

    hyperparameters: Hyperparameters = Field(default_factory=dict)
    """Hyperparameters, at most 100: names of at most 64 characters, values of at most 1024. Everyone who may describe
    the training job in SageMaker can read them: no secrets."""

    resources: TrainingResources
    """What the training runs on."""

    pipeline: TrainingPipeline | None = None
    """A pipeline of your own. Absent: the steps preprocess, train, evaluate, the gate, and the registration."""

    gate: Gate
    """What a trained model must reach to be registered."""

    register_: Annotated[Registration, Field(alias="register")]
    """How the trained model is registered."""

    on_gate_failure: OnGateFailure = OnGateFailure.KEEP_SERVING
    """What happens to the model that serves where the gate refuses the new one. KeepServing: it goes on. Fail: its
    endpoint is deleted. Default KeepServing."""


class TrainingPolicy(ApiModel):
    """Whether and how objects train models."""

    execution_role_arn: RoleArn
    """ARN of the role of pipelines and their jobs, in the account of the class's other roles."""

    artifacts: S3Prefix
    """S3 URL of the folder that everything is written below that the jobs produce: s3://<bucket>/<prefix>."""

    instance_types: Annotated[tuple[InstanceTypeGlob, ...], Field(min_length=1, max_length=100)]
    """Allowed instance types of jobs, 1 to 100, as patterns in which * stands for any characters and ? for one:
    ml.m5.*."""

    data: Annotated[tuple[S3Prefix, ...], Field(min_length=1, max_length=100)]
    """S3 URLs of the folders that data may come from, 1 to 100: s3://<bucket>/<prefix>."""

    max_count: Annotated[Integer, Field(ge=1, le=_MOST_INSTANCES)] = 1
    """Maximum number of instances of a training job, 1 to 20. Default 1."""

    max_volume_gib: Annotated[Integer, Field(ge=1, le=_LARGEST_VOLUME_GIB, alias="maxVolumeGiB")] = 100
    """Largest volume of an instance in GiB, 1 to 16384. Default 100."""

    max_runtime: JobTime = timedelta(hours=1)
    """The longest that any job may run or wait for spot instances, 1m to 5d. Default 1h."""


class TrainedStep(ApiModel):
    """A step of a training."""

    model_config = TOLERANT

    name: str
    """Name of the step in the pipeline."""

    status: str
    """Status of the step in SageMaker, or Cached."""

    job_arn: str | None = None
    """ARN of the step's job."""

    message: str | None = None
    """Why the step failed."""


class TrainingStatus(ApiModel):
    """The last training."""

    model_config = TOLERANT

    pipeline: str
    """Name of the pipeline in SageMaker."""

    execution_arn: str
    """ARN of the pipeline's execution."""

    revision: str
    """The Git commit that the training was started for; later ones that train the same share it."""

    content: str
    """Digest of what is trained: image, data, hyperparameters, resources, gate and pipeline."""

    steps: tuple[TrainedStep, ...] = ()
    """The steps that have started."""

    metric: float | None = None
    """Value of the metric of the gate."""

    package: str | None = None
    """ARN of the registered model package."""
