"""Where the embedded platform keeps its files: what may be thrown away, and what describes one running platform."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

_APPLICATION = "ephemeral-endpoints"


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Folder of what can be made again: `$XDG_CACHE_HOME/ephemeral-endpoints`, by default under `~/.cache`.

    It is not created here. A relative `XDG_CACHE_HOME` is ignored, as the XDG Base Directory Specification demands.
    """
    configured = Path(environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path(environ.get("HOME") or Path.home()) / ".cache"
    return base / _APPLICATION


def record_file(state: Path, name: str) -> Path:
    """File that says which process serves as `name` in the platform of `state` (an absolute path)."""
    return state.resolve() / "run" / f"{name}.json"


def log_file(state: Path, name: str) -> Path:
    """File that the output of the process `name` is appended to (an absolute path)."""
    return state.resolve() / "log" / f"{name}.log"


def private_dir(path: Path) -> Path:
    """Create the folder `path`, readable by its owner only, unless it exists; returns it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file `path`: a reader sees all of the old content or all of the new.

    The file is readable by its owner only; missing folders are created. A power failure may lose the write, the death
    of this process cannot tear it.
    """
    private_dir(path.parent)
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
