"""Every call of a training fails in every way: each commit is trained once all the same, and nothing is left."""

from collections import Counter
from typing import Any

import pytest
from tests.controllers.environment import Environment
from tests.features.training.test_step import Lab
from tests.fixtures.faults import Trouble
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault
from eep_platform.chaos.fault_kinds import FaultKind
from ephemeral_endpoints.features.training import step

FIGURES = ("s3", "GetObject")
"""The read of what a model was evaluated with."""

FIRST = (
    FIGURES,
    *(
        ("sagemaker", each)
        for each in (
            "CreateModelPackageGroup",
            "CreatePipeline",
            "DescribeModelPackage",
            "DescribePipeline",
            "ListPipelineExecutionSteps",
            "ListPipelineExecutions",
            "ListPipelineVersions",
            "StartPipelineExecution",
        )
    ),
)
"""The calls of an object's first training, to the package that is served."""

NEXT = (
    FIGURES,
    *(
        ("sagemaker", each)
        for each in (
            "DescribeProcessingJob",
            "ListTags",
            "StartPipelineExecution",
            "StopPipelineExecution",
            "UpdatePipeline",
        )
    ),
)
"""Those of another operator that trains two commits: the first by another definition, the second in place of it."""

LAST = (("sagemaker", "ListPipelineExecutions"), ("sagemaker", "StopPipelineExecution"))
"""Those at the end of an object whose training runs."""


@pytest.fixture
async def lab(env: Environment, fresh_aws: Aws, untroubled: Any, monkeypatch: pytest.MonkeyPatch) -> Lab:  # noqa: ANN401 - a client
    monkeypatch.setattr(step, "POLL_SECONDS", (0.1, 0.1))
    lab = Lab(env, fresh_aws)
    lab.sagemaker = untroubled
    return lab


def started(lab: Lab) -> list[int]:
    """How many executions have begun by what they train."""
    return sorted(Counter(each["PipelineExecutionDisplayName"].rpartition("-")[0] for each in lab.runs()).values())


def outcomes(lab: Lab) -> list[str]:
    return [each["PipelineExecutionStatus"] for each in lab.runs()]


@pytest.mark.chaos
async def test_whatever_call_fails_each_commit_is_trained_once_and_nothing_is_left(lab: Lab, trouble: Trouble) -> None:
    # A metric that may not be read is unknown for good; the model is judged without.
    is_read = trouble.kind is not FaultKind.DENIED
    trouble.begin(FIRST)
    async with trouble.at_work():
        key = lab.make()
        await lab.finish(0.98)
        await trouble.all_hit()
        await lab.env.until(lambda: lab.env.is_up_to_date(key), "ready")
        await lab.env.until(lambda: lab.training(key).get("metric") == (0.98 if is_read else None), "its metric")
        assert started(lab) == [1]
    await lab.env.restart()
    lab.hold()
    # Without the job that has made the figures nobody knows where they are.
    trouble.begin(NEXT if is_read else [each for each in NEXT if each != FIGURES])
    async with trouble.at_work():
        lab.env.api.change(key, {"spec": {"model": {"training": {"hyperparameters": {"depth": "3"}}}}})
        lab.push(key, "2")
        await lab.evaluating(2)
        lab.hold()
        lab.push(key, "3")
        await lab.finish(0.61, number=3)
        await lab.trained(key, "GateFailed")
        await trouble.all_hit()
        await lab.env.until(lambda: lab.training(key).get("metric") == (0.61 if is_read else None), "its metric")
        await lab.env.until(lambda: outcomes(lab) == ["Succeeded", "Stopped", "Failed"], lambda: f"{outcomes(lab)}")
    lab.hold()
    trouble.begin(LAST)
    async with trouble.at_work():
        lab.push(key, "4")
        await lab.evaluating(4)
        lab.env.api.remove(key)
        await lab.env.until(lambda: key not in lab.env.api.kept, "gone")
        await trouble.all_hit()
    await lab.env.until(lambda: lab.runs()[-1]["PipelineExecutionStatus"] == "Stopped", "stopped")
    assert started(lab) == [1, 1, 1, 1]
    assert trouble.stalled <= {"GateFailed"}
    assert not lab.sagemaker.list_endpoints()["Endpoints"]
    assert not lab.sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert not lab.sagemaker.list_models()["Models"]


def lost(*operations: str) -> list[Fault]:
    return [Fault(service="sagemaker", operation=each, answer_lost=True, times=1) for each in operations]


async def test_an_execution_whose_start_got_no_answer_is_stopped_at_the_end(lab: Lab) -> None:
    lab.aws.control.add_faults(*lost("StartPipelineExecution"))
    key = lab.make()
    await lab.env.until(lambda: len(lab.runs()) == 1, "an execution")
    lab.env.api.remove(key)
    await lab.env.gone(key)
    await lab.env.until(lambda: lab.runs()[0]["PipelineExecutionStatus"] == "Stopped", "stopped")


async def test_a_change_of_a_pipeline_that_got_no_answer_is_not_repeated(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.98)
    await lab.env.ready(key)
    lab.aws.control.add_faults(*lost("UpdatePipeline"))
    lab.env.api.change(key, {"spec": {"model": {"training": {"hyperparameters": {"depth": "3"}}}}})
    await lab.env.until(lambda: len(lab.runs()) == 2, "another execution")
    [pipeline] = lab.sagemaker.list_pipelines()["PipelineSummaries"]
    versions = lab.sagemaker.list_pipeline_versions(PipelineName=pipeline["PipelineName"])
    assert len(versions["PipelineVersionSummaries"]) == 2


async def test_a_pipeline_and_a_group_that_somebody_deleted_are_made_again(lab: Lab) -> None:
    key = lab.make()
    await lab.finish(0.61)
    await lab.trained(key, "GateFailed")
    [pipeline] = lab.sagemaker.list_pipelines()["PipelineSummaries"]
    lab.sagemaker.delete_pipeline(
        PipelineName=pipeline["PipelineName"], ClientRequestToken="by-somebody-else-than-the-operator"
    )
    lab.sagemaker.delete_model_package_group(ModelPackageGroupName="wine-previews")
    lab.hold()
    lab.push(key, "2")
    await lab.finish(0.98)
    await lab.env.ready(key)
