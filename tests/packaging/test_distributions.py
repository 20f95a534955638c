"""What a user installs: the operator's distribution, and that of the embedded platform as its extra."""

import tomllib
import zipfile
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from tests.packaging.environments import OPERATOR, PLATFORM, ROOT, Environment, build

from ephemeral_endpoints import __version__

EVERY_COMMAND = """
from importlib.metadata import entry_points
for command in entry_points(group="ephemeral_endpoints.commands"):
    command.load()
    print(command.name)
"""
EVERY_MODULE = """
import importlib, pkgutil, eep_platform
for module in pkgutil.walk_packages(eep_platform.__path__, "eep_platform."):
    if not module.name.endswith(".__main__"):
        importlib.import_module(module.name)
"""


@dataclass(frozen=True)
class Wheel:
    path: Path

    @property
    def files(self) -> set[str]:
        with zipfile.ZipFile(self.path) as archive:
            return {name for name in archive.namelist() if ".dist-info/" not in name}

    @property
    def licences(self) -> set[str]:
        with zipfile.ZipFile(self.path) as archive:
            return {name.rpartition("/")[2] for name in archive.namelist() if ".dist-info/licenses/" in name}

    @property
    def metadata(self) -> Message:
        with zipfile.ZipFile(self.path) as archive:
            [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
            return Parser().parsestr(archive.read(name).decode())

    def requirement(self, extra: str = "") -> str:
        return f"{self.metadata['Name']}{extra} @ {self.path.as_uri()}"


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return Wheel(build(OPERATOR, tmp_path_factory.mktemp("operator")))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    return Wheel(build(PLATFORM, tmp_path_factory.mktemp("platform")))


@pytest.fixture(scope="module")
def alone(operator: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install ephemeral-endpoints` gives."""
    environment = Environment.empty(tmp_path_factory.mktemp("alone"))
    environment.install_locked(ROOT / "requirements-runtime.lock")
    environment.install(operator.requirement(), constraint=ROOT / "requirements-runtime.lock")
    return environment


@pytest.fixture(scope="module")
def both(operator: Wheel, platform: Wheel, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What `pip install 'ephemeral-endpoints[platform]'` gives."""
    environment = Environment.empty(tmp_path_factory.mktemp("both"))
    wheels = (operator.requirement("[platform]"), platform.requirement())
    environment.install(*wheels, constraint=ROOT / "requirements.lock")
    return environment


def sources(package: Path) -> set[str]:
    """What a package consists of, by its place in a wheel."""
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {str(path.relative_to(package.parent)) for path in files}


def test_the_operators_wheel_is_its_package_and_nothing_of_the_platform(operator: Wheel) -> None:
    assert operator.files == sources(ROOT / "operator" / "ephemeral_endpoints")
    assert operator.licences == {"LICENSE"}


def test_the_platforms_wheel_is_its_package_and_nothing_of_the_operator(platform: Wheel) -> None:
    of_the_project = {"eep_platform/pyproject.toml", "eep_platform/README.md"}
    assert platform.files == sources(PLATFORM) - of_the_project
    assert {"eep_platform/controlplane/gomodule/go.sum", "eep_platform/tools/helm/go.mod"} <= platform.files
    assert platform.licences == {"LICENSE"}


def test_the_two_are_of_one_version_and_require_no_other(operator: Wheel, platform: Wheel) -> None:
    assert operator.metadata["Version"] == platform.metadata["Version"] == __version__
    required = operator.metadata.get_all("Requires-Dist", [])
    assert f"ephemeral-endpoints-platform=={__version__}; extra == 'platform'" in required
    assert f"ephemeral-endpoints=={__version__}" in platform.metadata.get_all("Requires-Dist", [])


def test_the_image_is_of_that_version_too() -> None:
    assert f"\nARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text()


def test_what_both_require_they_require_alike() -> None:
    projects = [tomllib.loads((folder / "pyproject.toml").read_text()) for folder in (OPERATOR, PLATFORM)]
    [ours, theirs] = [{each.partition(">=")[0]: each for each in one["project"]["dependencies"]} for one in projects]
    shared = ours.keys() & theirs.keys()
    assert "click" in shared
    assert {ours[name] for name in shared} == {theirs[name] for name in shared}
    assert len({str(one["build-system"]) for one in projects}) == 1


@pytest.mark.parametrize("program", ["eep", "kubectl-eep"])
def test_the_operator_alone_has_a_program_that_works(program: str, alone: Environment) -> None:
    version = alone.run(program, "--version")
    assert (version.returncode, version.stdout.strip()) == (0, __version__)
    shown = alone.run(program, "--help")
    assert shown.returncode == 0
    assert "Print the IAM policies" in shown.stdout


def test_the_operator_alone_has_what_its_commands_import(alone: Environment) -> None:
    imported = alone.run("python", "-c", EVERY_COMMAND)
    assert (imported.returncode, imported.stderr) == (0, "")
    assert {"status", "wait", "logs", "init"} <= {*imported.stdout.split()}


def test_the_operator_alone_completes_for_kubectl(alone: Environment) -> None:
    assert alone.run("kubectl_complete-eep", "doc").stdout == "doctor\tCheck all that endpoints need.\n:4\n"


def test_the_operator_alone_has_its_commands(alone: Environment) -> None:
    listed = alone.run("eep", "iam", "list")
    assert listed.returncode == 0
    assert "operator-endpoints" in listed.stdout


def test_the_operator_alone_names_the_extra_that_brings_the_platform(alone: Environment) -> None:
    refused = alone.run("eep", "local", "up")
    assert refused.returncode == 1
    assert "pip install 'ephemeral-endpoints[platform]'" in refused.stderr
    assert not refused.stdout


def test_the_operator_alone_is_all_that_its_program_imports(alone: Environment) -> None:
    imported = alone.run("python", "-c", "import ephemeral_endpoints.__main__")
    assert (imported.returncode, imported.stderr) == (0, "")
    absent = alone.run("python", "-c", "import eep_platform")
    assert "No module named 'eep_platform'" in absent.stderr


def test_the_extra_brings_the_command_of_the_platform(both: Environment) -> None:
    shown = both.run("eep", "local", "--help")
    assert shown.returncode == 0
    assert {"up", "down", "status", "push", "demo", "bench"} <= {*shown.stdout.split()}


def test_the_platform_requires_all_that_it_imports(both: Environment) -> None:
    imported = both.run("python", "-c", EVERY_MODULE)
    assert (imported.returncode, imported.stderr) == (0, "")
