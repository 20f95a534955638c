"""The sweep of runaway trainings: what it stops, and what it leaves alone."""

import pytest
from tests.controllers.environment import Environment
from tests.controllers.orphans.deps import sweep_deps
from tests.features.training.test_step import Lab
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.controllers.orphans.runaway_sweep import RunawaySweep
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.training.specs import owner_of

ENDED = ("Stopping", "Stopped")
DENIED = FaultError(code="AccessDeniedException", message="not you", status=400)


async def sweep(env: Environment, **settings: str) -> None:
    await RunawaySweep(sweep_deps(env, settings)).run()


async def test_what_runs_for_an_object_that_is_gone_is_stopped_and_nothing_else(
    env: Environment, fresh_aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab(env, fresh_aws)
    kept, gone = lab.make("1", "kept"), lab.make("2", "gone")
    uids = {key: env.api.kept[key]["metadata"]["uid"] for key in (kept, gone)}
    await env.until(lambda: len(lab.runs()) == len(uids), "both trained")

    def stopped() -> set[str]:
        return {each["PipelineExecutionDisplayName"] for each in lab.runs() if each["PipelineExecutionStatus"] in ENDED}

    await sweep(env)
    assert stopped() == set()
    env.api.vanish(gone)
    await env.rest()
    await sweep(env, EEP_SWEEP="dry-run")
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="ListPipelines", error=DENIED))
    await sweep(env)
    assert "the sweep of executions failed; the operator tries again" in caplog.messages
    fresh_aws.control.clear_faults()
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="StopPipelineExecution", error=DENIED))
    await sweep(env)
    assert "a training could not be stopped; the operator tries again" in caplog.messages
    assert stopped() == set()
    fresh_aws.control.clear_faults()
    await sweep(env)
    assert {owner_of(each) for each in stopped()} == {owner_hash(uids[gone])}
