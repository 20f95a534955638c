"""Builds the image of a model's folder: with Docker if an engine answers, without an engine otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from eep_platform.containers import engineless
from eep_platform.containers.engines import build_with_docker, docker_answers
from eep_platform.containers.image import BuiltImage, with_docker_types

Builder = Literal["auto", "docker", "engineless"]


def build_model_image(
    context: Path,
    *,
    revision: str,
    cache: Path,
    report: Callable[[str], None] = print,
    builder: Builder = "auto",
) -> BuiltImage:
    """Build the Dockerfile of `context` with the build argument MODEL_REVISION, for SageMaker. Blocks.

    Args:
        context: the folder; it is only read.
        revision: the Git SHA of the files.
        cache: folder of blobs and unpacked stages; several builds can share it at once.
        report: called with each step that is not in the cache.
        builder: by default Docker if an engine answers, otherwise the builder without an engine.

    Raises:
        BuildError: the Dockerfile cannot be built; the message names the instruction.
    """
    arguments = {"MODEL_REVISION": revision}
    if builder == "docker" or (builder == "auto" and docker_answers()):
        image = build_with_docker(context, arguments=arguments, cache=cache, report=report)
    else:
        build = engineless.prepare(context.resolve(), arguments=arguments, cache=cache.resolve(), report=report)
        image = build.image()
    return with_docker_types(image)
