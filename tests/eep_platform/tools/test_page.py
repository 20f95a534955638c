import re
import shutil
import subprocess
from pathlib import Path

import pytest

from eep_platform.tools import page
from ephemeral_endpoints.features.routing.forwarder import packing

SOURCES = Path(packing.__file__).parent / "page"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the page's sources, to change."""
    return Path(shutil.copytree(SOURCES, tmp_path / "page"))


def test_the_page_is_that_of_its_sources_on_every_machine(esbuild: Path, sources: Path) -> None:
    assert page.minified(esbuild, sources) == packing.document(), "make generate writes it anew"


def test_a_name_that_no_module_exports_is_an_error(esbuild: Path, sources: Path) -> None:
    main = sources / "main.js"
    main.write_text(main.read_text().replace("TEXT.loading", "TEXT.loadnig"))
    with pytest.raises(subprocess.CalledProcessError):
        page.minified(esbuild, sources)


def test_every_text_is_used() -> None:
    scripts = "".join(file.read_text() for file in SOURCES.glob("*.js") if file.name != "text.js")
    words = re.findall(r"^export const (\w+)", (SOURCES / "text.js").read_text(), re.MULTILINE)
    assert len(words) > 50
    assert [word for word in words if f"TEXT.{word}" not in scripts] == []
