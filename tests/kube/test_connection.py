from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from kubernetes.aio.client import ApiClient, Configuration, CoreV1Api

from ephemeral_endpoints.kube.connection import CONNECTIONS, configuration


async def test_the_date_of_every_answer_is_noted(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Configuration, "_default", api.configuration)
    dates: list[str | None] = []
    async with ApiClient(configuration(lambda: None, note_date=dates.append)) as noted:
        await CoreV1Api(noted).read_namespace("default")
    [date] = dates
    assert abs(parsedate_to_datetime(str(date)) - datetime.now(UTC)) < timedelta(minutes=1)


class Refused(Exception):  # noqa: N818 - what a check of these tests raises
    pass


def refuse() -> None:
    raise Refused


async def test_no_request_leaves_once_the_check_refuses(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Configuration, "_default", api.configuration)
    asked: list[str] = []
    async with ApiClient(configuration(lambda: asked.append("may I"))) as allowed:
        await CoreV1Api(allowed).read_namespace("default")
    assert asked == ["may I"]
    async with ApiClient(configuration(refuse)) as stopped:
        with pytest.raises(Refused):
            await CoreV1Api(stopped).read_namespace("default")


@pytest.mark.parametrize(
    ("environment", "own", "expected", "why"),
    [
        ({}, None, None, "there is none"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None, "http://proxy:3128", "as kubectl does"),
        ({"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": ".example"}, None, None, "not for this host"),
        ({"HTTP_PROXY": "http://proxy:3128"}, None, None, "another scheme"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "http://mine", "http://mine", "the kubeconfig's own counts"),
    ],
)
def test_a_proxy_is_found_once_for_all_requests(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], own: str | None, expected: str | None, why: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Configuration, "_default", Configuration(host="https://cluster.example:6443", proxy=own))
    made = configuration(lambda: None)
    assert made.proxy == expected, why
    assert made.client_session_kwargs == {"trust_env": False}
    assert made.connection_pool_maxsize == CONNECTIONS
