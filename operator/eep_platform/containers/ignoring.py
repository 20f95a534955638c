"""`.dockerignore`: the files of a context that a build does not get.

Source: https://docs.docker.com/build/concepts/context/#dockerignore-files.
"""

import atexit
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

_SPECIAL = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_PARTS = re.compile(r"\*\*|\*|\?|[^*?]+")


def without_ignored(context: Path, dockerfile: Path) -> Path:
    """The context, or a copy without what is ignored, which is removed when this program ends."""
    own = dockerfile.with_name(f"{dockerfile.name}.dockerignore")
    file = own if own.is_file() else context / ".dockerignore"
    if not file.is_file():
        return context
    patterns = file.read_text(encoding="utf-8").splitlines()
    folder = tempfile.mkdtemp(prefix="context-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)

    def ignored(parent: str, names: list[str]) -> list[str]:
        below = PurePosixPath(Path(parent).relative_to(context).as_posix())
        return [name for name in names if _is_left_out(str(below / name), Path(parent, name), patterns)]

    return Path(shutil.copytree(context, Path(folder, "context"), symlinks=True, ignore=ignored))


def _is_left_out(path: str, place: Path, patterns: Sequence[str]) -> bool:
    """A folder stays while an exception could name something in it; its files are judged one by one."""
    has_exceptions = any(pattern.lstrip().startswith("!") for pattern in patterns)
    return is_ignored(path, patterns) and not (has_exceptions and place.is_dir())


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Whether a path of the context is ignored: the last pattern that matches it or a folder above decides. Pure."""
    parents = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
    result = False
    for line in patterns:
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        expression = _expression(pattern.removeprefix("!").strip("/").removeprefix("./"))
        if any(expression.fullmatch(each) for each in parents):
            result = not pattern.startswith("!")
    return result


def _expression(pattern: str) -> re.Pattern[str]:
    text = "".join(_SPECIAL.get(part, re.escape(part)) for part in _PARTS.findall(pattern))
    return re.compile(text.replace(".*/", "(?:.*/)?"))
