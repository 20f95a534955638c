"""`docker buildx build` without an engine; an unsupported option that would change the image is an error."""

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from eep_platform.codebuild import images
from eep_platform.codebuild.images import Registries
from eep_platform.codebuild.options import CACHE, Options, UsageError
from eep_platform.containers import engineless, engines, registry
from eep_platform.containers.engineless import EnginelessBuild
from eep_platform.containers.engines import EngineBuild
from eep_platform.containers.errors import BaseNotPulledError, BuildError, RegistryError
from eep_platform.containers.image import CONFIG, BuiltImage, assemble, with_docker_types
from eep_platform.containers.layout import write_archive, write_layout
from eep_platform.errors import PlatformError

_ENGINE = "EEP_BUILD_ENGINE"
_CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"
_CACHE_ONLY: Mapping[str, str] = {"type": "cacheonly"}
_PUSHED = ("image", "registry")
# These change how an image is stored or reported; its files, whose times are all 0, stay the same.
_HARMLESS_OUTPUT = frozenset(
    {"type", "push", "name", "dest", "rewrite-timestamp", "oci-mediatypes", "compression", "force-compression"}
)


def build(arguments: Sequence[str], registries: Registries) -> None:
    """`docker buildx build`: build an image, and push it if the output says so.

    Raises:
        UsageError: An option is not supported.
        PlatformError: The image cannot be built or pushed.
    """
    given, cache = _options().parse_args(arguments), Path(os.environ[CACHE])
    output = _output(given)
    _refuse_attestations(given)
    _import(given.cache_from, registries)
    image = _built(given, cache, is_executed_only=output["type"] == "cacheonly" and bool(given.target))
    if image is None:
        return
    if output.get("oci-mediatypes") == "false" and not _is_attested(given):
        image = with_docker_types(image)
    sys.stderr.write(f"exporting manifest {image.digest}\n")
    if output["type"] in _PUSHED and output.get("push", "false") == "true":
        push = _push_attested if _is_attested(given) else _push
        push(image, [*given.tag, *filter(None, [output.get("name")])], registries)
    if output["type"] == "oci":
        write_archive(image, Path(output["dest"]))
    _export(image, given.cache_to, registries)


def _built(given: Namespace, cache: Path, *, is_executed_only: bool) -> BuiltImage | None:
    """The image; None if its steps are only executed. An engine that was not asked for needs no base image to pull."""

    def by(engine: str) -> BuiltImage | None:
        prepared = _prepare(given, cache, engine)
        return prepared.execute() if is_executed_only else prepared.image()

    requested = os.environ.get(_ENGINE, engines.AUTO)
    try:
        return by(requested)
    except BaseNotPulledError as error:
        if requested != engines.AUTO:
            raise
        sys.stderr.write(f"{error}\nbuilding without an engine, which has stand-ins for some base images\n")
        return by(engines.NONE)


def _prepare(given: Namespace, cache: Path, requested: str) -> EnginelessBuild | EngineBuild:
    context = _context(given.context)
    arguments, secrets = _build_arguments(given.build_arg), dict(_secret(each) for each in given.secret)
    file = Path(given.file).absolute() if given.file else None
    if engine := engines.choose(requested, engines.works):
        sys.stderr.write(f"building with {engine.program}, which this machine has\n")
        order = engines.Order(context, file or context / "Dockerfile", Path(), arguments, target=given.target)
        return EngineBuild(engine, order, cache, secrets)
    return engineless.prepare(
        context,
        arguments=arguments,
        cache=cache,
        report=_Progress().report,
        file=file,
        secrets=secrets,
        target=given.target,
        platform=given.platform,
    )


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
        raise UsageError("ERROR: multiple outputs: the embedded CodeBuild supports one --output")
    if given.push:
        return {"type": "registry", "push": "true"}
    if not given.output:
        sys.stderr.write("WARNING: No output specified. The build result will only remain in the build cache.\n")
        return _CACHE_ONLY
    output = _fields(given.output[0])
    if output.get("type") not in {"cacheonly", "oci", *_PUSHED} or set(output) - _HARMLESS_OUTPUT:
        raise UsageError(f"ERROR: --output {given.output[0]}: the embedded CodeBuild does not support it")
    return {"push": "true", **output} if output["type"] == "registry" else output


def _refuse_attestations(given: Namespace) -> None:
    for name, value in (("--provenance", given.provenance), ("--sbom", given.sbom)):
        if value not in {None, "false"}:
            raise UsageError(f"ERROR: {name} {value}: not supported by the embedded CodeBuild")


def _is_attested(given: Namespace) -> bool:
    """Whether the provenance is attested, as by default.

    Source: https://docs.docker.com/build/metadata/attestations/slsa-provenance/
    """
    return given.provenance is None


def _context(text: str) -> Path:
    """The folder to build. As with buildx, links may lead out of the source."""
    context = Path(text).resolve()
    if not context.is_dir():
        raise UsageError(f'ERROR: unable to prepare context: path "{text}" not found')
    return context


def _build_arguments(texts: Sequence[str]) -> dict[str, str]:
    """The arguments by name; one without a value takes it from the environment, or is left out if that has none."""
    environment = {text: os.environ[text] for text in texts if text in os.environ}
    given = (text.partition("=") for text in texts if "=" in text)
    return environment | {name: value for name, _, value in given}


def _secret(text: str) -> tuple[str, str]:
    """The id of a secret and its value, which an environment variable holds."""
    fields = _fields(text)
    name = fields.get("env", fields.get("id", ""))
    if not fields.get("id") or fields.get("type", "env") != "env" or name not in os.environ:
        raise UsageError(
            f"ERROR: --secret {text}: the embedded CodeBuild supports id=…,env=… with a variable that is set"
        )
    return fields["id"], os.environ[name]


@dataclass(slots=True)
class _Progress:
    """Prints steps as BuildKit does with `--progress=plain`."""

    number: int = 0

    def report(self, step: str) -> None:
        self.number += 1
        sys.stderr.write(f"#{self.number} {step}\n")


def _push(image: BuiltImage, tags: Sequence[str], registries: Registries) -> None:
    _push_as(tags, registries, partial(registry.push, image))


def _push_attested(image: BuiltImage, tags: Sequence[str], registries: Registries) -> None:
    """An index of the image and its attestation, which BuildKit gives OCI types whatever the output wants.

    Source: https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md
    """
    attestation = assemble(image.blobs, b"{}", CONFIG, [])
    about = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
    platforms = [
        {"os": "linux", "architecture": image.config.architecture},
        {"os": "unknown", "architecture": "unknown"},
    ]
    entries = [(image, {"platform": platforms[0]}), (attestation, {"platform": platforms[1], "annotations": about})]
    _push_as(tags, registries, partial(registry.push_index, entries))


def _push_as(tags: Sequence[str], registries: Registries, push: Callable[..., str]) -> None:
    if not tags:
        raise BuildError("tag is needed when pushing to registry")
    for tag in tags:
        place, credentials = registries.locate(tag), images.credentials_for(tag)
        digest = push(registry=place.registry, repository=place.repository, tag=place.version, credentials=credentials)
        sys.stderr.write(f"pushing manifest for {tag}@{digest}\n")


def _import(caches: Sequence[str], registries: Registries) -> None:
    """Report whether a cache exists; its layers are not needed, because the local cache is keyed by content."""
    for text in caches:
        if (fields := _fields(text)).get("type") == "local":
            is_there = Path(fields["src"], "index.json").exists()
            sys.stderr.write(f"importing cache manifest from {fields['src']}{'' if is_there else ': not found'}\n")
            continue
        name = _cache_name(text)
        try:
            found = registry.exists(registries.locate(name), credentials=images.credentials_for(name))
        except RegistryError as error:
            sys.stderr.write(f"importing cache manifest from {name}: ERROR: {error}\n")
        else:
            sys.stderr.write(f"importing cache manifest from {name}{'' if found else ': ERROR: not found'}\n")


def _export(image: BuiltImage, caches: Sequence[str], registries: Registries) -> None:
    for text in caches:
        if (fields := _fields(text)).get("type") == "local":
            write_layout(_cache_manifest(image), Path(fields["dest"]), "latest")
            continue
        name = _cache_name(text)
        try:
            _push(_cache_manifest(image), [name], registries)
        except PlatformError as error:
            if _fields(text).get("ignore-error") != "true":
                raise
            sys.stderr.write(f"error exporting cache to {name} was ignored: {error}\n")


def _cache_manifest(image: BuiltImage) -> BuiltImage:
    """A cache manifest with the image's layers, as BuildKit exports it with `image-manifest=true`."""
    layers = image.manifest.layers
    chain = [{"blob": layer.digest, "parent": number - 1} for number, layer in enumerate(layers)]
    config = json.dumps({"layers": chain, "records": []}, separators=(",", ":")).encode()
    return assemble(image.blobs, config, _CACHE_CONFIG, layers)


def _cache_name(text: str) -> str:
    fields = _fields(text) if "=" in text else {"type": "registry", "ref": text}
    if fields.get("type") != "registry" or "ref" not in fields:
        raise UsageError(f"ERROR: cache {text}: the embedded CodeBuild supports only type=registry,ref=…")
    return fields["ref"]


def _fields(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: value for name, _, value in pairs}
