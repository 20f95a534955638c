"""Builds the image of a Dockerfile with no engine: from the running interpreter, wheels and copied files.

Each stage and each layer is cached under a key of all that it depends on: `stages/<key>/` are root file systems,
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

from ephemeral_endpoints.local.containers import base, commands, copying, layers, rootfs
from ephemeral_endpoints.local.containers.blobs import BlobStore
from ephemeral_endpoints.local.containers.dockerfile import Copy, MakeFolder, Run, Stage, Step, parse
from ephemeral_endpoints.local.containers.errors import BuildError
from ephemeral_endpoints.local.containers.image import CONFIG, MANIFEST, BuiltImage, Descriptor, architecture
from ephemeral_endpoints.local.containers.store import building
from ephemeral_endpoints.local.paths import write_atomically

_FORMAT = 1  # raise it when the same Dockerfile is to give other layers
_PYTHON = re.compile(r"(?:.*/)?python:(\d+\.\d+)([.-].*)?")

Report = Callable[[str], None]


def build(  # noqa: PLR0913 (each is one option of `docker build`, all by keyword)
    context: Path,
    *,
    arguments: Mapping[str, str],
    cache: Path,
    report: Report,
    file: Path | None = None,
    target: str | None = None,
    platform: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> BuiltImage:
    """Builds an image. Blocks: minutes at most the first time, well below a second from then on.

    Args:
        context: the folder to COPY from; only read.
        arguments: the build arguments.
        cache: folder of blobs and unpacked stages; several builds may share it at once.
        report: called with each step that is not in the cache.
        file: the Dockerfile, somewhere in the context; by default `Dockerfile`.
        target: the stage that is the image; by default the last.
        platform: what to build for, as `linux/amd64`; by default this machine.
        secrets: values by id, for commands that mount them; another value alone builds nothing anew.

    Raises:
        BuildError: the Dockerfile asks for what only an engine can do, or one of its commands failed.
    """
    return _prepare(context, arguments, cache, report, file, target, platform, secrets).image()


def try_out(  # noqa: PLR0913 (likewise)
    context: Path,
    *,
    arguments: Mapping[str, str],
    cache: Path,
    report: Report,
    file: Path | None = None,
    target: str | None = None,
    platform: str | None = None,
    secrets: Mapping[str, str] | None = None,
) -> None:
    """Executes all steps that the image of `target` needs into the cache, without an image as the outcome.

    So a stage may be the target that cannot be an image here, as one that runs tests. Arguments and errors are those
    of `build`.
    """
    _prepare(context, arguments, cache, report, file, target, platform, secrets).execute()


def _prepare(  # noqa: PLR0913, PLR0917 (likewise)
    context: Path,
    arguments: Mapping[str, str],
    cache: Path,
    report: Report,
    file: Path | None,
    target: str | None,
    platform: str | None,
    secrets: Mapping[str, str] | None,
) -> "_Build":
    file = _dockerfile(context, file)
    stages = parse(file.read_text(encoding="utf-8"), arguments, base.ENVIRONMENT)
    if platform not in {None, f"linux/{architecture()}"}:
        raise BuildError(f"{stages[0].base}: no match for platform in manifest: {platform}")
    return _Build(context, cache, report, _up_to(stages, target), secrets or {})


def _dockerfile(context: Path, file: Path | None) -> Path:
    file = file or context / "Dockerfile"
    if not file.is_file():
        raise BuildError(f"failed to read dockerfile: {file} is missing")
    if not file.resolve().is_relative_to(context.resolve()):
        raise BuildError(f"{file} is, or leads, out of the context {context}")
    for ignoring in (context / ".dockerignore", file.with_name(f"{file.name}.dockerignore")):
        if ignoring.exists():
            raise BuildError(f"{ignoring} needs an engine: name what to COPY instead")
    return file


def _up_to(stages: Sequence[Stage], target: str | None) -> Sequence[Stage]:
    """The stages of which `target` is the last; stages are named without regard to case, or numbered."""
    if target is None:
        return stages
    for number, stage in enumerate(stages):
        if target.lower() == stage.name.lower() or target == str(number):
            return stages[: number + 1]
    raise BuildError(f"target stage {target!r} could not be found")


@dataclass(frozen=True, slots=True)
class _Build:
    context: Path
    cache: Path
    report: Report
    stages: Sequence[Stage]
    secrets: Mapping[str, str]

    @property
    def blobs(self) -> BlobStore:
        return BlobStore(self.cache)

    def image(self) -> BuiltImage:
        final = self.stages[-1]
        steps = self._steps_upon_base(final)
        for step in steps:
            if isinstance(step, Run):
                raise BuildError(f"RUN {' '.join(step.argv)}: without an engine only earlier stages run commands")
        packed = [self._layer([base.key()], "the interpreter", lambda: self._pack(self._interpreter()))]
        packed += [self._step_layer(step) for step in steps]
        config = replace(final.config, diff_ids=tuple(diff_id for _, diff_id in packed))
        return self._assemble(config.render(), [descriptor for descriptor, _ in packed])

    def _steps_upon_base(self, stage: Stage) -> list[Step]:
        """All steps on top of the base image, those of the stages below among them."""
        if below := self._below(stage):
            return [*self._steps_upon_base(below), *stage.steps]
        self._check_base(stage.base)
        return [*stage.steps]

    def execute(self) -> None:
        """Executes the steps of the final stage, whatever they are, and of those that it needs."""
        self._root(self.stages[-1])

    def _assemble(self, config: bytes, descriptors: Sequence[Descriptor]) -> BuiltImage:
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Descriptor(CONFIG, self.blobs.add(config), len(config)).document(),
            "layers": [descriptor.document() for descriptor in descriptors],
        }
        manifest = json.dumps(document, separators=(",", ":")).encode()
        return BuiltImage(self.blobs, Descriptor(MANIFEST, self.blobs.add(manifest), len(manifest)))

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
        """All that the outcome of `step` depends on, beside the files that it starts from."""
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
        """The stage that another begins with, which stands before it: it may have the name of its own base image."""
        earlier = self.stages[: self.stages.index(stage)]
        return next((each for each in earlier if each.name == stage.base), None)

    def _named(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def _origin(self, name: str | None) -> Stage:
        stage = self._named(name or "")
        if stage is None:
            raise BuildError(f"COPY --from={name}: there is no such stage, and images need an engine")
        return stage

    def _check_base(self, image: str) -> None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        match = _PYTHON.fullmatch(image)
        if not match or match[1] != version:
            raise BuildError(f"FROM {image}: without an engine the base is Python {version}, as python:{version}-slim")


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
