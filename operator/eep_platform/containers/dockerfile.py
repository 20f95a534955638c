"""Parses a Dockerfile into stages of expanded instructions and their image configs.

It supports what works without a shell and rejects everything else, so that an image is never silently different from
an engine's (https://docs.docker.com/reference/dockerfile/).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import PurePosixPath

from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import WordSplitter, extract_key_values

from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import ImageConfig

_FURNISHED = ("/dev", "/proc", "/tmp")  # noqa: S108 (of the container)
_SHELL = frozenset("|&;<>()$`*?~#{}[]")


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY from the context, or from the stage `stage`, to the absolute path `target` (with a final / for a folder)."""

    sources: tuple[str, ...]
    target: str
    stage: str | None


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A secret that a command reads from a file."""

    id: str
    path: str
    required: bool


@dataclass(frozen=True, slots=True)
class Run:
    """RUN: a command, executed in `working_dir` with `environment`, which includes the build arguments."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: str
    secrets: tuple[SecretMount, ...] = ()


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """WORKDIR: creates the folder unless it exists."""

    path: str


Step = Copy | Run | MakeFolder


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its base (an image or an earlier stage), its steps and the config after them."""

    name: str
    base: str
    config: ImageConfig
    arguments: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


def parse(text: str, arguments: Mapping[str, str], environment: Mapping[str, str]) -> tuple[Stage, ...]:
    """Return the stages in order; the last one is the image.

    `arguments` are the build arguments, `environment` is the environment of every base image.

    Raises:
        BuildError: an instruction is malformed or needs an engine.
    """
    before: dict[str, str] = {}
    stages: list[Stage] = []
    for keyword, value in _instructions(text):
        try:
            if keyword == "FROM":
                stages.append(_stage(value, before, stages, environment))
            elif stages:
                stages[-1] = _apply(stages[-1], keyword, value, arguments, before)
            else:
                before |= _before_from(keyword, value, arguments)
        except (BuildError, ValueError) as error:
            raise BuildError(f"Dockerfile: {keyword} {value}: {error}") from error
    if not stages:
        raise BuildError("Dockerfile: there is no FROM")
    return tuple(stages)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    # Given a file object, the parser touches no file.
    for item in DockerfileParser(fileobj=BytesIO(text.encode()), env_replace=False).structure:
        if item["instruction"] != "COMMENT":
            yield item["instruction"], item["value"]


def _stage(value: str, arguments: Mapping[str, str], earlier: list[Stage], environment: Mapping[str, str]) -> Stage:
    base, *rest = _expand(value, arguments, {})
    name = rest[1] if len(rest) == 2 and rest[0].upper() == "AS" else ""  # noqa: PLR2004 (AS name)
    if rest and not name:
        raise BuildError("options of FROM need an engine")
    for stage in earlier:
        if stage.name == base:
            return Stage(name, base, stage.config)
    return Stage(name, base, ImageConfig(environment=dict(environment)))


def _apply(stage: Stage, keyword: str, value: str, arguments: Mapping[str, str], before: Mapping[str, str]) -> Stage:
    match keyword:
        case "ARG":
            added = _argument(value, arguments, before, stage.config.environment)
            return replace(stage, arguments={**stage.arguments, **added})
        case "COPY":
            return replace(stage, steps=(*stage.steps, _copy(stage, value)))
        case "RUN":
            environment = {**stage.arguments, **stage.config.environment}
            secrets, command = _mounts(value.strip(), stage.config.working_dir)
            step = Run(_command(command), environment, stage.config.working_dir, secrets)
            return replace(stage, steps=(*stage.steps, step))
        case "WORKDIR":
            path = _absolute(stage.config.working_dir, " ".join(_words(stage, value)))
            config = replace(stage.config, working_dir=path)
            return replace(stage, config=config, steps=(*stage.steps, MakeFolder(path)))
    return replace(stage, config=_configure(stage, keyword, value))


def _configure(stage: Stage, keyword: str, value: str) -> ImageConfig:
    config = stage.config
    match keyword:
        case "ENV":
            return replace(config, environment={**config.environment, **_pairs(stage, value)})
        case "LABEL":
            return replace(config, labels={**config.labels, **_pairs(stage, value)})
        case "USER":
            return replace(config, user="".join(_words(stage, value)))
        case "EXPOSE":
            ports = tuple(port if "/" in port else f"{port}/tcp" for port in _words(stage, value))
            return replace(config, exposed_ports=(*config.exposed_ports, *ports))
        case "ENTRYPOINT":
            return replace(config, entrypoint=_exec_form(value), command=())
        case "CMD":
            return replace(config, command=_exec_form(value))
    raise BuildError("the instruction needs an engine: install Docker, or remove the instruction")


def _before_from(keyword: str, value: str, arguments: Mapping[str, str]) -> dict[str, str]:
    if keyword != "ARG":
        raise BuildError("only ARG is allowed before FROM")
    return _argument(value, arguments, {}, {})


def _argument(
    value: str, given: Mapping[str, str], before: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    name, _, default = value.partition("=")
    name = name.strip()
    if not name.isidentifier():
        raise BuildError("write one ARG per line")
    if name in given:
        return {name: given[name]}
    return {name: "".join(_expand(default, before, environment)) or before.get(name, "")}


def _pairs(stage: Stage, value: str) -> dict[str, str]:
    pairs = extract_key_values(
        env_replace=True, args=dict(stage.arguments), envs=dict(stage.config.environment), instruction_value=value
    )
    return dict(pairs)


def _words(stage: Stage, value: str) -> list[str]:
    return _expand(value, stage.arguments, stage.config.environment)


def _expand(value: str, arguments: Mapping[str, str], environment: Mapping[str, str]) -> list[str]:
    return [str(word) for word in WordSplitter(value, args=dict(arguments), envs=dict(environment)).split() if word]


def _copy(stage: Stage, value: str) -> Copy:
    words = _words(stage, value)
    origin = None
    while words and words[0].startswith("--"):
        option, _, origin = words.pop(0).partition("=")
        if option != "--from":
            raise BuildError(f"{option} needs an engine")
    if len(words) < 2:  # noqa: PLR2004 (source and target)
        raise BuildError("it needs sources and a target")
    *sources, target = words
    folder = "/" if target.endswith(("/", "/.")) or target == "." else ""
    return Copy(tuple(sources), _absolute(stage.config.working_dir, target).rstrip("/") + folder, origin)


def _absolute(working_dir: str, path: str) -> str:
    joined = PurePosixPath("/", working_dir, path)
    if ".." in joined.parts:
        raise BuildError("the path must not contain ..")
    return str(joined)


def _exec_form(value: str) -> tuple[str, ...]:
    argv = json.loads(value) if value.lstrip().startswith("[") else None
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise BuildError('write a JSON array, ["program", "argument"]: a shell would not forward signals')
    return tuple(argv)


def _mounts(value: str, working_dir: str) -> tuple[tuple[SecretMount, ...], str]:
    """The secrets of a RUN, and the command."""
    secrets: list[SecretMount] = []
    while value.startswith("--"):
        option, _, rest = value.partition(" ")
        if not option.startswith("--mount=type=secret,"):
            raise BuildError(f"{option} needs an engine: without one, only secrets can be mounted")
        secrets.append(_secret_mount(option.removeprefix("--mount=type=secret,"), working_dir))
        value = rest.lstrip()
    return tuple(secrets), value


def _secret_mount(text: str, working_dir: str) -> SecretMount:
    fields = dict(pair.partition("=")[::2] for pair in text.split(","))
    path = fields.pop("target", fields.pop("dst", ""))
    id_ = fields.pop("id", PurePosixPath(path).name)
    required = fields.pop("required", "false") in {"", "true"}
    if fields or not id_:
        raise BuildError(f"{text} needs an engine: without one, secrets have only id, target and required")
    place = PurePosixPath(_absolute(working_dir, path or f"/run/secrets/{id_}"))
    if any(place.is_relative_to(hidden) for hidden in _FURNISHED):
        raise BuildError(f"{place} needs an engine: without one, no secret can be in {', '.join(_FURNISHED)}")
    return SecretMount(id_, str(place), required)


def _command(value: str) -> tuple[str, ...]:
    if value.lstrip().startswith("["):
        return _exec_form(value)
    if special := sorted(_SHELL & set(value)):
        raise BuildError(f"{' '.join(special)} needs a shell: without an engine, RUN takes one plain command")
    return tuple(str(word) for word in WordSplitter(value).split() if word)
