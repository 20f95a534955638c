"""Which images SageMaker cannot start, found out from a real registry."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.aws.cloud import Cloud
from tests.features.images.test_archives import layer, member

from eep_platform.containers import registry
from eep_platform.containers.blobs import BlobStore
from eep_platform.containers.image import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    BuiltImage,
    Descriptor,
    assemble,
)
from ephemeral_endpoints.features.images.commands import MOST_BYTES
from ephemeral_endpoints.features.images.references import ImageFacts, ImageReference
from ephemeral_endpoints.features.images.registry import Images

CMD = ("gunicorn", "app:app")
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def repository(cloud: Cloud) -> str:
    cloud.clients.ecr.create_repository(repositoryName="models")
    return "models"


def image(folder: Path, config: object, *layers: bytes) -> BuiltImage:
    blobs = BlobStore(folder)
    parts = [Descriptor(DOCKER_LAYER, blobs.add(content), len(content)) for content in layers]
    return assemble(blobs, json.dumps(config).encode(), DOCKER_CONFIG, parts, DOCKER_MANIFEST)


async def unstartable(cloud: Cloud, built: BuiltImage) -> tuple[str, ...] | None:
    address = cloud.aws.endpoint.removeprefix("http://")
    digest = await asyncio.to_thread(registry.push, built, registry=address, repository="models", tag="1")
    host = f"{cloud.scope.account_id}.dkr.ecr.{cloud.scope.region}.amazonaws.com"
    reference = ImageReference.parse(f"{host}/models@{digest}")
    images = Images(cloud.clients.ecr)
    state = await images.resolve(cloud.calls, reference)
    assert state.facts is not None
    cloud.aws.control.reset_meter()
    looks = (images.commands.unstartable(cloud.calls, reference, digest, state.facts) for _ in range(3))
    first, *others = await asyncio.gather(*looks)
    assert others == [first, first]
    return first


PLAIN, SERVE = layer(member("app.py", mode=0o644)), layer(member("usr/local/bin/serve"))


@pytest.mark.parametrize(
    ("config", "layers", "expected", "asked", "reason"),
    [
        ({"Cmd": CMD}, [PLAIN, PLAIN], CMD, 3, "SageMaker replaces CMD, and there is no serve"),
        ({}, [PLAIN], (), 2, "nor is there anything else"),
        ({"Cmd": CMD, "Entrypoint": None}, [PLAIN], CMD, 2, "an ENTRYPOINT that was taken back"),
        ({"Cmd": CMD, "Entrypoint": ["/run"]}, [PLAIN], None, 1, "an ENTRYPOINT: its layers do not matter"),
        ({"Cmd": CMD}, [SERVE, PLAIN], None, 3, "an executable serve, as in AWS's own images"),
        ({"Cmd": CMD}, [PLAIN, SERVE], None, 2, "the newest layers are searched first"),
        ({"Cmd": CMD}, [b"not gzip"], None, 2, "what cannot be read is taken to start"),
    ],
)
async def test_an_image_without_an_entrypoint_starts_if_it_has_a_program_named_serve(  # noqa: PLR0917 - a table
    cloud: Cloud,
    repository: str,
    tmp_path: Path,
    config: object,
    layers: list[bytes],
    expected: tuple[str, ...] | None,
    asked: int,
    reason: str,
) -> None:
    assert repository
    assert await unstartable(cloud, image(tmp_path, {"config": config}, *layers)) == expected, reason
    assert cloud.aws.control.calls()["ecr"] == {"GetDownloadUrlForLayer": asked}, "it is looked into once"


@pytest.mark.parametrize("config", [[], {"config": 1}, {"config": {"Entrypoint": "a"}}, 1, "x" * (5 * 1024**2)])
async def test_a_configuration_that_is_none_stops_nothing(
    cloud: Cloud,
    repository: str,
    tmp_path: Path,
    config: Any,  # noqa: ANN401 - malformed ones
) -> None:
    assert repository
    assert await unstartable(cloud, image(tmp_path, config, SERVE)) is None


async def test_what_is_too_large_or_not_there_stops_nothing(cloud: Cloud, repository: str) -> None:
    host = f"{cloud.scope.account_id}.dkr.ecr.{cloud.scope.region}.amazonaws.com"
    reference = ImageReference.parse(f"{host}/{repository}@{DIGEST}")
    commands = Images(cloud.clients.ecr).commands
    for number, facts in enumerate(
        [ImageFacts(), ImageFacts(size_bytes=MOST_BYTES + 1, config=DIGEST, layers=(DIGEST,))]
    ):
        assert await commands.unstartable(cloud.calls, reference, str(number), facts) is None
