from collections import Counter
from typing import Any

from tests.fixtures.operator import REVISION, Bench, OperatorProcess, wait_reconciled

from eep_platform.workbench import Object, condition


def source(revision: str) -> dict[str, Any]:
    return {"repository": "acme/echo", "pullRequest": 7, "revision": revision}


def say(bench: Bench, obj: Object) -> str:
    return bench.call(obj["status"]["url"], b"", token=bench.token(obj["metadata"]["name"])).text


def test_pushes_during_an_update_lead_to_one_further_update_to_the_newest(bench: Bench) -> None:
    bench.apply("pr", bench.spec(model=bench.saying("first")))
    bench.wait_ready("pr")
    bench.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 3600}})
    bench.control.reset_meter()

    bench.apply("pr", bench.spec(model=bench.saying("2"), source=source("2222222")))
    bench.wait_called("UpdateEndpoint")
    for push in "3456":
        bench.apply("pr", bench.spec(model=bench.saying(push), source=source(push * 7)))
    bench.wait_condition("pr", "EndpointReady", reason="Updating")
    bench.control.patch_sagemaker_settings({"behaviour": {"update_seconds": 0}})
    assert say(bench, bench.wait_ready("pr")) == "6"
    assert Counter(each.operation for each in bench.mutations())["UpdateEndpoint"] == 2


def test_a_rollout_that_was_rolled_back_is_not_tried_again_by_the_next_operator(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    bench.apply("pr", bench.spec(model=bench.saying("first")))
    bench.wait_ready("pr")
    bench.control.patch_sagemaker_settings({"behaviour": {"update_failure": "the health check failed"}})
    bench.apply("pr", bench.spec(model=bench.saying("second"), source=source("2222222")))
    bench.wait_condition("pr", "EndpointReady", reason="RolledBack")
    bench.control.reset_meter()

    operator_process.stop()
    wait_reconciled(operator_process.run(), objects=1)
    rolled_back = bench.wait_condition("pr", "EndpointReady", reason="RolledBack")
    assert condition(rolled_back, "Stalled")["status"] == "True"
    assert "the health check failed" in condition(rolled_back, "EndpointReady")["message"]
    assert rolled_back["status"]["revision"] == REVISION
    assert not bench.mutations()

    bench.control.patch_sagemaker_settings({"behaviour": None})
    bench.apply("pr", bench.spec(model=bench.saying("third"), source=source("3333333")))
    assert say(bench, bench.wait_ready("pr")) == "third"
