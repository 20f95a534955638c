import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.features.routing.forwarder.deployed import ABOUT, PATH, TOKEN, TOKEN_SHA256, Reply, Runtime, serving

from eep_platform.bench import forwarder
from eep_platform.errors import PlatformError
from ephemeral_endpoints.features.routing.forwarder.bundle import build
from ephemeral_endpoints.features.routing.forwarder.config import ForwarderConfig, Variant

CONFIG = ForwarderConfig(
    (Variant("main", "pr-1", 1),),
    TOKEN_SHA256,
    1000,
    "us-east-1",
    ABOUT,
    PATH,
    request_schema='{"required": ["text"]}',
    response_schema='{"required": ["label"]}',
)
GIVEN = {"body": '{"text": "good"}', "token": TOKEN, "requests": 5}


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    with serving(runtime):
        yield runtime


def unpacked(config: ForwarderConfig, folder: Path) -> str:
    zipfile.ZipFile(io.BytesIO(build(config).zip)).extractall(folder)
    return str(folder)


def environment(runtime: Runtime) -> dict[str, str]:
    url = f"http://127.0.0.1:{runtime.server_address[1]}"
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    return {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url, **credentials}


def test_a_package_is_measured_in_a_process_of_its_own(runtime: Runtime, tmp_path: Path) -> None:
    folder = unpacked(CONFIG, tmp_path)
    assert forwarder.run(folder, environment(runtime), "import")["import"][0] > 0
    times = forwarder.run(folder, environment(runtime), "requests", GIVEN)
    assert {name: len(each) for name, each in times.items()} == {
        "answered": 5,
        "overhead": 5,
        "bare": 5,
        "validated": 5,
    }
    assert all(0 < own < whole for own, whole in zip(times["overhead"], times["answered"], strict=True))


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, response_schema='{"required": ["other"]}')])
def test_a_request_that_fails_is_no_measurement(config: ForwarderConfig, runtime: Runtime, tmp_path: Path) -> None:
    if config is CONFIG:
        runtime.answer_with(Reply(status=422))
    with pytest.raises(PlatformError, match="could not be measured"):
        forwarder.run(unpacked(config, tmp_path), environment(runtime), "requests", GIVEN)
