from pathlib import Path

import pytest

from eep_platform.controlplane import gobuild
from eep_platform.controlplane.binaries import APISERVER, CONTROLLER_MANAGER, ETCD
from eep_platform.errors import PlatformError

# Stands in for the toolchain, which takes minutes: `go build -o FILE …`.
GO = """#!/bin/sh
[ "$CGO_ENABLED" = 0 ] && echo "$@" > "$3" && chmod +x "$3"
"""


def test_the_pinned_version_is_read_from_the_module() -> None:
    version, major, minor = gobuild.kubernetes_version()
    assert version.startswith(f"v{major}.{minor}.")


def test_all_programs_of_the_control_plane_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "_NEEDED_BYTES", 0)
    go = tmp_path / "go"
    go.write_text(GO)
    go.chmod(0o755)
    environ = {"HOME": str(tmp_path)}
    assert gobuild.cached(environ) is None
    binaries = gobuild.build(go, environ, print)
    assert gobuild.cached(environ) == binaries
    assert binaries.folder.parent == tmp_path / ".cache/ephemeral-endpoints/controlplane"
    packages = {program: binaries[program].read_text().split()[-1] for program in (ETCD, APISERVER, CONTROLLER_MANAGER)}
    assert packages[ETCD] == "go.etcd.io/etcd/server/v3"
    assert packages[APISERVER] == "k8s.io/kubernetes/cmd/kube-apiserver"
    assert packages[CONTROLLER_MANAGER] == "k8s.io/kubernetes/cmd/kube-controller-manager"
    stamp = f"-X k8s.io/component-base/version.gitVersion={gobuild.kubernetes_version()[0]}"
    assert stamp in binaries[APISERVER].read_text()


def test_a_failed_build_advises_to_name_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "_NEEDED_BYTES", 0)
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\nexit 1\n")
    go.chmod(0o755)
    with pytest.raises(PlatformError, match="KUBEBUILDER_ASSETS"):
        gobuild.build(go, {"HOME": str(tmp_path)}, print)
