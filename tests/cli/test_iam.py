import json

import pytest

from ephemeral_endpoints.cli.main import main
from ephemeral_endpoints.iam.policies import POLICIES, named

HERE = ["--account", "123456789012", "--region", "eu-central-1", "--cluster-id", "prod"]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["iam", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", [each.name for each in POLICIES])
def test_every_policy_that_is_listed_can_be_printed_with_its_values(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert name in printed(capsys, "list")
    document = json.loads(printed(capsys, "policy", name, *HERE))
    [policy] = named(name)
    values = {"AccountId": "123456789012", "Region": "eu-central-1", "ClusterId": "prod"}
    assert document == policy.document(values)


def test_all_of_the_operator_can_be_read_at_once_and_iam_takes_it_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iam", "policy", "operator", *HERE, "--execution-role", "previews/model"]) == 0
    told = capsys.readouterr()
    assert "arn:aws:iam::123456789012:role/previews/model" in told.out
    assert "${" not in told.out
    assert "make one of each of operator-endpoints, operator-routes" in told.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["everything"], "see `eep iam list`"),
        (["operator", "--region", "eu-central-1"], "--account, --cluster-id"),
    ],
)
def test_what_cannot_be_printed_says_why(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["iam", "policy", *arguments]) == 1
    assert told in capsys.readouterr().err
