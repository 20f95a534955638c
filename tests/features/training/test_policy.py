from collections.abc import Mapping
from typing import Any

import pytest
from tests.engine.objects import subject
from tests.features.training.examples import SHA, TRAINING, trained

from ephemeral_endpoints.features.training.policy import refusal

REFUSED: list[tuple[Mapping[str, Any], str]] = [
    ({"data": {"s3Uri": "s3://acme-data/wines/"}}, "does not allow the data"),
    ({"data": {"s3Uri": "s3://acme-data/"}}, "does not allow the data"),
    ({"data": {"s3Uri": "s3://other/wine/"}}, "does not allow the data"),
    ({"register": {"group": "production"}}, "does not allow the model package group production"),
    ({"resources": {"instanceType": "ml.p5.48xlarge"}}, "does not train on ml.p5.48xlarge"),
    ({"resources": {"count": 2}}, "resources.count is 2, but the class allows 1"),
    ({"resources": {"volumeGiB": 101}}, "resources.volumeGiB is 101, but the class allows 100"),
    ({"resources": {"maxRuntime": "2h"}}, "2:00:00 of time, but the class allows 1:00:00"),
    ({"resources": {"spot": {"maxWait": "2h"}}}, "2:00:00 of time, but the class allows 1:00:00"),
]


@pytest.mark.parametrize(("training", "message"), REFUSED)
def test_a_class_refuses(training: Mapping[str, Any], message: str) -> None:
    found = refusal(trained(training))
    assert found is not None
    assert message in str(found)
    assert "ask the platform team" in str(found)


def test_a_class_takes_what_it_allows() -> None:
    assert refusal(trained()) is None
    assert (
        refusal(trained({"data": {"s3Uri": "s3://acme-data/digits/2026/"}, "register": {"group": "digits-1"}})) is None
    )
    assert refusal(subject()) is None


def test_a_class_without_training_trains_nothing() -> None:
    found = refusal(subject({"source": {"revision": SHA}, "model": {"image": None, "training": TRAINING}}))
    assert "trains no models" in str(found)


def test_the_image_must_run_where_it_trains_and_where_it_serves() -> None:
    found = refusal(trained(serving={"instances": {"type": "ml.m7g.large"}}))
    assert "ml.m5.large cannot run the image, which is for linux/arm64" in str(found)
