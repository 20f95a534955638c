"""The forwarder's deployment package: its modules and its configuration in one reproducible zip."""

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig

HANDLER: Final = "ephemeral_endpoints.features.routing.forwarder.handler.handle"
"""``Handler`` of CreateFunction: module and function in the zip."""

RUNTIME: Final = "python3.13"
"""``Runtime`` of CreateFunction; AWS supports it until 2029-06-30 (Lambda developer guide, "Supported runtimes")."""

TIMEOUT_SECONDS: Final = 30
"""``Timeout`` of CreateFunction: the maximum that an HTTP API waits for an integration (API Gateway quotas)."""

MEMORY_MB: Final = 512
"""``MemorySize`` of CreateFunction: CPU scales with memory, and with less the import of boto3 slows cold starts."""

_PACKAGE = "ephemeral_endpoints.features.routing.forwarder"
_FOLDER = _PACKAGE.replace(".", "/")
_MODULES = (
    "__init__",
    "asynchronous",
    "config",
    "handler",
    "inference_id",
    "invocation",
    "messages",
    "parameters",
    "readiness",
    "variants",
)

# The oldest timestamp of a zip: the bundle must not depend on the time or the checkout that it is built from.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_EPOCH_DATE = 1 << 5 | 1
_UNIX = 3
_READABLE_FILE = 0o100644 << 16

# The parts of a zip: "local file header", "central directory header" and "end of central directory record" of
# https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.
_FILE = struct.Struct("<4s5H3L2H")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_VERSION = 20


@dataclass(frozen=True, slots=True)
class Bundle:
    """A deployment package for CreateFunction and UpdateFunctionCode.

    Attributes:
        zip: the archive, for ``ZipFile``.
        sha256_base64: base64 of the archive's SHA-256, equal to Lambda's ``CodeSha256`` after deployment.
    """

    zip: bytes
    sha256_base64: str


def build(config: ForwarderConfig) -> Bundle:
    """Build the bundle of ``config``; equal configurations yield byte-identical bundles on every machine.

    Pure except for the first call, which reads the modules' sources from the installed package.
    """
    modules = _modules()
    rest = _end_with(modules, f"{_FOLDER}/config.json", config.to_json())
    sha256 = modules.sha256.copy()
    sha256.update(rest)
    return Bundle(zip=modules.files + rest, sha256_base64=base64.b64encode(sha256.digest()).decode("ascii"))


def _end_with(modules: "_Modules", name: str, content: bytes) -> bytes:
    """The rest of an archive that begins with the modules: one more file, not compressed, and the directory of all.

    ``zipfile`` would parse the modules' entries for every object, which takes several times as long.
    """
    encoded, length, start = name.encode("ascii"), len(content), len(modules.files)
    common = (_VERSION, 0, zipfile.ZIP_STORED, 0, _EPOCH_DATE, zlib.crc32(content), length, length, len(encoded), 0)
    file = _FILE.pack(b"PK\3\4", *common) + encoded + content
    entry = _ENTRY.pack(b"PK\1\2", _UNIX << 8 | _VERSION, *common, 0, 0, 0, _READABLE_FILE, start) + encoded
    directory, count = modules.directory + entry, modules.count + 1
    return file + directory + _END.pack(b"PK\5\6", 0, 0, count, count, len(directory), start + len(file), 0)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _READABLE_FILE
    return entry


@dataclass(frozen=True, slots=True)
class _Modules:
    """What all bundles have in common: their first files and the hash of these, with the files' directory."""

    files: bytes
    directory: bytes
    count: int
    sha256: "hashlib._Hash"


@cache
def _modules() -> _Modules:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # The enclosing packages are empty in the zip: the operator's own may import modules that Lambda lacks.
        for package in PurePosixPath(_FOLDER).parents:
            if package.name:
                archive.writestr(_entry(f"{package}/__init__.py"), b"")
        for name in _MODULES:
            archive.writestr(_entry(f"{_FOLDER}/{name}.py"), files(_PACKAGE).joinpath(f"{name}.py").read_bytes())
    content = buffer.getvalue()
    *_, count, size, start, _ = _END.unpack(content[-_END.size :])
    return _Modules(content[:start], content[start : start + size], count, hashlib.sha256(content[:start]))
