"""The operator's image, built by a real engine from the Dockerfile, and run as what it says to be run as."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from botocore.client import BaseClient
from image.assemble import SERVICES
from tests.fixtures import buildah
from tests.fixtures.buildah import UnusableError, download
from tests.fixtures.kubernetes import ROLE
from tests.image import debian

from eep_platform import bootstrap
from eep_platform.aws import ministack
from eep_platform.bootstrap import Roles
from eep_platform.controlplane import ControlPlane
from eep_platform.processes import free_port, is_alive, spawn, wait_until
from ephemeral_endpoints import __version__
from ephemeral_endpoints.aws.clients import Sessions

ROOT: Final = Path(__file__).parents[2]
NAME: Final = "ephemeral-endpoints"
REVISION: Final = "0123456789abcdef0123456789abcdef01234567"
MOST_BYTES: Final = 150_000_000

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Image:
    """The built image: its configuration, and its root file system in a folder."""

    configuration: dict[str, Any]
    root: Path

    @property
    def files(self) -> list[Path]:
        """All its files, by their place in it."""
        return [
            path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file() and not path.is_symlink()
        ]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Built as `docker build .` builds it."""
    with buildah.engine() as engine:
        try:
            engine.make_base(debian.base())
        except (UnusableError, debian.UnusableError) as error:
            pytest.skip(str(error))
        wheels = engine.folder / "wheels"
        download(ROOT / "requirements-runtime.lock", wheels)
        engine.build(ROOT, NAME, {"VERSION": __version__, "REVISION": REVISION}, wheels)
        yield Image(json.loads(engine.run("inspect", "--type", "image", NAME))["OCIv1"]["config"], engine.unpack(NAME))


def test_it_is_small(image: Image) -> None:
    assert sum((image.root / path).stat().st_size for path in image.files) < MOST_BYTES


def test_there_is_nothing_in_it_to_break_out_with(image: Image) -> None:
    programs = {path for path in image.files if (image.root / path).stat().st_mode & 0o111 and ".so" not in path.name}
    assert {path.name for path in programs if path.parent.name == "bin"} == {"python3.11"}
    assert not [path for path in image.files if (image.root / path).stat().st_mode & 0o6000], "no set-UID programs"
    assert not list(image.root.rglob("pip")), "nothing can be installed"


def test_only_the_operator_is_in_it(image: Image) -> None:
    program = image.root / "opt" / "operator"
    assert {path.name for path in program.iterdir()} == {"ephemeral_endpoints", "LICENSE"}
    parts = {path.name for path in (program / "ephemeral_endpoints").iterdir()}
    assert {"aws", "kube", "engine", "features"} <= parts
    assert "deploy" not in parts
    commands = {path.name for path in (program / "ephemeral_endpoints" / "cli").glob("*.py")}
    assert commands == {"__init__.py", "help.py", "output.py", "sweep.py"}


def test_nobody_in_particular_runs_it_and_nothing_belongs_to_them(image: Image) -> None:
    assert image.configuration["User"] == "65532:65532"
    owners = {(image.root / path).stat().st_uid for path in image.files}
    assert owners == {0}
    assert not [path for path in image.files if (image.root / path).stat().st_mode & 0o002]


def test_it_has_labels(image: Image) -> None:
    labels = image.configuration["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.revision"] == REVISION


def test_everything_is_compiled_into_files_without_a_time(image: Image) -> None:
    sources = {path for path in image.files if path.suffix == ".py" and path.parts[0] == "opt"}
    compiled = {path for path in image.files if path.suffix == ".pyc"}
    assert {path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc" for path in sources} <= compiled
    # The flags after the magic number say that the source is not even looked at (PEP 552).
    assert {(image.root / path).read_bytes()[4:8] for path in compiled} == {b"\x01\x00\x00\x00"}


def test_it_operates_and_ends_on_a_signal(image: Image, control_plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = image.root / "tmp" / "kubeconfig"
    shutil.copy(control_plane.kubeconfig, kubeconfig)
    kubeconfig.chmod(0o644)
    bootstrap.kubernetes(
        control_plane.kubeconfig, Roles(ROLE, ROLE, ROLE), region="us-east-1", git_url="https://git.test"
    )
    port = free_port()
    settings = {"KUBECONFIG": "/tmp/kubeconfig", "EEP_HTTP_PORT": str(port), **ministack.credentials()}  # noqa: S108 - within the image
    environment = dict(each.split("=", 1) for each in image.configuration["Env"]) | settings
    user = image.configuration["User"]
    program = ["/usr/local/bin/python", *image.configuration["Entrypoint"][1:]]
    chroot = str(shutil.which("chroot"))
    process = spawn(
        "operator",
        [chroot, f"--userspec={user}", str(image.root), *program],
        state=tmp_path,
        env={**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    )
    url = f"http://127.0.0.1:{port}/readyz"
    wait_until(lambda: answers(url), seconds=120, what="the operator", process=process)
    os.kill(process.pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(process), seconds=120, what="its end")
    assert not [path for path in image.files if (image.root / path).stat().st_uid], "it has written nothing"


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def test_the_models_of_all_services_that_are_called_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ministack.credentials().items():
        monkeypatch.setenv(name, value)
    made = Sessions(connections=1).connect("us-east-1")
    lazy = (made.dynamodb, made.firehose, made.s3, made.ssm)
    clients = (*(make() for make in lazy), *(getattr(made, each.name) for each in fields(made)))
    assert {each.meta.service_model.service_name for each in clients if isinstance(each, BaseClient)} == SERVICES
