"""The chart as Helm renders it, each set of values once per session."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

Manifest = Mapping[str, Any]

CHART = Path(__file__).parents[2] / "charts/ephemeral-endpoints"
RELEASE = "eep"
NAMESPACE = "chart-tests"
RENEW = "EEP_RENEW_GOLDEN"
"""With this variable set, what is compared with files is written to them."""

CLASS_KIND = "ephemeral-endpoints.io/v1alpha1/EphemeralEndpointClass"
SETS = sorted(path.stem for path in Path(__file__).parent.glob("values/*.yaml"))


class Refused(Exception):  # noqa: N818 - what Helm did
    """Helm refused the values, with this message."""


class Chart:
    """The chart's manifests by values. ``home`` is where Helm finds no configuration of anybody's."""

    def __init__(self, helm: Path, home: Path) -> None:
        self._helm = helm
        self._environment = {"HOME": str(home)}
        self._known: dict[tuple[str, ...], str] = {}

    def text(self, *arguments: str, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
        """What `helm template` prints. Raises Refused."""
        asked = (release, namespace, *arguments)
        if asked not in self._known:
            done = self._run("template", release, CHART, f"--namespace={namespace}", *arguments)
            if done.returncode:
                raise Refused(done.stderr)
            self._known[asked] = done.stdout
        return self._known[asked]

    def of(self, values: str, *arguments: str) -> list[Manifest]:
        """The manifests of a set of values in the folder `values`."""
        return list(manifests(self.text(option(values), *arguments)))

    def notes(self, values: str, *arguments: str) -> str:
        """What `helm install` says at the end."""
        where = f"--namespace={NAMESPACE}"
        done = self._run("install", RELEASE, CHART, where, "--dry-run=client", option(values), *arguments)
        return done.stdout.partition("\nNOTES:\n")[2]

    def lint(self, values: str) -> str:
        """What `helm lint` finds wrong, questionable, or worth a recommendation, with the chart and a set of values."""
        done = self._run("lint", "--strict", CHART, option(values))
        said = "\n".join(line for line in f"{done.stdout}{done.stderr}".splitlines() if line.startswith("["))
        return said or ("" if done.returncode == 0 else "it failed")

    def _run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self._helm, *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)  # noqa: S603 - the tests' own words


def option(values: str) -> str:
    """The option that has Helm read a set of values."""
    return f"--values={Path(__file__).parent / 'values' / values}.yaml"


def manifests(text: str) -> Iterator[Manifest]:
    """The manifests of a YAML text, empty ones left out."""
    return (each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each)


def kinds(found: list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [each for each in found if each["kind"] == kind]


def only(found: list[Manifest], kind: str) -> Manifest:
    """The only one of a kind."""
    (one,) = kinds(found, kind)
    return one


def pods(found: list[Manifest]) -> list[Manifest]:
    """The templates of all pods."""
    return [each["spec"]["template"] for each in found if each["kind"] in {"Deployment", "Job"}]
