"""The forwarder's deployment package: its modules and its configuration in one reproducible zip."""

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from ephemeral_endpoints.forwarder.config import ForwarderConfig

HANDLER: Final = "ephemeral_endpoints.forwarder.handler.handle"
"""``Handler`` of CreateFunction: module and function in the zip."""

RUNTIME: Final = "python3.13"
"""``Runtime`` of CreateFunction; AWS supports it until 2029-06-30 (Lambda developer guide, "Supported runtimes")."""

TIMEOUT_SECONDS: Final = 30
"""``Timeout`` of CreateFunction: the longest that an HTTP API waits for an integration (API Gateway quotas)."""

MEMORY_MB: Final = 512
"""``MemorySize`` of CreateFunction: CPU comes with memory, and importing boto3 on less makes cold starts slow."""

_PACKAGE = "ephemeral_endpoints.forwarder"
_MODULES = ("__init__", "asynchronous", "config", "handler", "inference_id", "invocation", "messages", "variants")

# The oldest time that a zip can carry: the bundle must not depend on when or from which checkout it is built.
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_READABLE_FILE = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Bundle:
    """A deployment package as CreateFunction and UpdateFunctionCode take it.

    Attributes:
        zip: the archive, for ``ZipFile``.
        sha256_base64: base64 of the archive's SHA-256, equal to Lambda's ``CodeSha256`` once it is deployed.
    """

    zip: bytes
    sha256_base64: str


@lru_cache(maxsize=4096)
def code_sha256(config: ForwarderConfig) -> str:
    """The ``sha256_base64`` of the bundle of ``config``; kept, which the bundle itself is too large for."""
    return build(config).sha256_base64


def build(config: ForwarderConfig) -> Bundle:
    """Build the bundle of ``config``; equal configurations give byte-identical bundles on every machine.

    Pure but for the first call, which reads the modules' sources from the installed package.
    """
    folder = _PACKAGE.replace(".", "/")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in _sources():
            archive.writestr(_entry(name), content)
        archive.writestr(_entry(f"{folder}/config.json"), config.to_json())
    content = buffer.getvalue()
    return Bundle(zip=content, sha256_base64=base64.b64encode(hashlib.sha256(content).digest()).decode("ascii"))


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _READABLE_FILE
    return entry


@cache
def _sources() -> tuple[tuple[str, bytes], ...]:
    # The enclosing package is empty in the zip: the operator's own would import what Lambda does not have.
    folder = _PACKAGE.replace(".", "/")
    modules = ((f"{folder}/{name}.py", files(_PACKAGE).joinpath(f"{name}.py").read_bytes()) for name in _MODULES)
    return (("ephemeral_endpoints/__init__.py", b""), *modules)
