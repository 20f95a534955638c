from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from eep_platform.sagemaker.pipelines.caching import Cache, CachedRun, cache_key, expiry

START = datetime(2026, 1, 1, tzinfo=UTC)
TRAINING: dict[str, Any] = {
    "AlgorithmSpecification": {"TrainingImage": "i@sha256:1"},
    "HyperParameters": {"seed": "7"},
    "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://b/1"}}}],
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "RoleArn": "r",
}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"HyperParameters": {"seed": "8"}}, False, id="a hyperparameter"),
        pytest.param({"AlgorithmSpecification": {"TrainingImage": "i@sha256:2"}}, False, id="the image"),
        pytest.param({"InputDataConfig": []}, False, id="the data"),
        pytest.param({"Environment": {"A": "1"}}, False, id="the environment"),
        pytest.param({"RoleArn": "s"}, True, id="not the role"),
        pytest.param({"OutputDataConfig": {"S3OutputPath": "s3://b/else"}}, True, id="not where results go"),
        pytest.param({"ResourceConfig": {"InstanceCount": 2}}, True, id="not the instances"),
    ],
)
def test_what_makes_another_run(change: dict[str, Any], *, same: bool) -> None:
    assert (cache_key("Training", TRAINING | change) == cache_key("Training", TRAINING)) is same


def test_the_order_of_members_does_not_matter() -> None:
    assert cache_key("Training", dict(reversed(TRAINING.items()))) == cache_key("Training", TRAINING)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P30D", timedelta(days=30)),
        ("30d", timedelta(days=30)),
        ("PT1H", timedelta(hours=1)),
        ("T16m", timedelta(minutes=16)),
        ("30dT5h", timedelta(days=30, hours=5)),
        ("P1Y2M1W", timedelta(days=365 + 60 + 7)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert expiry({"Enabled": True, "ExpireAfter": text}, "Training") == duration


def test_a_cache_that_is_off_keeps_nothing() -> None:
    assert expiry({"Enabled": False, "ExpireAfter": "P30D"}, "Training") is None
    assert expiry(None, "Fail") is None


def test_the_latest_run_that_is_not_too_old_is_found() -> None:
    cache = Cache()
    for hour in (1, 2):
        cache.keep("Train", "k", CachedRun(f"execution {hour}", START + timedelta(hours=hour), {}, None))
    found = cache.find("Train", "k", START + timedelta(hours=2))
    assert found is not None
    assert found.execution_arn == "execution 2"
    assert cache.find("Train", "k", START + timedelta(hours=3)) is None
    assert cache.find("Train", "other", START) is None
    assert cache.find("Other", "k", START) is None
