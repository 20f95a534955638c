"""Writes the page that the forwarder sends: its sources as one small file, which is kept beside them.

    python -m eep_platform.tools.page [--check]

With --check it writes nothing, and fails if the file is not that of its sources.
"""

import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import click

from eep_platform import tools
from ephemeral_endpoints.features.routing.forwarder import packing

_FOLDER = Path(packing.__file__).parent
_SOURCES = _FOLDER / "page"
_PAGE = _FOLDER / packing.MINIFIED
_INDENT = re.compile(r"^\s+", re.MULTILINE)


def minified(esbuild: Path, sources: Path = _SOURCES) -> str:
    """The page of `sources`: page.html with the style of page.css and the modules that main.js imports.

    Raises:
        subprocess.CalledProcessError: a module is not JavaScript, or imports what is not there; stderr says where.
    """
    html = _INDENT.sub("", (sources / "page.html").read_text(encoding="utf-8"))
    style, script = (_bundled(esbuild, sources / name) for name in ("page.css", "main.js"))
    return html.replace("></style>", f">{style}</style>").replace("></script>", f">{script}</script>")


def _bundled(esbuild: Path, file: Path) -> str:
    argv = [str(esbuild), file.name, "--bundle", "--minify", "--format=esm", "--charset=utf8", "--log-level=warning"]
    # Such as a text that does not exist: by default it is a warning only.
    argv.append("--log-override:import-is-undefined=error")
    return subprocess.run(  # noqa: S603 - our program
        argv, cwd=file.parent, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True
    ).stdout.strip()


def main() -> int:
    """Write or check the page; return the exit status."""
    page = minified(tools.esbuild(partial(click.echo, err=True)))
    if _PAGE.is_file() and _PAGE.read_text(encoding="utf-8") == page:
        return 0
    if "--check" in sys.argv[1:]:
        click.echo(f"{_PAGE.name} is not that of its sources: run make generate", err=True)
        return 1
    _PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
