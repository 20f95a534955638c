from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from kubernetes.client import ApiClient
from tests.examples.previews import BIN, Previews

from eep_platform.controlplane import ControlPlane


@pytest.fixture(scope="session")
def previews_of_session(control_plane: ControlPlane, kubernetes_client: ApiClient, crds: None) -> Previews:  # noqa: ARG001
    return Previews(control_plane, kubernetes_client)


@pytest.fixture
def previews(previews_of_session: Previews) -> Iterator[Previews]:
    yield previews_of_session
    previews_of_session.clear()


@pytest.fixture
def programs(tmp_path: Path, previews: Previews) -> Callable[..., Mapping[str, str]]:
    """Return a function that makes the environment of a CI job.

    Its `aws` and `docker` note how they are called, and `aws` writes the kubeconfig that it is asked for: there is
    no EKS, and no engine. It is given further variables.
    """
    kubeconfig = previews.kubeconfig(tmp_path / "eks")
    folder = tmp_path / "bin"
    folder.mkdir()
    answers = f"""#!/bin/sh
echo "$(basename "$0") $*" >>{tmp_path}/calls
case "$*" in
  sts*) echo 123456789012 ;;
  "eks update-kubeconfig"*) cp {kubeconfig} "$KUBECONFIG" ;;
  login*) cat >/dev/null ;;
esac
"""
    for name in ("aws", "docker"):
        (folder / name).write_text(answers, encoding="utf-8")
        (folder / name).chmod(0o755)

    def environment(**variables: str) -> Mapping[str, str]:
        return {
            "PATH": f"{folder}:{BIN}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
            **variables,
        }

    return environment


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], str]:
    """Return a function that reads how `aws` and `docker` were called."""
    return lambda: (tmp_path / "calls").read_text(encoding="utf-8") if (tmp_path / "calls").exists() else ""
