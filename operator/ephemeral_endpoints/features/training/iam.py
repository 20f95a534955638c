"""What the operator does in SageMaker Pipelines and with what these leave behind, and what the jobs of a class may do.

References: "Actions, resources, and condition keys for" Amazon SageMaker
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html); for the role of
pipelines and jobs https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-access.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateTrainingJob and CreateProcessingJob APIs).
"""

from typing import Final

from ephemeral_endpoints.features.training.artifacts import NAMES
from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn, pass_role
from ephemeral_endpoints.iam.statement import Conditions, Statement

_PIPELINES: Final = (arn("sagemaker", f"pipeline/{OURS}"),)
_GROUPS: Final = (arn("sagemaker", "model-package-group/${PackageGroups}"),)
_PACKAGES: Final = (arn("sagemaker", "model-package/${PackageGroups}/*"),)
_JOBS: Final = tuple(arn("sagemaker", f"{kind}/pipelines-*") for kind in ("processing-job", "training-job"))
_JOB_LOGS: Final = tuple(arn("logs", f"log-group:/aws/sagemaker/{kind}Jobs*") for kind in ("Processing", "Training"))
_ARTIFACTS: Final = arn("s3", "${ArtifactsBucket}", at=":")
_DATA: Final = arn("s3", "${TrainingDataBucket}", at=":")


def _created_by(*operations: str) -> Conditions:
    return {**IS_NEW, "StringEquals": {**IS_NEW["StringEquals"], "sagemaker:TaggingAction": operations}}


TRAINING: Final = (
    Statement(
        "CreatePipelines",
        ("sagemaker:CreatePipeline",),
        _PIPELINES,
        "One pipeline for each model of a class.",
        IS_NEW,
    ),
    Statement(
        "CreatePackageGroups",
        ("sagemaker:CreateModelPackageGroup",),
        _GROUPS,
        "Those that classes allow and that nobody has made.",
        IS_NEW,
    ),
    Statement(
        "TagNewTraining",
        ("sagemaker:AddTags",),
        (*_PIPELINES, *_GROUPS),
        "Creating a resource with tags requires tagging; sagemaker:TaggingAction limits it to creations.",
        _created_by("CreatePipeline", "CreateModelPackageGroup"),
    ),
    Statement(
        "ReadPipelines",
        ("sagemaker:DescribePipeline", "sagemaker:ListPipelineVersions", "sagemaker:ListTags"),
        _PIPELINES,
        "The present definition, its version, and the owner tags.",
    ),
    Statement(
        "UsePipelines",
        (
            "sagemaker:DeletePipeline",
            "sagemaker:ListPipelineExecutions",
            "sagemaker:StartPipelineExecution",
            "sagemaker:UpdatePipeline",
        ),
        _PIPELINES,
        "Executions, versions of definitions, and the end of pipelines whose class is gone.",
        IS_OURS,
    ),
    Statement(
        "ListPipelines",
        ("sagemaker:ListPipelines",),
        ("*",),
        "The sweeps find those that run for objects that are gone, and those of classes that are gone. The action "
        "supports no resource types.",
    ),
    Statement(
        "FollowExecutions",
        ("sagemaker:ListPipelineExecutionSteps", "sagemaker:StopPipelineExecution"),
        (arn("sagemaker", f"pipeline/{OURS}/execution/*"),),
        "Executions carry no tags; their ARNs begin with those of our pipelines.",
    ),
    Statement(
        "ReadTrainedModels",
        ("sagemaker:DescribeProcessingJob",),
        (_JOBS[0],),
        "Where the figures are of a model that a pipeline does not register.",
    ),
    Statement(
        "ListJobs",
        ("sagemaker:ListProcessingJobs",),
        ("*",),
        "The name of that job, of which its ARN may have another case. The action supports no resource types.",
    ),
    Statement(
        "ReadJobLogs",
        ("logs:DescribeLogStreams", "logs:GetLogEvents"),
        _JOB_LOGS,
        "The last lines of a job that failed. All jobs of an account share two log groups.",
    ),
    Statement(
        "ReadFigures",
        ("s3:GetObject",),
        (f"{_ARTIFACTS}/${{ArtifactsPrefix}}/*",),
        "The figures of a trained model.",
    ),
    Statement(
        "ListFigures",
        ("s3:ListBucket",),
        (_ARTIFACTS,),
        "S3 reports missing figures only to callers that may list.",
    ),
    Statement(
        "DeleteArtifacts",
        ("s3:DeleteObject",),
        tuple(f"{_ARTIFACTS}/${{ArtifactsPrefix}}/*/{name}" for name in NAMES),
        "The models and figures of the packages of pull requests go with these.",
    ),
    pass_role("PassTrainingRole", "TrainingRole", "sagemaker", "Pipelines and their jobs run with this role."),
)

JOBS: Final = (
    Statement(
        "RunJobs",
        (
            "sagemaker:AddTags",
            "sagemaker:CreateProcessingJob",
            "sagemaker:CreateTrainingJob",
            "sagemaker:DescribeProcessingJob",
            "sagemaker:DescribeTrainingJob",
            "sagemaker:StopProcessingJob",
            "sagemaker:StopTrainingJob",
        ),
        _JOBS,
        "The jobs of pipelines, which SageMaker names and tags.",
    ),
    pass_role("PassOwnRole", "TrainingRole", "sagemaker", "The pipeline hands its own role to its jobs."),
    Statement(
        "RegisterModels",
        ("sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup"),
        (*_GROUPS, *_PACKAGES),
        "Registration in the groups that the class allows.",
    ),
    Statement(
        "UseArtifacts",
        ("s3:GetObject", "s3:PutObject"),
        (f"{_ARTIFACTS}/${{ArtifactsPrefix}}/*",),
        "What the jobs produce, and checkpoints.",
    ),
    Statement("ReadTrainingData", ("s3:GetObject",), (f"{_DATA}/*",), "The data that models are trained on."),
    Statement("ListBuckets", ("s3:ListBucket",), (_ARTIFACTS, _DATA), "Jobs read folders."),
    Statement(
        "WriteJobLogs",
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        _JOB_LOGS,
        "The logs of jobs.",
    ),
    Statement(
        "PutJobMetrics",
        ("cloudwatch:PutMetricData",),
        ("*",),
        "The action supports no resource types; the namespaces are SageMaker's.",
        {
            "StringEquals": {
                "cloudwatch:namespace": ("/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"),
            }
        },
    ),
)
