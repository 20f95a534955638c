from pathlib import Path

import pytest

from eep_platform.controlplane.facts import Facts


def environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    """An environment in which nothing but what the test puts into `tmp_path` is found."""
    return {"PATH": str(tmp_path), "HOME": str(tmp_path), **variables}


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    facts = Facts.observe(environment(tmp_path))
    assert (facts.kubeconfig, facts.docker, facts.kind, facts.assets, facts.built) == (None, False, None, None, False)


@pytest.mark.parametrize(
    ("script", "answers", "reason"),
    [
        ('[ "$1" = info ]', True, "the engine answered"),
        ("exit 1", False, "a client without an engine"),
    ],
)
def test_a_docker_engine_is_there_when_it_answers(tmp_path: Path, script: str, answers: bool, reason: str) -> None:  # noqa: FBT001 - a column of the table
    program(tmp_path / "docker", script)
    assert Facts.observe(environment(tmp_path)).docker is answers, reason


def test_the_current_context_of_the_user_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").write_text("{}")
    assert Facts.observe(environment(tmp_path, KUBECONFIG=str(tmp_path / ".kube" / "config"))).kubeconfig is None


def test_named_files_count_even_when_they_are_missing(tmp_path: Path) -> None:
    named = environment(tmp_path, EEP_KUBECONFIG="/missing/kubeconfig", KUBEBUILDER_ASSETS="/missing/bin")
    facts = Facts.observe(named)
    assert (facts.kubeconfig, facts.assets) == (Path("/missing/kubeconfig"), Path("/missing/bin"))


def test_the_environment_is_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in repr(Facts.observe(environment(tmp_path, PASSWORD="hunter2")))  # noqa: S106 - made up
