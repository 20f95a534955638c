"""What SageMaker would stumble over, as far as a Dockerfile and the files that it copies show it.

SageMaker runs `docker run IMAGE serve` and sends GET /ping and POST /invocations to port 8080
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from eep_platform.containers import copying
from eep_platform.containers.dockerfile import Stage
from eep_platform.containers.errors import BuildError
from eep_platform.containers.steps import Copy, Fault, Run

_PORT: Final = 8080
_PATHS: Final = ("/ping", "/invocations")
_SERVERS: Final = ("uvicorn", "gunicorn", "hypercorn", "waitress-serve", "flask", "fastapi")
"""Servers of which none listens on port 8080 of every address unless it is told to."""

_FRAMEWORK: Final = re.compile(
    r"^\s*(?:from|import)\s+(?:fastapi|flask|starlette|sanic|bottle|falcon|tornado|aiohttp\.web|http\.server)\b",
    re.MULTILINE,
)
_GIVEN_PORT: Final = re.compile(
    r"(?:--port[= ]|-p |(?:--bind|-b|--listen|--host)[= ]\S*?:|:)(?P<port>\d{2,5})(?!\S*\.\d)(?:\s|$)"
)
_TEXT_BYTES: Final = 1 << 20
_SOURCES: Final = frozenset({".py", ".conf", ".r", ".R", ".js", ".sh", ".toml", ".yaml", ".yml", ""})


def faults(stage: Stage, context: Path) -> list[Fault]:
    """Everything in the stage of an image for which SageMaker could not serve it. Reads what it copies."""
    files = dict(_texts(stage, context))
    return [*_answer_to_serve(stage, files), *_listening(stage), *_routes(stage, files)]


def _answer_to_serve(stage: Stage, files: Iterable[Path]) -> Iterator[Fault]:
    config = stage.config
    line = stage.lines.get("ENTRYPOINT", stage.lines.get("CMD", stage.line))
    if config.command and not config.entrypoint:
        others = any(isinstance(step, Run) or (isinstance(step, Copy) and step.stage) for step in stage.steps)
        # What a command or another stage has made is not known yet: the operator looks for it in the image.
        is_known = not others or _server(config.command) is not None
        if is_known and not any(file.name == "serve" for file in files):
            yield Fault(
                line,
                "CMD: SageMaker replaces it with the word serve, and there is no program of that name: write "
                f"ENTRYPOINT {_suggested(config.command)}",
            )
    program = _server(config.entrypoint)
    if program in {"uvicorn", "hypercorn", "flask", "fastapi", "waitress-serve"} and config.entrypoint[0] != "/bin/sh":
        yield Fault(
            line,
            f"ENTRYPOINT: SageMaker adds the word serve, which {program} refuses: write ENTRYPOINT exec "
            f"{' '.join(config.entrypoint)}, without brackets, so that a shell takes the word",
        )


def _listening(stage: Stage) -> Iterator[Fault]:
    ports = {port.partition("/")[0] for port in stage.config.exposed_ports}
    if ports and str(_PORT) not in ports:
        yield Fault(
            stage.lines.get("EXPOSE", stage.line),
            f"EXPOSE {' '.join(sorted(ports))}: SageMaker sends requests to port {_PORT}: listen there, and EXPOSE it",
        )
    command = " ".join(stage.config.argv)
    program = _server(stage.config.argv)
    if program is None:
        return
    line = stage.lines.get("ENTRYPOINT", stage.lines.get("CMD", stage.line))
    given = [int(match["port"]) for match in _GIVEN_PORT.finditer(command)]
    wanted = f"--host 0.0.0.0 --port {_PORT}" if program != "gunicorn" else f"--bind 0.0.0.0:{_PORT}"
    if program == "gunicorn" and ("-c " in command or "--config" in command):
        return
    if any(port != _PORT for port in given):
        yield Fault(line, f"{program} listens on port {given[0]}, SageMaker sends requests to {_PORT}: write {wanted}")
    elif not given:
        yield Fault(line, f"{program} does not listen on port {_PORT} by itself, as SageMaker needs it: add {wanted}")
    elif "0.0.0.0" not in command and "[::]" not in command:  # noqa: S104 - of a container
        yield Fault(
            line, f"{program} listens on 127.0.0.1, which nothing outside of its container reaches: add {wanted}"
        )


def _routes(stage: Stage, files: dict[Path, str]) -> Iterator[Fault]:
    if not any(file.suffix == ".py" and _FRAMEWORK.search(text) for file, text in files.items()):
        return
    for path in _PATHS:
        if not any(path in text for text in files.values()):
            names = ", ".join(sorted(file.name for file, text in files.items() if _FRAMEWORK.search(text)))
            method = "GET" if path == "/ping" else "POST"
            yield Fault(
                max((step.line for step in stage.steps if isinstance(step, Copy)), default=stage.line),
                f"no file that is copied has the path {path}: SageMaker sends {method} {path}: add it to {names}",
            )


def _server(argv: tuple[str, ...]) -> str | None:
    """The well-known server that a command starts."""
    words = [Path(word).name for word in " ".join(argv).replace("exec ", "").split()]
    return next((word for word in words if word in _SERVERS), None)


def _suggested(command: tuple[str, ...]) -> str:
    text = " ".join(command[2:] if command[:2] == ("/bin/sh", "-c") else command)
    return f"exec {text.removeprefix('exec ')}, without brackets, so that a shell takes the word"


def _texts(stage: Stage, context: Path) -> Iterator[tuple[Path, str]]:
    """The sources that the stage copies from the context."""
    for step in stage.steps:
        if not isinstance(step, Copy) or step.stage is not None:
            continue
        try:
            found = copying.from_context(context, step.sources)
        except BuildError:
            continue  # told elsewhere
        for source in found:
            for path in source.rglob("*") if source.is_dir() else [source]:
                if path.is_file() and path.suffix in _SOURCES and path.stat().st_size <= _TEXT_BYTES:
                    yield path, path.read_text(encoding="utf-8", errors="replace")
