from collections.abc import Iterator
from pathlib import Path

import pytest

from eep_platform.aws import ministack, services
from eep_platform.aws.services import CODEBUILD, FRONT, GIT, GITHUB, SAGEMAKER, Ports
from eep_platform.processes import find, stop


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    services.stop_services(tmp_path)


def test_start_is_idempotent_and_replaces_what_is_gone(state: Path) -> None:
    ports = Ports.free()
    services.start(state, ports)
    before = {name: find(name, state) for name in (ministack.NAME, FRONT, SAGEMAKER, CODEBUILD, GIT, GITHUB)}
    assert services.status(state, ports) == dict.fromkeys(before, True)

    front = before[FRONT]
    assert front is not None
    stop(front, grace_seconds=0)
    assert services.status(state, ports) == {**dict.fromkeys(before, True), FRONT: False}

    services.start(state, ports)
    after = {name: find(name, state) for name in before}
    assert services.status(state, ports) == dict.fromkeys(before, True)
    assert {name for name in before if before[name] != after[name]} == {FRONT}


def test_clients_get_no_other_configuration_than_the_embedded_one() -> None:
    environment = services.client_environment(Ports(1, 2, 3, 4, 5, 6))
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert set(environment) == {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_ENDPOINT_URL",
    }


def test_a_session_does_not_read_the_users_own_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    session = services.session()
    assert session.client("sts", endpoint_url="http://127.0.0.1:9").meta.region_name == ministack.REGION
    credentials = session.get_credentials()
    assert credentials is not None
    assert credentials.access_key == ministack.credentials()["AWS_ACCESS_KEY_ID"]
