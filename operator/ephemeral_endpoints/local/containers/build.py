"""The image of a model's folder: with Docker where an engine answers, without any engine elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from ephemeral_endpoints.local.containers import engineless
from ephemeral_endpoints.local.containers.engines import build_with_docker, docker_answers
from ephemeral_endpoints.local.containers.image import BuiltImage

Builder = Literal["auto", "docker", "engineless"]


def build_model_image(
    context: Path,
    *,
    revision: str,
    cache: Path,
    report: Callable[[str], None] = print,
    builder: Builder = "auto",
) -> BuiltImage:
    """Builds the Dockerfile of `context` with the build argument MODEL_REVISION. Blocks.

    Args:
        context: the folder; only read.
        revision: git SHA that the files are of.
        cache: folder of blobs and unpacked stages; several builds may share it at once.
        report: called with each step that is not in the cache.
        builder: who builds; by default Docker where an engine answers.

    Raises:
        BuildError: the Dockerfile cannot be built; the message names the instruction.
    """
    arguments = {"MODEL_REVISION": revision}
    if builder == "docker" or (builder == "auto" and docker_answers()):
        return build_with_docker(context, arguments=arguments, cache=cache, report=report)
    return engineless.build(context.resolve(), arguments=arguments, cache=cache.resolve(), report=report)
