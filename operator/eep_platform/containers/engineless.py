"""Builds the image of a Dockerfile without an engine: from the running interpreter, wheels and copied files.

Each stage and each layer is cached under a key of everything it depends on: `stages/<key>/` are root file systems,
`layers/<key>.json` names a blob. So another revision of the same files costs one small config.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from eep_platform.containers import base, commands, copying, layers, rootfs
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.dockerfile import Copy, MakeFolder, Run, Stage, Step, parse
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import CONFIG, BuiltImage, Descriptor, architecture, assemble
from eep_platform.containers.store import building
from eep_platform.paths import write_atomically

_FORMAT = 1  # increase it when the same Dockerfile must give other layers
_PYTHON = re.compile(r"(?:.*/)?python:(\d+\.\d+)([.-].*)?")

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
        BuildError: the Dockerfile cannot be built without an engine.
    """
    file = _dockerfile(context, file)
    stages = parse(file.read_text(encoding="utf-8"), arguments, base.ENVIRONMENT)
    if platform not in {None, f"linux/{architecture()}"}:
        raise BuildError(f"{stages[0].base}: no match for platform in manifest: {platform}")
    return EnginelessBuild(context, cache, report, _up_to(stages, target), secrets or {})


def _dockerfile(context: Path, file: Path | None) -> Path:
    file = file or context / "Dockerfile"
    # Its folder may be anywhere, since buildx sends that folder beside the context. A link in it ends where it ends:
    # https://github.com/docker/buildx/blob/master/build/opt.go
    if not file.is_file() or not file.resolve().is_relative_to(file.parent.resolve()):
        raise BuildError(f"failed to read dockerfile: {file} is missing")
    for ignoring in (context / ".dockerignore", file.with_name(f"{file.name}.dockerignore")):
        if ignoring.exists():
            raise BuildError(f"{ignoring} needs an engine: COPY only the files that the image needs instead")
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
    """A build of a Dockerfile, up to its target stage. Both methods block, for minutes at most the first time."""

    context: Path
    cache: Path
    report: Report
    stages: Sequence[Stage]
    secrets: Mapping[str, str]

    @property
    def blobs(self) -> BlobStore:
        """The blobs of all images in the cache."""
        return BlobStore(self.cache)

    def image(self) -> BuiltImage:
        """Build the image.

        Raises:
            BuildError: an instruction needs an engine, or a command failed.
        """
        final = self.stages[-1]
        steps = self._steps_upon_base(final)
        for step in steps:
            if isinstance(step, Run):
                raise BuildError(f"RUN {' '.join(step.argv)}: without an engine, only earlier stages can run commands")
        packed = [self._layer([base.key()], "the interpreter", lambda: self._pack(self._interpreter()))]
        packed += [self._step_layer(step) for step in steps]
        config = replace(final.config, diff_ids=tuple(diff_id for _, diff_id in packed))
        return assemble(self.blobs, config.render(), CONFIG, [descriptor for descriptor, _ in packed])

    def _steps_upon_base(self, stage: Stage) -> list[Step]:
        """All steps on top of the base image, including those of the stages below."""
        if below := self._below(stage):
            return [*self._steps_upon_base(below), *stage.steps]
        self._check_base(stage.base)
        return [*stage.steps]

    def execute(self) -> None:
        """Execute all steps of the target stage, even those that no image can have here, such as tests.

        Raises:
            BuildError: an instruction needs an engine, or a command failed.
        """
        self._root(self.stages[-1])

    def _step_layer(self, step: Step) -> tuple[Descriptor, str]:
        def pack() -> tuple[Descriptor, str]:
            with TemporaryDirectory(dir=self.cache) as folder:
                self._execute(step, Path(folder))
                return self._pack(Path(folder))

        return self._layer(self._facts(step), _describe(step), pack)

    def _pack(self, folder: Path) -> tuple[Descriptor, str]:
        return layers.pack(folder, self.blobs)

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

    def _stage_key(self, stage: Stage) -> str:
        below = self._below(stage)
        facts: list[object] = [self._stage_key(below) if below else base.key()]
        return _key([*facts, *(self._facts(step) for step in stage.steps)])

    def _facts(self, step: Step) -> list[object]:
        """Everything that the result of `step` depends on, except the files below it."""
        match step:
            case Copy(sources, target, None):
                found = copying.from_context(self.context, sources)
                return ["COPY", [path.name for path in found], target, copying.fingerprint(found)]
            case Copy(sources, target, origin):
                return ["COPY", sources, target, self._stage_key(self._origin(origin))]
            case Run() | MakeFolder():
                return [type(step).__name__, asdict(step)]

    def _root(self, stage: Stage) -> Path:
        """The root file system after the last step of `stage`."""
        final = self.cache / "stages" / self._stage_key(stage)
        if not final.exists():
            below = self._below(stage)
            if below is None:
                self._check_base(stage.base)
            lower = self._root(below) if below else self._interpreter()
            with building(final) as root:
                rootfs.clone(lower, root)
                for step in stage.steps:
                    self.report(_describe(step))
                    self._execute(step, root)
        return final

    def _execute(self, step: Step, root: Path) -> None:
        match step:
            case Copy(sources, target, None):
                copying.copy(copying.from_context(self.context, sources), root, target)
            case Copy(sources, target, origin):
                copying.copy(copying.from_root(self._root(self._origin(origin)), sources), root, target)
            case MakeFolder(path):
                rootfs.resolve(root, path).mkdir(parents=True, exist_ok=True)
            case Run():
                commands.run(step, root, self.secrets)

    def _interpreter(self) -> Path:
        final = self.cache / "stages" / base.key()
        if not final.exists():
            with building(final) as root:
                base.build(root)
        return final

    def _below(self, stage: Stage) -> Stage | None:
        """The earlier stage that a stage is based on, if any; a stage can have the name of its own base image."""
        earlier = self.stages[: self.stages.index(stage)]
        return next((each for each in earlier if each.name == stage.base), None)

    def _named(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def _origin(self, name: str | None) -> Stage:
        stage = self._named(name or "")
        if stage is None:
            raise BuildError(f"COPY --from={name}: there is no such stage; images need an engine")
        return stage

    def _check_base(self, image: str) -> None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        match = _PYTHON.fullmatch(image)
        if not match or match[1] != version:
            raise BuildError(
                f"FROM {image}: without an engine, the base must be Python {version}: python:{version}-slim"
            )


def _key(facts: Sequence[object]) -> str:
    return sha256(json.dumps([_FORMAT, *facts], sort_keys=True).encode()).hexdigest()


def _describe(step: Step) -> str:
    match step:
        case Copy(sources, target, origin):
            return f"COPY {f'--from={origin} ' if origin else ''}{' '.join(sources)} {target}"
        case MakeFolder(path):
            return f"WORKDIR {path}"
        case Run(argv):
            return f"RUN {' '.join(argv)}"
