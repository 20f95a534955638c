"""`docker buildx build` by the builder that needs no engine; options that would change the image are never ignored."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ephemeral_endpoints.local.codebuild import images
from ephemeral_endpoints.local.codebuild.images import Registries
from ephemeral_endpoints.local.containers import engineless, registry
from ephemeral_endpoints.local.containers.errors import BuildError, RegistryError
from ephemeral_endpoints.local.containers.image import MANIFEST, BuiltImage, Descriptor
from ephemeral_endpoints.local.errors import PlatformError

_CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
_CACHE_ONLY: Mapping[str, str] = {"type": "cacheonly"}
_PUSHED = ("image", "registry")
# They change how an image is stored or told of; its files, of which every time is 0 anyway, stay the same.
_HARMLESS_OUTPUT = frozenset(
    {"type", "push", "name", "rewrite-timestamp", "oci-mediatypes", "compression", "force-compression"}
)


class UsageError(Exception):
    """The program cannot be used so; the message says all."""


class Options(ArgumentParser):
    """The options of a command of `docker`, of which none may be abbreviated."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=command, allow_abbrev=False, add_help=False)

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise UsageError(f"ERROR: {self.prog}: {message}: the embedded CodeBuild does not have it, or not so")


def build(arguments: Sequence[str], registries: Registries, cache: Path) -> None:
    """Build, and push if the output says so.

    Raises:
        UsageError: An option is unknown here.
        PlatformError: The image cannot be built or pushed.
    """
    given = _options().parse_args(arguments)
    output = _output(given)
    _refuse_attestations(given)
    context = _context(given.context)
    _import(given.cache_from, registries)
    prepared: dict[str, Any] = {
        "arguments": _build_arguments(given.build_arg),
        "cache": cache,
        "report": _Steps(),
        "file": Path(given.file).absolute() if given.file else None,
        "secrets": dict(_secret(each) for each in given.secret),
        "target": given.target,
        "platform": given.platform,
    }
    if output["type"] == "cacheonly" and given.target:
        engineless.try_out(context, **prepared)
        return
    image = engineless.build(context, **prepared)
    sys.stderr.write(f"exporting manifest {image.digest}\n")
    if output["type"] in _PUSHED and output.get("push", "false") == "true":
        _push(image, [*given.tag, *filter(None, [output.get("name")])], registries)
    _export(image, given.cache_to, registries)


def _options() -> Options:
    options = Options("docker buildx build")
    options.add_argument("context")
    options.add_argument("--file", "-f")
    options.add_argument("--target")
    options.add_argument("--platform")
    options.add_argument("--progress")
    options.add_argument("--output", "-o", action="append", default=[])
    options.add_argument("--push", action="store_true")
    options.add_argument("--pull", action="store_true")
    for attestation in ("--provenance", "--sbom"):
        options.add_argument(attestation)
    for several in ("--build-arg", "--secret", "--cache-from", "--cache-to"):
        options.add_argument(several, action="append", default=[])
    options.add_argument("--tag", "-t", action="append", default=[])
    return options


def _output(given: Namespace) -> Mapping[str, str]:
    if len(given.output) > 1:
        raise UsageError("ERROR: multiple outputs: the embedded CodeBuild has one at a time")
    if given.push:
        return {"type": "registry", "push": "true"}
    if not given.output:
        sys.stderr.write("WARNING: No output specified. The build result will only remain in the build cache.\n")
        return _CACHE_ONLY
    output = _fields(given.output[0])
    if output.get("type") not in {"cacheonly", *_PUSHED} or set(output) - _HARMLESS_OUTPUT:
        raise UsageError(f"ERROR: --output {given.output[0]}: the embedded CodeBuild does not have it")
    return {"push": "true", **output} if output["type"] == "registry" else output


def _refuse_attestations(given: Namespace) -> None:
    for name, value in (("--provenance", given.provenance), ("--sbom", given.sbom)):
        if value not in {None, "false"}:
            raise UsageError(f"ERROR: {name} {value}: attestations are not supported by the embedded CodeBuild")


def _context(text: str) -> Path:
    """The folder to build; it must be in the source, whose symbolic links are not to be trusted."""
    context = Path(text).resolve()
    if not context.is_dir():
        raise UsageError(f'ERROR: unable to prepare context: path "{text}" not found')
    source = os.environ.get("CODEBUILD_SRC_DIR")
    if source and not context.is_relative_to(Path(source).resolve()):
        raise BuildError(f"the context {text} is, or leads, out of the source")
    return context


def _build_arguments(texts: Sequence[str]) -> dict[str, str]:
    """The arguments by name; one without a value has that of the variable of its name, and is none without that."""
    environment = {text: os.environ[text] for text in texts if text in os.environ}
    given = (text.partition("=") for text in texts if "=" in text)
    return environment | {name: value for name, _, value in given}


def _secret(text: str) -> tuple[str, str]:
    """The id and the value of a secret, which an environment variable holds."""
    fields = _fields(text)
    name = fields.get("env", fields.get("id", ""))
    if not fields.get("id") or fields.get("type", "env") != "env" or name not in os.environ:
        raise UsageError(f"ERROR: --secret {text}: the embedded CodeBuild has id=…,env=… of a variable that is set")
    return fields["id"], os.environ[name]


@dataclass(slots=True)
class _Steps:
    """Tells steps as BuildKit does when it is to be plain."""

    number: int = 0

    def __call__(self, step: str) -> None:
        self.number += 1
        sys.stderr.write(f"#{self.number} {step}\n")


def _push(image: BuiltImage, tags: Sequence[str], registries: Registries) -> None:
    if not tags:
        raise BuildError("tag is needed when pushing to registry")
    for tag in tags:
        place = registries.locate(tag)
        push = partial(registry.push, registry=place.registry, repository=place.repository, tag=place.version)
        digest = push(image, credentials=images.credentials_for(tag))
        sys.stderr.write(f"pushing manifest for {tag}@{digest}\n")


def _import(caches: Sequence[str], registries: Registries) -> None:
    """Tell whether a cache is there; what it would hold is in the local cache, which depends on contents alone."""
    for text in caches:
        name = _cache_name(text)
        try:
            found = registry.exists(registries.locate(name), credentials=images.credentials_for(name))
        except RegistryError as error:
            sys.stderr.write(f"importing cache manifest from {name}: ERROR: {error}\n")
        else:
            sys.stderr.write(f"importing cache manifest from {name}{'' if found else ': ERROR: not found'}\n")


def _export(image: BuiltImage, caches: Sequence[str], registries: Registries) -> None:
    for text in caches:
        name = _cache_name(text)
        try:
            _push(_cache_manifest(image), [name], registries)
        except PlatformError as error:
            if _fields(text).get("ignore-error") != "true":
                raise
            sys.stderr.write(f"error exporting cache to {name} was ignored: {error}\n")


def _cache_manifest(image: BuiltImage) -> BuiltImage:
    """An artefact with the image's layers, as BuildKit exports its cache with `image-manifest=true`."""
    layers = image.manifest.layers
    chain = [{"blob": layer.digest, "parent": number - 1} for number, layer in enumerate(layers)]
    config = json.dumps({"layers": chain, "records": []}, separators=(",", ":")).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor(_CACHE_CONFIG, image.blobs.add(config), len(config)).document(),
        "layers": [layer.document() for layer in layers],
    }
    content = json.dumps(document, separators=(",", ":")).encode()
    return BuiltImage(image.blobs, Descriptor(MANIFEST, image.blobs.add(content), len(content)))


def _cache_name(text: str) -> str:
    fields = _fields(text) if "=" in text else {"type": "registry", "ref": text}
    if fields.get("type") != "registry" or "ref" not in fields:
        raise UsageError(f"ERROR: cache {text}: the embedded CodeBuild has type=registry,ref=…")
    return fields["ref"]


def _fields(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: value for name, _, value in pairs}
