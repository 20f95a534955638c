"""The deployment package of a reaper: the one file, and one that sets its rules."""

import io
import json
import zipfile
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from ephemeral_endpoints.features.expiry.reaper import bundle

HANDLER: Final = "main.handle"
"""``Handler`` of CreateFunction: module and function in the zip."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_READABLE_FILE: Final = 0o100644 << 16
_KEPT: Final = 8


def package(settings: Mapping[str, str]) -> bytes:
    """The archive for ``ZipFile``; equal settings yield the same bytes on every machine."""
    return _package(json.dumps(settings, sort_keys=True))


@lru_cache(maxsize=_KEPT)
def _package(settings: str) -> bytes:
    main = f"import os\n\nos.environ.update({settings})\n\nfrom index import handle\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, text in (("index.py", bundle.source()), ("main.py", main)):
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = _READABLE_FILE
            archive.writestr(entry, text)
    return buffer.getvalue()
