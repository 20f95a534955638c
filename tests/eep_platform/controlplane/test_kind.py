from collections.abc import Sequence
from pathlib import Path

import pytest

from eep_platform.controlplane import ControlPlane, kind
from eep_platform.errors import PlatformError

# Stands in for kind, which needs a Docker engine: it keeps clusters as files and hands out the kubeconfig it is given.
KIND = """#!/bin/sh
set -e
here={here}
echo "$1 $2" >> $here/calls
case "$1 $2" in
  "get clusters") ls $here/clusters;;
  "create cluster") [ ! -e $here/broken ]; touch $here/clusters/${{3#--name=}}; cp {kubeconfig} ${{4#--kubeconfig=}};;
  "delete cluster") rm -f $here/clusters/${{3#--name=}};;
esac
"""


class FakeKind:
    """The stand-in, and what it was asked to do."""

    def __init__(self, here: Path, kubeconfig: Path) -> None:
        self.here = here
        (here / "clusters").mkdir()
        self.program = here / "kind"
        self.program.write_text(KIND.format(here=here, kubeconfig=kubeconfig))
        self.program.chmod(0o755)

    @property
    def clusters(self) -> Sequence[str]:
        """The clusters that exist."""
        return sorted(path.name for path in (self.here / "clusters").iterdir())

    @property
    def calls(self) -> Sequence[str]:
        """The commands that it was given, in order."""
        return (self.here / "calls").read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path, control_plane: ControlPlane) -> FakeKind:
    (tmp_path / "kind").mkdir()
    return FakeKind(tmp_path / "kind", control_plane.kubeconfig)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_a_cluster_is_created_once_and_deleted_again(fake: FakeKind, state: Path) -> None:
    folder = Path.cwd()
    kubeconfig = kind.start(state, fake.program)
    assert kind.start(state, fake.program) == kubeconfig
    assert fake.clusters == [kind.cluster_name(state)]
    assert fake.calls.count("create cluster") == 1
    assert kubeconfig.stat().st_mode & 0o777 == 0o600
    kind.stop(state, fake.program)
    kind.stop(state, fake.program)
    assert fake.clusters == []
    assert Path.cwd() == folder
    assert not (folder / ".pytest-kind").exists()


def test_what_a_killed_creation_left_is_deleted_first(fake: FakeKind, state: Path) -> None:
    (fake.here / "clusters" / kind.cluster_name(state)).touch()
    kind.start(state, fake.program)
    assert fake.calls[0] == "delete cluster"
    assert "create cluster" in fake.calls


def test_a_failure_of_kind_names_the_cluster(fake: FakeKind, state: Path) -> None:
    (fake.here / "broken").touch()
    with pytest.raises(PlatformError, match=f"{kind.cluster_name(state)}.*create"):
        kind.start(state, fake.program)


def test_platforms_have_clusters_of_their_own(tmp_path: Path) -> None:
    names = {kind.cluster_name(tmp_path / name) for name in ("one", "two")}
    assert len(names) == 2
