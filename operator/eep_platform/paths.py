"""The paths of the embedded platform's files: the cache, and the state of a running platform."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

_APPLICATION = "ephemeral-endpoints"


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """The cache folder, which can be deleted: `$XDG_CACHE_HOME/ephemeral-endpoints`, by default under `~/.cache`.

    This does not create it. A relative `XDG_CACHE_HOME` is ignored, as the XDG Base Directory Specification requires.
    """
    configured = Path(environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path(environ.get("HOME") or Path.home()) / ".cache"
    return base / _APPLICATION


def record_file(state: Path, name: str) -> Path:
    """The file with the record of the process `name` in the platform of `state` (an absolute path)."""
    return state.resolve() / "run" / f"{name}.json"


def log_file(state: Path, name: str) -> Path:
    """The file for the output of the process `name` (an absolute path)."""
    return state.resolve() / "log" / f"{name}.log"


def private_dir(path: Path) -> Path:
    """Create the folder `path` for its owner only, unless it exists; returns it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace the file `path`: a reader sees either the old or the new content.

    Only the owner can read the file; missing folders are created. A power failure may lose the write, but the death of
    this process cannot leave a partial file.
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
