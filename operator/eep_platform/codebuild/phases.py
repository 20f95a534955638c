"""The phases of a build from DOWNLOAD_SOURCE to UPLOAD_ARTIFACTS."""

import json
from pathlib import Path

from eep_platform.codebuild import buildspec
from eep_platform.codebuild.agent import Agent, BuildFolder
from eep_platform.codebuild.builds import NO_REASON, Build, BuildStatus, PhaseContext, PhaseType
from eep_platform.codebuild.buildspec import Buildspec, BuildspecError, PhaseSpec
from eep_platform.codebuild.environment import BuildEnvironment
from eep_platform.codebuild.logs import BuildLog
from eep_platform.codebuild.projects import NO_SOURCE
from eep_platform.codebuild.variables import VariableError, resolve
from eep_platform.emulation.aws import Aws
from eep_platform.emulation.clock import Clock

_MOST_BUILDSPEC_BYTES = 1 << 20


class Failure(Exception):  # noqa: N818 (an outcome that the caller expects)
    """A phase failed and ends the build."""

    def __init__(self, context: PhaseContext, status: BuildStatus = BuildStatus.FAILED) -> None:
        super().__init__(context.message)
        self.context = context
        self.status = status


class BuildExecution:
    """Runs the phases of one build, with its processes in the folder `root`."""

    def __init__(  # noqa: PLR0913, PLR0917 (everything that a build needs)
        self, build: Build, log: BuildLog, aws: Aws, environment: BuildEnvironment, root: Path, clock: Clock
    ) -> None:
        self._build = build
        self._log = log
        self._aws = aws
        self._environment = environment
        self._folder = BuildFolder(root)
        self._clock = clock
        self._agent: Agent | None = None

    async def run(self) -> None:
        """Run the phases.

        Raises:
            Failure: The present phase ends with this status, and no further phase begins.
        """
        self._enter(PhaseType.DOWNLOAD_SOURCE)
        agent = await self._start()
        try:
            spec = await self._prepare(agent)
        except BuildspecError as error:
            raise Failure(PhaseContext("YAML_FILE_ERROR", str(error))) from error
        except VariableError as error:
            raise Failure(PhaseContext(error.code, self._log.masked(str(error)))) from error
        self.end_phase(BuildStatus.SUCCEEDED)
        phases = spec.phases
        for phase, part, goes_on in (
            (PhaseType.INSTALL, phases.install, False),
            (PhaseType.PRE_BUILD, phases.pre_build, False),
            (PhaseType.BUILD, phases.build, True),
            (PhaseType.POST_BUILD, phases.post_build, True),
        ):
            self._enter(phase)
            failed = await self._commands(agent, part)
            if failed is not None and (part.on_failure == "ABORT" or not (goes_on or part.on_failure)):
                raise Failure(failed)
            self.end_phase(BuildStatus.FAILED if failed else BuildStatus.SUCCEEDED, failed or NO_REASON)
        self._build.exported = self._folder.exported(spec.env.exported_variables)
        self._enter(PhaseType.UPLOAD_ARTIFACTS)
        self.end_phase(BuildStatus.SUCCEEDED)

    def end_phase(self, status: BuildStatus, context: PhaseContext = NO_REASON) -> None:
        """End the present phase and log it."""
        self._build.end_phase(status, self._clock(), context)
        self._log.note(f"Phase complete: {self._build.phases[-1].type} State: {status}")
        self._log.note(f"Phase context status code: {context.code} Message: {context.message}")

    async def close(self, grace_seconds: float) -> None:
        """End all processes of the build."""
        if self._agent is not None:
            await self._agent.close(grace_seconds)

    def _enter(self, phase: PhaseType) -> None:
        self._log.note(f"Entering phase {phase}")
        self._build.begin_phase(phase, self._clock())

    async def _start(self) -> Agent:
        variables = self._environment.variables(self._build, self._folder.root)
        self._folder.root.mkdir(mode=0o700)
        self._folder.make(variables)
        self._agent = await Agent.start(self._build.id, variables, self._folder.root, self._log.line)
        return self._agent

    async def _prepare(self, agent: Agent) -> Buildspec:
        """Prepare the source, the buildspec and its variables."""
        await self._check_out(agent)
        spec = buildspec.parse(self._buildspec())
        of_build = self._build.order["environment"]["environmentVariables"]
        resolved = await resolve(self._aws, spec.env, of_build)
        self._log.mask(resolved.secret)
        self._folder.define(resolved.values)
        return spec

    async def _check_out(self, agent: Agent) -> None:
        order = self._build.order
        if order["source"]["type"] == NO_SOURCE:
            return
        answer = self._folder.root / "source.json"
        version = order.get("sourceVersion", "")
        program = self._environment.toolchain.check_out(
            [order["source"]["location"], version, self._folder.source, answer]
        )
        await agent.run(self._folder.script(program, succeeding=True))
        outcome = (
            json.loads(answer.read_text(encoding="utf-8"))
            if answer.exists()
            else {"error": "the source could not be checked out"}
        )
        if "error" in outcome:
            raise Failure(PhaseContext("CLIENT_ERROR", outcome["error"]))
        self._build.resolved_version = outcome["commit"]
        self._folder.define({"CODEBUILD_RESOLVED_SOURCE_VERSION": outcome["commit"]})

    def _buildspec(self) -> str:
        given = self._build.order["source"].get("buildspec") or buildspec.DEFAULT_FILE
        if buildspec.is_inline(given):
            return str(given)
        path = self._folder.source / given
        if not path.resolve().is_relative_to(self._folder.source.resolve()):
            raise BuildspecError(f"stat {given}: the file is outside of the source")
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(_MOST_BUILDSPEC_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise BuildspecError(f"stat {path}: no such file or directory") from error

    async def _commands(self, agent: Agent, part: PhaseSpec) -> PhaseContext | None:
        """Run the commands of a phase until one fails, then those of `finally`; returns the first failure, if any."""
        failed: PhaseContext | None = None
        for commands in (part.commands, part.finally_):
            for command in commands:
                reason = await self._command(agent, command)
                failed = failed or reason
                if reason is not None:
                    break
        return failed

    async def _command(self, agent: Agent, command: str) -> PhaseContext | None:
        self._log.note(f"Running command {command}")
        status = await agent.run(self._folder.script(command, self._build.succeeding))
        if status == 0:
            return None
        self._log.note(f"Command did not exit successfully {command} exit status {status}")
        message = f"Error while executing command: {command}. Reason: exit status {status}"
        return PhaseContext("COMMAND_EXECUTION_ERROR", self._log.masked(message))
