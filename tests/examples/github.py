"""A stand-in for GitHub's runner: it runs the jobs of a workflow, with the real bash, and composite actions in them.

It knows what `examples/ci/github` uses of the syntax, and fails on anything else. Actions of others are stood in for.
Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax
"""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp, mkstemp
from typing import Any, Final

import yaml

Json = dict[str, Any]
_EXPRESSION: Final = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN: Final = re.compile(r"\s+|'[^']*'|&&|\|\||==|!=|!|[()]|[\w.-]+(?:\(\))?")
_OPERATORS: Final = {"&&": " and ", "||": " or ", "==": "==", "!=": "!=", "!": " not ", "(": "(", ")": ")"}
_COMMAND: Final = re.compile(r"^\s*::([\w-]+)(?:\s[^:]*)?::(.*)$|##\[([\w-]+)[^\]]*\]")
"""In the newer form at the beginning of a line, in the older one anywhere.

Source: https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
"""


@dataclass(frozen=True)
class Result:
    """How a job ended."""

    result: str
    steps: tuple[str, ...] = ()
    """Names of the steps that ran, with their outcomes."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""
    log: str = ""
    commands: tuple[str, ...] = ()
    """The commands that the log gave to the runner."""


@dataclass(frozen=True)
class Runner:
    """Runs the jobs of `workflow`, each in a folder of its own.

    `actions` stand in for those of others, by the name before the `@`: they are given their inputs and the folder, and
    return variables. Those in `composites` are run, from a folder. `before` is called with the name of each step.
    """

    workflow: Json
    temporary: Path
    environment: Mapping[str, str]
    github: Json
    variables: Mapping[str, str]
    actions: Mapping[str, Callable[[Mapping[str, str], Path], Mapping[str, str]]]
    composites: Mapping[str, Path]
    before: Callable[[str], None] = lambda _: None

    def run(self) -> dict[str, Result]:
        """Run all jobs in their order, which is that of the file; returns their results by name."""
        results: dict[str, Result] = {}
        for name, job in self.workflow["jobs"].items():
            wanted = [job.get("needs", [])] if isinstance(job.get("needs"), str) else job.get("needs", [])
            needs = {each: {"result": results[each].result, "outputs": results[each].outputs} for each in wanted}
            is_met = all(each["result"] == "success" for each in needs.values())
            contexts = {"github": self.github, "vars": self.variables, "needs": needs}
            condition = str(job.get("if", "success()"))
            is_due = _holds(condition, contexts, failed=not is_met)
            results[name] = _Job(self, contexts).run(name, job) if is_due else Result("skipped")
        return results


def _holds(condition: str, contexts: Json, *, failed: bool) -> bool:
    """Whether a condition holds; unless it asks for the status, `success()` is part of it."""
    is_explicit = re.search(r"\b(always|cancelled|failure|success)\(\)", condition)
    return bool((is_explicit or not failed) and evaluate(condition, contexts, failed=failed))


def evaluate(expression: str, contexts: Json, *, failed: bool = False) -> Any:  # noqa: ANN401 - what the contexts hold
    """The value of an expression; a name that does not exist is the empty text."""
    functions = {"always()": True, "cancelled()": False, "failure()": failed, "success()": not failed}
    parts, position = [], 0
    while position < len(expression):
        token = _TOKEN.match(expression, position)
        if token is None:
            raise ValueError(f"not supported: {expression[position:]!r}")
        position = token.end()
        text = token[0].strip()
        if text in _OPERATORS:
            parts.append(_OPERATORS[text])
        elif text in functions:
            parts.append(str(functions[text]))
        elif text:
            parts.append(repr(text[1:-1] if text.startswith("'") else _look_up(text, contexts)))
    return eval("".join(parts).strip(), {"__builtins__": {}})  # noqa: S307 - literals and operators only


def _look_up(path: str, contexts: Any) -> Any:  # noqa: ANN401 - likewise
    for name in path.split("."):
        contexts = contexts.get(name, "") if isinstance(contexts, Mapping) else ""
    return contexts


class _Job:
    """One job, or one composite action in it: its steps share files, and a step's outputs are for its own."""

    def __init__(self, runner: Runner, contexts: Json) -> None:
        self._runner = runner
        self._contexts = contexts
        self._environment: dict[str, str] = {}
        self._path: list[str] = []
        self._ran: list[str] = []
        self._log = ""
        self._workspace = Path(mkdtemp(dir=runner.temporary))

    def run(self, name: str, job: Json) -> Result:
        summary = self._file(f"{name}-summary")
        self._environment["GITHUB_STEP_SUMMARY"] = str(summary)
        contexts = {**self._contexts, "steps": {}}
        is_done = self._steps(job["steps"], contexts, default_shell="bash -e {0}")
        return Result(
            result="success" if is_done else "failure",
            steps=tuple(self._ran),
            outputs={key: self._expand(text, contexts) for key, text in job.get("outputs", {}).items()},
            summary=summary.read_text(encoding="utf-8"),
            log=self._log,
            commands=tuple(_commands(self._log)),
        )

    def _steps(self, steps: list[Json], contexts: Json, *, default_shell: str) -> bool:
        failed = False
        for step in steps:
            condition = str(step.get("if", "success()"))
            outcome: str = "skipped"
            outputs: Mapping[str, str] = {}
            if _holds(condition, contexts, failed=failed):
                is_done, outputs = self._step(step, contexts, default_shell)
                outcome = "success" if is_done else "failure"
                failed = failed or not is_done
                self._ran.append(f"{step.get('name', step.get('uses'))}: {outcome}")
            if "id" in step:
                contexts["steps"][step["id"]] = {"outcome": outcome, "outputs": outputs}
        return not failed

    def _step(self, step: Json, contexts: Json, default_shell: str) -> tuple[bool, dict[str, str]]:
        self._runner.before(str(step.get("name", step.get("uses"))))
        given = {key: self._expand(text, contexts) for key, text in step.get("with", {}).items()}
        if "run" in step:
            if _EXPRESSION.search(step["run"]):
                raise ValueError(f"an expression in a script: {step['run']}")
            environment = {key: self._expand(text, contexts) for key, text in step.get("env", {}).items()}
            shell = {"bash": "bash --noprofile --norc -eo pipefail {0}"}.get(step.get("shell", ""), default_shell)
            return self._script(step["run"], shell, environment)
        name = step["uses"].partition("@")[0]
        if name in self._runner.composites:
            return self._composite(self._runner.composites[name], given, contexts)
        self._environment |= self._runner.actions[name](given, self._workspace)
        return True, {}

    def _composite(self, folder: Path, given: Mapping[str, str], contexts: Json) -> tuple[bool, dict[str, str]]:
        action = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
        unknown = given.keys() - action["inputs"].keys()
        missing = {key for key, each in action["inputs"].items() if each.get("required") and not given.get(key)}
        if unknown or missing:
            raise ValueError(f"unknown inputs {unknown}, missing inputs {missing}")
        defaults = {key: self._expand(each.get("default", ""), contexts) for key, each in action["inputs"].items()}
        inner = {"github": contexts["github"], "inputs": {**defaults, **given}, "steps": {}}
        self._environment["GITHUB_ACTION_PATH"] = str(folder)
        is_done = self._steps(action["runs"]["steps"], inner, default_shell="")
        outputs = {key: self._expand(each["value"], inner) for key, each in action.get("outputs", {}).items()}
        return is_done, outputs

    def _script(self, script: str, shell: str, environment: Mapping[str, str]) -> tuple[bool, dict[str, str]]:
        file, output, path = (self._file(name) for name in ("script.sh", "output", "path"))
        file.write_text(script, encoding="utf-8")
        own = {"GITHUB_OUTPUT": str(output), "GITHUB_PATH": str(path), "RUNNER_TEMP": str(self._runner.temporary)}
        before = {**self._runner.environment, **self._environment, **own, **environment}
        before["PATH"] = ":".join([*self._path, before["PATH"]])
        done = subprocess.run(  # noqa: S603 - the example's own script
            shell.format(file).split(),
            cwd=self._workspace,
            env=before,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._log += done.stdout
        self._path[:0] = path.read_text(encoding="utf-8").split()
        lines = output.read_text(encoding="utf-8").splitlines()
        return done.returncode == 0, dict(line.split("=", 1) for line in lines)

    def _expand(self, text: object, contexts: Json) -> str:
        if isinstance(text, bool):
            return json.dumps(text)
        return _EXPRESSION.sub(lambda found: str(evaluate(found[1], contexts)), str(text))

    def _file(self, name: str) -> Path:
        """A new, empty file."""
        return Path(mkstemp(prefix=f"{name}-", dir=self._runner.temporary)[1])


def _commands(log: str) -> Iterator[str]:
    """The lines that the runner would obey, unless it was told to stop until a token."""
    token = ""
    for line in log.splitlines():
        command = _COMMAND.match(line)
        if token:
            token = "" if line.strip() == f"::{token}::" else token
        elif command and command[1] == "stop-commands":
            token = command[2]
        elif command:
            yield line
