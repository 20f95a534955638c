"""Training: pipelines, their executions, and the packages that these register."""

from typing import Final

from ephemeral_endpoints.features.feature import Feature
from ephemeral_endpoints.features.training import iam
from ephemeral_endpoints.iam.statement import actions

ACTIONS: Final = frozenset(
    {
        *actions(
            "sagemaker",
            "AddTags",
            "CreateModelPackageGroup",
            "CreatePipeline",
            "DeletePipeline",
            "DescribeModelPackage",
            "DescribePipeline",
            "DescribeProcessingJob",
            "ListPipelineExecutionSteps",
            "ListPipelineExecutions",
            "ListPipelineVersions",
            "ListPipelines",
            "ListProcessingJobs",
            "ListTags",
            "StartPipelineExecution",
            "StopPipelineExecution",
            "UpdatePipeline",
        ),
        *actions("logs", "DescribeLogStreams", "GetLogEvents"),
        *actions("s3", "DeleteObject", "GetObject", "ListBucket"),
        "iam:PassRole",
    }
)
"""The IAM actions that ``pipelines`` and ``artifacts`` need, and the sweep of pipelines."""

TRAINING: Final = Feature(
    name="training", policy="operator-data", shared_actions=ACTIONS, shared_statements=iam.TRAINING
)
