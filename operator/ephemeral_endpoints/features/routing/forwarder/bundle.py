"""The forwarder's deployment package: its modules and its configuration in one reproducible zip."""

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from ephemeral_endpoints.features.routing.forwarder import packing, page, sources
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig

HANDLER: Final = "ephemeral_endpoints.features.routing.forwarder.handler.handle"
"""``Handler`` of CreateFunction: module and function in the zip."""

RUNTIME: Final = "python3.13"
"""``Runtime`` of CreateFunction; AWS supports it until 2029-06-30 (Lambda developer guide, "Supported runtimes")."""

TIMEOUT_SECONDS: Final = 30
"""``Timeout`` of CreateFunction: the maximum that an HTTP API waits for an integration (API Gateway quotas)."""

MEMORY_MB: Final = 512
"""``MemorySize`` of CreateFunction: CPU scales with memory, and with less the import of botocore slows cold starts."""

_PACKAGE = "ephemeral_endpoints.features.routing.forwarder"
_FOLDER = _PACKAGE.replace(".", "/")
_MODULES = (
    "__init__",
    "asynchronous",
    "capture",
    "callers",
    "config",
    "connection",
    "feedback",
    "formats",
    "cors",
    "documents",
    "examples",
    "exchange",
    "expiry",
    "handler",
    "inference_id",
    "invocation",
    "json_text",
    "kept",
    "keywords",
    "messages",
    "nodes",
    "notices",
    "outlet",
    "page",
    "negotiation",
    "parameters",
    "patterns",
    "postprocess",
    "readiness",
    "revision",
    "records",
    "results",
    "schema",
    "sink",
    "sleep",
    "validation",
    "routes",
    "variants",
)

# The oldest timestamp of a zip: the bundle must not depend on the time or the checkout that it is built from.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE_FILE = 0o100644 << 16


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
    buffer = io.BytesIO(_modules())
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(_entry(f"{_FOLDER}/config.json"), config.to_json())
    content = buffer.getvalue()
    return Bundle(zip=content, sha256_base64=base64.b64encode(hashlib.sha256(content).digest()).decode("ascii"))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _READABLE_FILE
    return entry


@cache
def _modules() -> bytes:
    """The part of the archive that all bundles have in common."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        # The enclosing packages are empty in the zip: the operator's own may import modules that Lambda lacks.
        for package in PurePosixPath(_FOLDER).parents:
            if package.name:
                archive.writestr(_entry(f"{package}/__init__.py"), b"")
        for name in (f"{each}.py" for each in _MODULES):
            module = sources.reduced(files(_PACKAGE).joinpath(name).read_bytes())
            archive.writestr(_entry(f"{_FOLDER}/{name}"), module)
        archive.writestr(_entry(f"{_FOLDER}/{page.PACKED}"), packing.packed())
    return buffer.getvalue()
