"""The page as it is packed into the bundle. Not part of the bundle itself."""

import bz2
from functools import cache
from importlib.resources import files
from typing import Final

MINIFIED: Final = "page.min.html"
"""The file with the page, which ``make generate`` makes of the sources in ``page``."""


@cache
def document() -> str:
    """The page as browsers get it."""
    return files("ephemeral_endpoints.features.routing.forwarder").joinpath(MINIFIED).read_text(encoding="utf-8")


@cache
def packed() -> bytes:
    """The content of ``page.PACKED``; ``page.unpacked`` is the inverse."""
    return bz2.compress(document().encode())
