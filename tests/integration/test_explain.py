import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fixtures.operator import Bench, OperatorProcess

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.api import GROUP, ROTATE_TOKEN_ANNOTATION, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT

EEP = Path(sys.executable).with_name("eep")


def run(bench: Bench, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [str(EEP), "explain", name, "--namespace", bench.namespace, *arguments]
    environment = {**os.environ, **bench.platform.environment}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves


def explain(bench: Bench, name: str, *arguments: str) -> str:
    result = run(bench, name, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def resources(bench: Bench, name: str, *arguments: str) -> dict[str, dict[str, Any]]:
    found = json.loads(explain(bench, name, "--output", "json", *arguments))["resources"]
    return {each["kind"]: each for each in found}


def test_a_ready_object_has_nothing_left_to_do(bench: Bench, operator_process: OperatorProcess) -> None:
    bench.apply("pr-7", bench.spec())
    bench.wait_ready("pr-7")
    text = explain(bench, "pr-7", "--operator-url", operator_process.run())
    assert "Ready=True Serving" in text
    assert "retries and holds: none" in text
    assert {each["next"] for each in resources(bench, "pr-7").values()} == {"nothing"}


def test_after_a_rotation_of_its_token_an_object_has_nothing_left_to_do(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    operator_process.run()
    bench.apply("pr-7", bench.spec())
    bench.wait_ready("pr-7")
    bench.control.reset_meter()
    asked = {"metadata": {"annotations": {ROTATE_TOKEN_ANNOTATION: "1"}}}
    bench.objects.patch_namespaced_custom_object(GROUP, VERSION, bench.namespace, ENDPOINT.plural, "pr-7", asked)
    bench.wait_called("UpdateFunctionCode")
    bench.wait_done()
    assert resources(bench, "pr-7")["Function"]["next"] == "nothing"


def test_without_an_operator_it_says_what_one_would_do_and_changes_nothing(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    bench.apply("pr-7", bench.spec())
    bench.wait_ready("pr-7")
    operator_process.stop()
    bench.apply("pr-7", bench.spec(model=bench.saying("hello")))
    bench.control.reset_meter()
    found = json.loads(explain(bench, "pr-7", "--output", "json"))
    following = {(each["kind"], each["desired"]): each["next"] for each in found["resources"]}
    assert following["Model", True] == "create"
    assert following["EndpointConfig", True].startswith("waits for Model ")
    assert following["EndpointConfig", False].startswith("deleted once Endpoint ")
    assert following["Endpoint", True].startswith("waits for EndpointConfig ")
    assert following["Route", True] == "nothing"
    assert "no operator leads" in found["operator"]["unknown"]
    assert bench.effects() == {}


def test_what_a_running_operator_retries_is_asked_of_it(bench: Bench, operator_process: OperatorProcess) -> None:
    url = operator_process.run()
    denied = FaultError(code="AccessDeniedException", status=400)
    bench.control.add_faults(Fault(service="sagemaker", operation="CreateModel", error=denied))
    bench.apply("pr-7", bench.spec())
    bench.wait_condition("pr-7", "EndpointReady", reason="AccessDenied")
    text = explain(bench, "pr-7", "--operator-url", url)
    assert "retry: Model " in text
    assert "with AccessDenied, tried again in" in text


def test_an_object_that_does_not_exist_is_an_error_that_says_so(bench: Bench) -> None:
    result = run(bench, "absent")
    assert result.returncode == 1
    assert "does not exist" in result.stderr
