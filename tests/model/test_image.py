"""The image of the example model, by the builder that needs no engine and by a real engine."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures import buildah
from tests.fixtures.buildah import Buildah, UnusableError, download
from tests.fixtures.containers import MODEL, REVISION, build_image
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.containers.image import BuiltImage
from eep_platform.processes import wait_until

MOST_BYTES = 200_000_000
NAME = "wine-by-an-engine"


def build(folder: str, revision: str) -> BuiltImage:
    return build_image(MODEL, revision=revision, cache=Path(folder), report=lambda _: None)


def test_a_revision_gives_one_digest_wherever_it_is_built_and_another_shares_every_layer(
    model_image: BuiltImage,
) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:
        again, other = build(elsewhere, REVISION), build(elsewhere, "fedcba9")
        assert again.manifest.layers == model_image.manifest.layers
        assert again.digest == model_image.digest
        assert other.digest != model_image.digest
        assert other.manifest.layers == model_image.manifest.layers


def test_the_image_is_small(model_image: BuiltImage) -> None:
    assert sum(layer.size for layer in model_image.manifest.layers) < MOST_BYTES


@pytest.fixture
def engine() -> Iterator[Buildah]:
    """A buildah with its base image."""
    with buildah.engine() as made:
        try:
            made.make_base()
        except UnusableError as error:
            pytest.skip(str(error))
        yield made


def test_an_engine_builds_it_and_sagemaker_serves_it(engine: Buildah, fresh_aws: Aws) -> None:
    packages = engine.folder / "wheels"
    download(MODEL / "requirements.lock", packages)
    engine.build(MODEL, NAME, {"MODEL_REVISION": REVISION}, packages)
    fresh_aws.client("ecr").create_repository(repositoryName=NAME)
    digest = engine.push(NAME, f"{fresh_aws.endpoint.removeprefix('http://')}/{NAME}:{REVISION}")
    repository = f"{ministack.ACCOUNT}.dkr.ecr.{ministack.REGION}.amazonaws.com/{NAME}"
    answer = served(fresh_aws, f"{repository}@{digest}", (MODEL / "samples" / "valid" / "named.json").read_bytes())
    assert answer["revision"] == REVISION
    assert answer["predictions"][0]["label"] == "class_0"


def served(aws: Aws, image: str, body: bytes) -> Any:  # noqa: ANN401 - as typed as JSON
    """What an endpoint of the image answers, which is gone afterwards."""
    sagemaker = aws.client("sagemaker")
    role = f"arn:aws:iam::{ministack.ACCOUNT}:role/any"
    sagemaker.create_model(ModelName=NAME, PrimaryContainer={"Image": image}, ExecutionRoleArn=role)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": NAME,
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
    }
    sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
    try:
        wait_until(lambda: is_over(sagemaker), seconds=120, what="the endpoint")
        found = aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=NAME, Body=body, ContentType="application/json"
        )
        return json.loads(found["Body"].read())
    finally:
        sagemaker.delete_endpoint(EndpointName=NAME)


def is_over(sagemaker: Any) -> bool:  # noqa: ANN401 - one type per service name
    found = sagemaker.describe_endpoint(EndpointName=NAME)
    assert found["EndpointStatus"] in {"Creating", "InService"}, found.get("FailureReason")
    return bool(found["EndpointStatus"] == "InService")
