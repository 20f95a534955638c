"""The health of our objects to Argo CD and to Flux, by the script and the expressions of `examples/gitops`."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.rendering import RENEW
from tests.examples.health import ROOT, SCRIPTS, STATES, State

from ephemeral_endpoints.api.kinds import BY_NAME

BY_STATE = pytest.mark.parametrize("state", STATES, ids=lambda each: f"{each.kind}-{each.name}")


def judge(gitops: Path, by: str, **asked: object) -> Any:  # noqa: ANN401 - the program's JSON
    done = subprocess.run(  # noqa: S603 - our program
        [gitops, by], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expressions(kind: str) -> Mapping[str, str]:
    manifest = yaml.safe_load((ROOT / "examples/gitops/flux/health.yaml").read_text(encoding="utf-8"))
    [found] = [each for each in manifest["spec"]["healthCheckExprs"] if each["kind"] == kind]
    return {name: text for name, text in found.items() if name not in {"apiVersion", "kind"}}


def health(gitops: Path, kind: str, manifest: object) -> Any:  # noqa: ANN401 - the program's JSON
    script = (SCRIPTS / kind / "health.lua").read_text(encoding="utf-8")
    return judge(gitops, "lua", script=script, object=manifest)


@BY_STATE
def test_the_test_data_is_what_the_operator_writes(state: State) -> None:
    text = yaml.safe_dump(state.manifest, sort_keys=False, width=120)
    if os.environ.get(RENEW):
        state.path.write_text(text, encoding="utf-8")
    assert state.path.read_text(encoding="utf-8") == text
    BY_NAME[state.kind].model.model_validate(state.manifest)


@pytest.mark.parametrize("kind", sorted(BY_NAME))
def test_argo_cd_judges_each_object_of_the_test_data_as_its_test_says(gitops: Path, kind: str) -> None:
    folder = SCRIPTS / kind
    cases = yaml.safe_load((folder / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    assert {folder / case["inputPath"] for case in cases} == {*folder.glob("testdata/*.yaml")}
    for case in cases:
        manifest = yaml.safe_load((folder / case["inputPath"]).read_text(encoding="utf-8"))
        assert health(gitops, kind, manifest) == case["healthStatus"], case["inputPath"]


@BY_STATE
def test_argo_cd_shows_the_state_with_a_message(gitops: Path, state: State) -> None:
    found = health(gitops, state.kind, state.manifest)
    assert found["status"] == state.argo
    assert found["message"]


@pytest.mark.parametrize("reported", [{}, {"status": {"observedGeneration": 1}}], ids=["status", "conditions"])
def test_argo_cd_waits_for_an_object_without(gitops: Path, reported: Mapping[str, Any]) -> None:
    bare = {"metadata": {"generation": 1}, "spec": {}, **reported}
    assert health(gitops, "EphemeralEndpoint", bare)["status"] == "Progressing"


@BY_STATE
def test_flux_ends_its_wait_with_the_state(gitops: Path, state: State) -> None:
    assert judge(gitops, "cel", expressions=expressions(state.kind), object=state.manifest) == state.flux


def test_flux_waits_for_an_object_without_conditions(gitops: Path) -> None:
    bare = {"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1}}
    assert judge(gitops, "cel", expressions=expressions("EphemeralEndpoint"), object=bare) == "InProgress"
