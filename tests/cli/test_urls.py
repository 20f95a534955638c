from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from tests.cli.test_objects import secret
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from ephemeral_endpoints.cli.urls import is_private

PUBLIC = "http://10.0.0.1/"
IN_THE_ENVIRONMENT = {"EEP_TOKEN": "of-the-environment"}


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://x.example/a", True),
        ("http://127.0.0.1:4566/a", True),
        ("http://a1b2.execute-api.localhost:4566/a", True),
        ("http://[::1]/a", True),
        ("http://x.example/a", False),
        ("http://localhost.example/a", False),
        ("http://10.0.0.1/a", False),
    ],
)
def test_a_url_is_private_if_it_is_encrypted_or_does_not_leave_the_machine(url: str, *, private: bool) -> None:
    assert is_private(url) is private


def refused(result: Result) -> None:
    assert result.exit_code == 2
    assert result.stderr == f"Error: {PUBLIC} is not encrypted: the token is not sent there\n"
    assert "of-the-environment" not in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "--url", PUBLIC),
        ("compare", "--url", PUBLIC, "--with-url", "http://127.0.0.1/"),
        ("load", "--data", "{}", "--url", PUBLIC),
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_command_sends_a_token_where_others_could_read_it(arguments: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "requests.yaml"
    file.write_text("requests: [{name: a, request: x}]")
    files = () if arguments[0] == "load" else (str(file),)
    refused(eep(*arguments, *files, **IN_THE_ENVIRONMENT))


@pytest.mark.parametrize("arguments", [("invoke", "pr-42", "--data", "{}"), ("load", "pr-42", "--data", "{}")])
def test_not_even_to_the_url_of_an_object(
    arguments: tuple[str, ...], run: Callable[..., Result], cluster: Cluster
) -> None:
    secret(cluster, cluster.create()["metadata"]["uid"])
    cluster.patch_status({"observedGeneration": 1, "url": PUBLIC})
    refused(run(*arguments))
