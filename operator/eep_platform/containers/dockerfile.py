"""Parses a Dockerfile into stages of expanded instructions and their image configs.

It rejects what it does not support, so that an image is never silently different from an engine's
(https://docs.docker.com/reference/dockerfile/).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import PurePosixPath

from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import WordSplitter, extract_key_values

from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import ImageConfig, architecture
from eep_platform.containers.steps import Copy, Fault, MakeFolder, Run, SecretMount, Step

_FURNISHED = ("/dev", "/proc", "/tmp")  # noqa: S108 (of the container)
_SHELL = ("/bin/sh", "-c")
_ENGINE = "build it with an engine (Docker, Podman, buildah, BuildKit)"
_ARCHIVE = re.compile(r"\.(tar|tgz|tbz2?|txz|tar\.\w+)$")
_OF_DEBIAN = frozenset({"apt-get", "apt"})
# They change nothing that SageMaker does: https://docs.docker.com/reference/dockerfile/.
_WITHOUT_EFFECT = frozenset({"HEALTHCHECK", "MAINTAINER", "STOPSIGNAL", "VOLUME"})


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: its base (an image or an earlier stage), its steps and the config after them.

    `lines` has the last line of each instruction by its keyword.
    """

    name: str
    base: str
    config: ImageConfig
    line: int = 0
    lines: Mapping[str, int] = field(default_factory=dict)
    shell: tuple[str, ...] = _SHELL
    arguments: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Parsed:
    """The stages in order, of which the last is the image, and everything that is wrong with them."""

    stages: tuple[Stage, ...]
    faults: tuple[Fault, ...]


def parse(text: str, arguments: Mapping[str, str], environment: Mapping[str, str]) -> Parsed:
    """Parse a whole Dockerfile; a faulty instruction is left out of its stage.

    `arguments` are the build arguments, `environment` is the environment of every base image.
    """
    before: dict[str, str] = {}
    stages: list[Stage] = []
    faults: list[Fault] = []
    for line, keyword, value in _instructions(text):
        try:
            if keyword == "FROM":
                stages.append(replace(_stage(value, before, stages, environment), line=line))
            elif stages:
                stage = replace(stages[-1], lines={**stages[-1].lines, keyword: line})
                stages[-1] = stage
                stages[-1] = _apply(stage, keyword, value, line, arguments, before)
            else:
                before |= _before_from(keyword, value, arguments)
        except (BuildError, ValueError) as error:
            faults.append(Fault(line, f"{keyword} {value}: {error}"))
    if not stages and not faults:
        faults.append(Fault(1, "there is no FROM"))
    return Parsed(tuple(stages), tuple(faults))


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    # Given a file object, the parser touches no file.
    for item in DockerfileParser(fileobj=BytesIO(text.encode()), env_replace=False).structure:
        if item["instruction"] != "COMMENT":
            yield item["startline"] + 1, item["instruction"], item["value"]


def _stage(value: str, arguments: Mapping[str, str], earlier: list[Stage], environment: Mapping[str, str]) -> Stage:
    automatic = {"BUILDPLATFORM": f"linux/{architecture()}", "TARGETPLATFORM": f"linux/{architecture()}"}
    words = _expand(value, {**automatic, **arguments}, {})
    if words and words[0].startswith("--platform="):
        platform = words.pop(0).partition("=")[2]
        if platform not in automatic.values():
            raise BuildError(f"without an engine, only linux/{architecture()} can be built")
    base, *rest = words or [""]
    name = rest[1] if len(rest) == 2 and rest[0].upper() == "AS" else ""  # noqa: PLR2004 (AS name)
    if not base or (rest and not name):
        raise BuildError("write FROM image, or FROM image AS name")
    for stage in earlier:
        if stage.name == base:
            return Stage(name, base, stage.config, shell=stage.shell)
    return Stage(name, base, ImageConfig(environment=dict(environment)))


def _apply(  # noqa: PLR0913, PLR0917 (the instruction and all that it can refer to)
    stage: Stage,
    keyword: str,
    value: str,
    line: int,
    arguments: Mapping[str, str],
    before: Mapping[str, str],
) -> Stage:
    match keyword:
        case "ARG":
            added = _argument(value, arguments, before, stage.config.environment)
            return replace(stage, arguments={**stage.arguments, **added})
        case "COPY" | "ADD":
            return replace(stage, steps=(*stage.steps, _copy(stage, keyword, value, line)))
        case "RUN":
            return replace(stage, steps=(*stage.steps, _run(stage, value.strip(), line)))
        case "WORKDIR":
            path = _absolute(stage.config.working_dir, " ".join(_words(stage, value)))
            config = replace(stage.config, working_dir=path)
            return replace(stage, config=config, steps=(*stage.steps, MakeFolder(path, line)))
        case "SHELL":
            return replace(stage, shell=_exec_form(value))
    return stage if keyword in _WITHOUT_EFFECT else replace(stage, config=_configure(stage, keyword, value))


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
            return replace(config, entrypoint=_command(stage, value), command=())
        case "CMD":
            return replace(config, command=_command(stage, value))
    raise BuildError(f"without an engine, there is no such instruction: {_ENGINE}, or remove it")


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


def _copy(stage: Stage, keyword: str, value: str, line: int) -> Copy:
    words = _words(stage, value) if not value.lstrip().startswith("[") else list(_exec_form(value))
    options: dict[str, str] = {}
    while words and words[0].startswith("--"):
        option, _, options[option] = words.pop(0).partition("=")
    if unknown := options.keys() - {"--from", "--chown", "--chmod", "--link"}:
        raise BuildError(f"{min(unknown)}: {_ENGINE}, or remove the option")
    if len(words) < 2:  # noqa: PLR2004 (source and target)
        raise BuildError("it needs sources and a target")
    *sources, target = words
    if any(source.startswith("<<") for source in sources):
        raise BuildError(f"a here-document: {_ENGINE}, or COPY a file")
    if keyword == "ADD" and any("://" in source or _ARCHIVE.search(source) for source in sources):
        raise BuildError(f"ADD of a URL or an archive: {_ENGINE}, or download and unpack it with RUN")
    folder = "/" if target.endswith(("/", "/.")) or target == "." else ""
    path = _absolute(stage.config.working_dir, target).rstrip("/") + folder
    mode = int(options["--chmod"], 8) if "--chmod" in options else None
    return Copy(tuple(sources), path, options.get("--from"), options.get("--chown", ""), mode, line)


def _absolute(working_dir: str, path: str) -> str:
    joined = PurePosixPath("/", working_dir, path)
    if ".." in joined.parts:
        raise BuildError("the path must not contain ..")
    return str(joined)


def _exec_form(value: str) -> tuple[str, ...]:
    argv = json.loads(value) if value.lstrip().startswith("[") else None
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise BuildError('write a JSON array: ["program", "argument"]')
    return tuple(argv)


def _command(stage: Stage, value: str) -> tuple[str, ...]:
    """A command in either form; a shell executes what is no JSON array."""
    return _exec_form(value) if value.lstrip().startswith("[") else (*stage.shell, value.strip())


def _run(stage: Stage, value: str, line: int) -> Run:
    secrets: list[SecretMount] = []
    caches: list[str] = []
    working_dir = stage.config.working_dir
    while value.startswith("--"):
        option, _, rest = value.partition(" ")
        if option.startswith("--mount=type=secret"):
            secrets.append(_secret_mount(option.removeprefix("--mount=type=secret").lstrip(","), working_dir))
        elif option.startswith("--mount=type=cache,"):
            fields = dict(pair.partition("=")[::2] for pair in option.split(","))
            caches.append(_absolute(working_dir, fields.get("target") or fields.get("dst", "/")))
        else:
            raise BuildError(f"{option}: {_ENGINE}; without one, RUN mounts only secrets and caches")
        value = rest.lstrip()
    if value.startswith("<<"):
        raise BuildError(f"a here-document: {_ENGINE}, or join the commands with &&")
    environment = {**stage.arguments, **stage.config.environment}
    argv = _command(stage, value)
    run = Run(argv, value, environment, working_dir, stage.config.user, tuple(secrets), tuple(caches), line)
    if run.package_manager not in {None, *_OF_DEBIAN}:
        raise BuildError(f"{run.package_manager} is not in the official Python images: use apt-get, or {_ENGINE}")
    return run


def _secret_mount(text: str, working_dir: str) -> SecretMount:
    fields = dict(pair.partition("=")[::2] for pair in text.split(","))
    path = fields.pop("target", fields.pop("dst", ""))
    id_ = fields.pop("id", PurePosixPath(path).name)
    required = fields.pop("required", "false") in {"", "true"}
    if fields or not id_:
        raise BuildError(f"{text}: {_ENGINE}; without one, secrets have only id, target and required")
    place = PurePosixPath(_absolute(working_dir, path or f"/run/secrets/{id_}"))
    if any(place.is_relative_to(hidden) for hidden in _FURNISHED):
        raise BuildError(f"{place}: {_ENGINE}; without one, no secret can be in {', '.join(_FURNISHED)}")
    return SecretMount(id_, str(place), required)
