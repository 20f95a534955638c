"""A stand-in for GitLab's runner: it runs a job of a pipeline with the real bash.

It knows what `examples/ci/gitlab` uses of the syntax. Source: https://docs.gitlab.com/ci/yaml/
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

_VARIABLE: Final = re.compile(r"\$(\w+)")
_RULE: Final = re.compile(r'\$(\w+) == (?:\$(\w+)|"([^"]*)")')


@dataclass(frozen=True)
class Pipeline:
    """The jobs of a file, in a pipeline with these variables, which GitLab and the project set."""

    path: Path
    variables: Mapping[str, str]

    @property
    def config(self) -> dict[str, Any]:
        """The file's content."""
        content: dict[str, Any] = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return content

    def job(self, name: str) -> dict[str, Any]:
        """A job, with what it extends."""
        job = self.config[name]
        return {**(self.job(job["extends"]) if "extends" in job else {}), **job}

    def when(self, name: str) -> str | None:
        """When a job runs, by the rules of the pipeline and its own; None if it is not part of the pipeline."""
        matching = (each for each in self.job(name).get("rules", [{}]) if self._applies(each))
        is_started = any(self._applies(each) for each in self.config["workflow"]["rules"])
        return next(matching, {"when": None}).get("when", "on_success") if is_started else None

    def run(self, name: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a job in a folder, with the merge request's commit in it or, with GIT_STRATEGY none, without."""
        job = self.job(name)
        known = {**self.variables, "CI_PROJECT_DIR": str(folder)}
        known |= {each: f"token for {token['aud']}" for each, token in job.get("id_tokens", {}).items()}
        own = {**self.config["variables"], **job.get("variables", {})}
        known |= {each: _VARIABLE.sub(lambda found: known.get(found[1], ""), str(text)) for each, text in own.items()}
        script = "\n".join(["set -eo pipefail", *job.get("before_script", []), *job["script"]])
        return subprocess.run(  # noqa: S603 - the example's own script
            ["/bin/bash", "-c", script],
            cwd=folder,
            env={**environment, **known},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _applies(self, rule: Mapping[str, str]) -> bool:
        if "if" not in rule:
            return True
        condition = _RULE.fullmatch(rule["if"])
        if condition is None:
            raise ValueError(f"not supported: {rule['if']}")
        left, right, literal = condition.groups()
        return self.variables.get(left, "") == (self.variables.get(right, "") if right else literal)
