"""The phases of a build in which something of its own happens, from its source on."""

import json
from pathlib import Path

from ephemeral_endpoints.local.codebuild import buildspec
from ephemeral_endpoints.local.codebuild.agent import Agent, Workshop
from ephemeral_endpoints.local.codebuild.builds import NO_REASON, Build, Context, PhaseType, Status
from ephemeral_endpoints.local.codebuild.buildspec import Buildspec, BuildspecError, PhaseSpec
from ephemeral_endpoints.local.codebuild.environment import BuildEnvironment
from ephemeral_endpoints.local.codebuild.logs import BuildLog
from ephemeral_endpoints.local.codebuild.projects import NO_SOURCE
from ephemeral_endpoints.local.codebuild.variables import VariableError, resolve
from ephemeral_endpoints.local.sagemaker.aws import Aws
from ephemeral_endpoints.local.sagemaker.store import Clock

_MOST_BUILDSPEC_BYTES = 1 << 20


class Failure(Exception):  # noqa: N818 (how a phase ends, which its caller expects)
    """The phase ends the build."""

    def __init__(self, context: Context, status: Status = Status.FAILED) -> None:
        super().__init__(context.message)
        self.context = context
        self.status = status


class Job:
    """One build from DOWNLOAD_SOURCE to UPLOAD_ARTIFACTS, with its processes in the folder `root`."""

    def __init__(  # noqa: PLR0913, PLR0917 (all that a build needs)
        self, build: Build, log: BuildLog, aws: Aws, environment: BuildEnvironment, root: Path, clock: Clock
    ) -> None:
        self._build = build
        self._log = log
        self._aws = aws
        self._environment = environment
        self._workshop = Workshop(root)
        self._clock = clock
        self._agent: Agent | None = None

    async def run(self) -> None:
        """Go through the phases.

        Raises:
            Failure: The phase that it is in is to end so, and no other of its own phases to begin.
        """
        self._enter(PhaseType.DOWNLOAD_SOURCE)
        agent = await self._start()
        try:
            spec = await self._prepare(agent)
        except BuildspecError as error:
            raise Failure(Context("YAML_FILE_ERROR", str(error))) from error
        except VariableError as error:
            raise Failure(Context(error.code, self._log.masked(str(error)))) from error
        self.leave(Status.SUCCEEDED)
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
            self.leave(Status.FAILED if failed else Status.SUCCEEDED, failed or NO_REASON)
        self._enter(PhaseType.UPLOAD_ARTIFACTS)
        self.leave(Status.SUCCEEDED)

    def leave(self, status: Status, context: Context = NO_REASON) -> None:
        """End the phase that the build is in, and tell the log."""
        self._build.leave(status, self._clock(), context)
        self._log.note(f"Phase complete: {self._build.phases[-1].type} State: {status}")
        self._log.note(f"Phase context status code: {context.code} Message: {context.message}")

    async def close(self, grace_seconds: float) -> None:
        """End all processes of the build."""
        if self._agent is not None:
            await self._agent.close(grace_seconds)

    def _enter(self, phase: PhaseType) -> None:
        self._log.note(f"Entering phase {phase}")
        self._build.enter(phase, self._clock())

    async def _start(self) -> Agent:
        variables = self._environment.variables(self._build, self._workshop.root)
        self._workshop.root.mkdir(mode=0o700)
        self._workshop.make(variables)
        self._agent = await Agent.start(self._build.id, variables, self._workshop.root, self._log.line)
        return self._agent

    async def _prepare(self, agent: Agent) -> Buildspec:
        """Have the source, the buildspec and its variables in place."""
        await self._check_out(agent)
        spec = buildspec.parse(self._buildspec())
        of_build = self._build.order["environment"]["environmentVariables"]
        resolved = await resolve(self._aws, spec.env, of_build)
        self._log.mask(resolved.secret)
        self._workshop.define(resolved.values)
        return spec

    async def _check_out(self, agent: Agent) -> None:
        order = self._build.order
        if order["source"]["type"] == NO_SOURCE:
            return
        answer = self._workshop.root / "source.json"
        version = order.get("sourceVersion", "")
        program = self._environment.toolchain.check_out(
            [order["source"]["location"], version, self._workshop.source, answer]
        )
        await agent.run(self._workshop.script(program, succeeding=True))
        told = (
            json.loads(answer.read_text(encoding="utf-8"))
            if answer.exists()
            else {"error": "the source could not be checked out"}
        )
        if "error" in told:
            raise Failure(Context("CLIENT_ERROR", told["error"]))
        self._build.resolved_version = told["commit"]
        self._workshop.define({"CODEBUILD_RESOLVED_SOURCE_VERSION": told["commit"]})

    def _buildspec(self) -> str:
        given = self._build.order["source"].get("buildspec") or buildspec.DEFAULT_FILE
        if buildspec.is_inline(given):
            return str(given)
        path = self._workshop.source / given
        if not path.resolve().is_relative_to(self._workshop.source.resolve()):
            raise BuildspecError(f"stat {given}: it is not in the source")
        try:
            with path.open(encoding="utf-8") as file:
                return file.read(_MOST_BUILDSPEC_BYTES)
        except (OSError, UnicodeDecodeError) as error:
            raise BuildspecError(f"stat {path}: no such file or directory") from error

    async def _commands(self, agent: Agent, part: PhaseSpec) -> Context | None:
        """Run the commands of a phase until one fails, then those of its `finally`; why it failed, if it did."""
        failed: Context | None = None
        for commands in (part.commands, part.finally_):
            for command in commands:
                reason = await self._command(agent, command)
                failed = failed or reason
                if reason is not None:
                    break
        return failed

    async def _command(self, agent: Agent, command: str) -> Context | None:
        self._log.note(f"Running command {command}")
        status = await agent.run(self._workshop.script(command, self._build.succeeding))
        if status == 0:
            return None
        self._log.note(f"Command did not exit successfully {command} exit status {status}")
        message = f"Error while executing command: {command}. Reason: exit status {status}"
        return Context("COMMAND_EXECUTION_ERROR", self._log.masked(message))
