"""Builds the image of a Dockerfile without an engine, upon a base made from this machine.

The files after each command and each layer are cached under a key of everything it depends on: `stages/<key>/` are
root file systems, `layers/<key>.json` names a blob. So another revision of the same files costs one small config.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from eep_platform.containers import base, commands, copying, debian, ignoring, isolation, layers, rootfs, serving_rules
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.dockerfile import Stage, parse
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import CONFIG, BuiltImage, Descriptor, architecture, assemble
from eep_platform.containers.steps import Copy, Fault, MakeFolder, Run, Step, refuse
from eep_platform.containers.store import building
from eep_platform.paths import write_atomically

_FORMAT = 3  # increase it when the same Dockerfile must give other layers
_OFFICIAL = re.compile(
    r"(?:(?:docker\.io/|public\.ecr\.aws/docker/|mirror\.gcr\.io/)?library/)?python:(?P<tag>[\w.-]+)(@.*)?"
)
_TAG = re.compile(r"(?P<minor>\d+\.\d+)(\.\d+)?(-slim)?(-(bookworm|bullseye|trixie))?")
_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_UNHASHED = re.compile(r"\bpip3?\s+install\b(?!.*--require-hashes)", re.DOTALL)

Report = Callable[[str], None]


def prepare(  # noqa: PLR0913 (each is one option of `docker build`, all by keyword)
    context: Path,
    *,
    arguments: Mapping[str, str],
    cache: Path,
    report: Report,
    file: Path | None = None,
    target: str | None = None,
    platform: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> "EnginelessBuild":
    """Parse the Dockerfile of a build; executes nothing yet.

    Args:
        context: the folder to COPY from; it is only read.
        arguments: the build arguments.
        cache: folder of blobs and unpacked stages; several builds can share it at once.
        report: called with each step that is not in the cache.
        file: the Dockerfile; by default `Dockerfile` in the context.
        target: the stage to build; by default the last.
        platform: such as `linux/amd64`; by default this machine's.
        secrets: values by id, for commands that mount them; a changed value alone rebuilds nothing.

    Raises:
        BuildError: the Dockerfile cannot be built without an engine, or SageMaker could not serve its image; the
            message has everything that is wrong, with line numbers.
    """
    file = _dockerfile(context, file)
    context = ignoring.without_ignored(context, file)
    parsed = parse(file.read_text(encoding="utf-8"), arguments, base.ENVIRONMENT)
    if not parsed.stages:
        refuse(parsed.faults)
    stages = _up_to(parsed.stages, target)
    build = EnginelessBuild(context, cache, report, stages, secrets or {})
    refuse([*parsed.faults, *build.faults(), *serving_rules.faults(stages[-1], context)])
    if platform not in {None, f"linux/{architecture()}"}:
        raise BuildError(f"{stages[0].base}: no match for platform in manifest: {platform}")
    build.warn()
    return build


def _dockerfile(context: Path, file: Path | None) -> Path:
    file = file or context / "Dockerfile"
    # Its folder may be anywhere, since buildx sends that folder beside the context. A link in it ends where it ends:
    # https://github.com/docker/buildx/blob/master/build/opt.go
    if not file.is_file() or not file.resolve().is_relative_to(file.parent.resolve()):
        raise BuildError(f"failed to read dockerfile: {file} is missing")
    return file


def _up_to(stages: Sequence[Stage], target: str | None) -> Sequence[Stage]:
    """The stages up to `target`, which is a case-insensitive name or a number."""
    if target is None:
        return stages
    for number, stage in enumerate(stages):
        if target.lower() == stage.name.lower() or target == str(number):
            return stages[: number + 1]
    raise BuildError(f"target stage {target!r} could not be found")


@dataclass(frozen=True, slots=True)
class EnginelessBuild:
    """A build of a Dockerfile, up to its target stage. Both methods block, for minutes at most the first time.

    Its base is the small one, unless a command installs packages of Debian.
    """

    context: Path
    cache: Path
    report: Report
    stages: Sequence[Stage]
    secrets: Mapping[str, str]

    @property
    def blobs(self) -> BlobStore:
        """The blobs of all images in the cache."""
        return BlobStore(self.cache)

    def faults(self) -> list[Fault]:
        """What is wrong with the bases and with what is copied."""
        return list(self._faults())

    def _faults(self) -> Iterator[Fault]:
        for number, stage in enumerate(self.stages):
            if self._below(stage) is None and (problem := _base_problem(stage.base)):
                yield Fault(stage.line, problem)
            for step in stage.steps:
                if isinstance(step, Copy) and (problem := self._copy_problem(step, self.stages[:number])):
                    yield Fault(step.line, problem)
                if isinstance(step, Run) and step.package_manager and (problem := debian.problem()):
                    yield Fault(step.line, _packages_problem(step, problem))

    def _copy_problem(self, step: Copy, earlier: Sequence[Stage]) -> str | None:
        if step.stage is not None:
            known = {name for number, stage in enumerate(earlier) for name in (stage.name, str(number)) if name}
            is_known = step.stage in known
            return None if is_known else f"COPY --from={step.stage}: there is no such stage; images need an engine"
        try:
            copying.from_context(self.context, step.sources)
        except BuildError as error:
            return str(error)
        return None

    def warn(self) -> None:
        """Report what the image has in place of its base, and what makes it differ from one build to the next."""
        local = debian.description() if self._installing else base.description()
        for image in dict.fromkeys(stage.base for stage in self.stages if self._below(stage) is None):
            self.report(f"FROM {image}: nothing can be pulled here, in its place there is {local}")
        for step in (step for stage in self.stages for step in stage.steps):
            if isinstance(step, Run) and _UNHASHED.search(step.text):
                self.report(
                    f"WARNING: line {step.line}: without hashes another build of this commit may install other "
                    "packages: lock them with `uv pip compile --generate-hashes`, and add --require-hashes"
                )

    def image(self) -> BuiltImage:
        """Build the image.

        Raises:
            BuildError: a command failed.
        """
        steps = self._steps(self.stages[-1])
        packed = [self._layer([self._base_key], "the base", lambda: layers.pack(self._base(), self.blobs))]
        for number, step in enumerate(steps, start=1):
            chain = steps[:number]
            packed.append(self._run_layer(chain) if isinstance(step, Run) else self._step_layer(chain))
        config = replace(self.stages[-1].config, diff_ids=tuple(diff_id for _, diff_id in packed))
        return assemble(self.blobs, config.render(), CONFIG, [descriptor for descriptor, _ in packed])

    def _steps(self, stage: Stage) -> list[Step]:
        """All steps on top of the base image, including those of the stages below."""
        below = self._below(stage)
        return [*(self._steps(below) if below else ()), *stage.steps]

    def execute(self) -> None:
        """Execute all steps of the target stage without making an image, for stages that only run tests.

        Raises:
            BuildError: a command failed.
        """
        self._after(self._steps(self.stages[-1]))

    def _step_layer(self, chain: Sequence[Step]) -> tuple[Descriptor, str]:
        *below, step = chain

        def pack() -> tuple[Descriptor, str]:
            with TemporaryDirectory(dir=self.cache) as folder:
                self._execute(step, Path(folder), below)
                return layers.pack(Path(folder), self.blobs, exact=isinstance(step, Copy) and step.is_special)

        facts = self._facts(step)
        # Names of owners are looked up in the files below.
        return self._layer(
            [self._key(chain)] if isinstance(step, Copy) and step.owner else facts, _describe(step), pack
        )

    def _run_layer(self, chain: Sequence[Step]) -> tuple[Descriptor, str]:
        return self._layer([self._key(chain)], _describe(chain[-1]), lambda: self._run(chain))

    def _run(self, chain: Sequence[Step]) -> tuple[Descriptor, str]:
        """Execute the last step, a command, and return the layer of what it changed; keeps the files as well."""
        *below, step = chain
        final = self._path(chain)
        lower = self._after(below)
        with building(final) as root:
            # The command may write to its files, which links would share with other stages.
            subprocess.run(["cp", "-a", lower, root], check=True)  # noqa: S603, S607 (wherever the system has it)
            commands.furnish(root)
            before = layers.inventory(root)
            self._execute(step, root, below)
            return layers.pack(root, self.blobs, layers.changes(before, layers.inventory(root)), exact=True)

    def _layer(
        self, facts: Sequence[object], what: str, pack: Callable[[], tuple[Descriptor, str]]
    ) -> tuple[Descriptor, str]:
        record = self.cache / "layers" / f"{_key(facts)}.json"
        if record.exists():
            document = json.loads(record.read_bytes())
            descriptor = Descriptor.parse(document["descriptor"])
            if descriptor.digest in self.blobs:
                return descriptor, document["diffId"]
        self.report(f"building the layer of {what}")
        self.cache.mkdir(parents=True, exist_ok=True)
        descriptor, diff_id = pack()
        write_atomically(record, json.dumps({"descriptor": descriptor.document(), "diffId": diff_id}))
        return descriptor, diff_id

    def _key(self, chain: Sequence[Step]) -> str:
        """A key of the files after steps on the base image."""
        return _key([self._base_key, *map(self._facts, chain)])

    def _path(self, chain: Sequence[Step]) -> Path:
        return self.cache / "stages" / self._key(chain)

    def _facts(self, step: Step) -> list[object]:
        """Everything that the result of `step` depends on, except the files below it."""
        match step:
            case Copy(sources, target, None):
                found = copying.from_context(self.context, sources)
                how = [target, step.owner, step.mode]
                return ["COPY", [path.name for path in found], *how, copying.fingerprint(found)]
            case Copy(sources, target, origin):
                chain = self._steps(self._origin(origin))
                return ["COPY", sources, target, step.owner, step.mode, self._key(chain)]
            case Run() | MakeFolder():
                return [type(step).__name__, {**asdict(step), "line": 0}]

    def _after(self, chain: Sequence[Step]) -> Path:
        """The root file system after steps on the base image."""
        if not chain:
            return self._base()
        final = self._path(chain)
        if isinstance(chain[-1], Run):
            if not final.exists():
                self.report(_describe(chain[-1]))
                self._run(chain)
            return final
        if not final.exists():
            commands_end = max((at for at, step in enumerate(chain, start=1) if isinstance(step, Run)), default=0)
            lower = self._after(chain[:commands_end])
            with building(final) as root:
                rootfs.clone(lower, root)
                for number, step in enumerate(chain[commands_end:], start=commands_end):
                    self._execute(step, root, chain[:number])
        return final

    def _execute(self, step: Step, root: Path, below: Sequence[Step]) -> None:
        match step:
            case Copy(sources, target, origin):
                found = (
                    copying.from_context(self.context, sources)
                    if origin is None
                    else copying.from_root(self._after(self._steps(self._origin(origin))), sources)
                )
                owner = isolation.owner_of(step.owner, self._after(below)) if step.owner else None
                copying.copy(found, root, target, copying.Attributes(owner, step.mode))
            case MakeFolder(path):
                rootfs.resolve(root, path).mkdir(parents=True, exist_ok=True)
            case Run():
                commands.run(step, root, self.secrets)

    @property
    def _installing(self) -> Run | None:
        """The first command that installs packages of Debian."""
        steps = (step for stage in self.stages for step in stage.steps)
        return next((step for step in steps if isinstance(step, Run) and step.package_manager), None)

    @property
    def _base_key(self) -> str:
        return debian.key() if self._installing else base.key()

    def _base(self) -> Path:
        """The root file system of the base image."""
        final = self.cache / "stages" / self._base_key
        if not final.exists():
            with building(final) as root:
                if not self._installing:
                    base.build(root)
                else:
                    self._build_debian(self._installing, root)
        return final

    def _build_debian(self, installing: Run, root: Path) -> None:
        self.report(f"making a base of Debian's packages, which line {installing.line} needs: a minute or two, once")
        try:
            debian.build(root)
        except BuildError as error:
            raise BuildError(str(Fault(installing.line, _packages_problem(installing, str(error))))) from error

    def _below(self, stage: Stage) -> Stage | None:
        """The earlier stage that a stage is based on, if any; a stage can have the name of its own base image."""
        earlier = self.stages[: self.stages.index(stage)]
        return next((each for each in earlier if each.name == stage.base), None)

    def _named(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def _origin(self, name: str | None) -> Stage:
        return self._named(name or "") or self.stages[int(name or "")]


def _base_problem(image: str) -> str | None:
    """Why a base image has no stand-in on this machine; None if it has one. Pure."""
    official = _OFFICIAL.fullmatch(image)
    tag = _TAG.fullmatch(official["tag"]) if official else None
    if tag and tag["minor"] == _VERSION:
        return None
    return (
        f"FROM {image}: nothing can be pulled here, and without an engine only the official image of Python {_VERSION} "
        f"has a stand-in: write FROM python:{_VERSION}-slim, or install an engine (Docker, Podman, buildah, BuildKit)"
    )


def _packages_problem(step: Run, problem: str) -> str:
    return (
        f"RUN {step.text}: {step.package_manager} needs a base of Debian's packages, which cannot be made here. Change "
        f"that, install a wheel from PyPI, or build with an engine (Docker, Podman, buildah, BuildKit): {problem}"
    )


def _key(facts: Sequence[object]) -> str:
    return sha256(json.dumps([_FORMAT, *facts], sort_keys=True).encode()).hexdigest()


def _describe(step: Step) -> str:
    match step:
        case Copy(sources, target, origin):
            return f"COPY {f'--from={origin} ' if origin else ''}{' '.join(sources)} {target}"
        case MakeFolder(path):
            return f"WORKDIR {path}"
        case Run():
            return f"RUN {step.text}"
