import json

import pytest
from tests.fixtures.command import eep

from ephemeral_endpoints.deploy.policies import PARAMETERS, POLICIES, named

HERE = ["--account", "123456789012", "--region", "eu-central-1", "--cluster-id", "prod"]


def printed(*arguments: str) -> str:
    result = eep("iam", *arguments)
    assert result.exit_code == 0
    return result.stdout


def without_breaks(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("name", [each.name for each in POLICIES])
def test_every_policy_that_is_listed_can_be_printed_with_its_values(name: str) -> None:
    assert name in printed("list")
    document = json.loads(printed("policy", name, *HERE))
    [policy] = named(name)
    values = {"AccountId": "123456789012", "Region": "eu-central-1", "ClusterId": "prod"}
    assert document == policy.document(values)


def test_all_of_the_operator_can_be_read_at_once_and_iam_takes_it_in_parts() -> None:
    result = eep("iam", "policy", "operator", *HERE, "--execution-role", "previews/model")
    assert result.exit_code == 0
    assert "arn:aws:iam::123456789012:role/previews/model" in result.stdout
    assert "${" not in result.stdout
    assert "make one of each of operator-endpoints, operator-routes" in result.stderr


def test_every_parameter_is_an_option_whose_help_says_what_it_is_and_what_it_is_by_default() -> None:
    reported = without_breaks(printed("policy", "--help"))
    for parameter in PARAMETERS.values():
        default = f"[default: {parameter.default}]" if parameter.default else ""
        assert without_breaks(f"{parameter.purpose}{default}") in reported


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["everything"], "see `eep iam list`"),
        (["operator", "--region", "eu-central-1"], "--account, --cluster-id"),
    ],
)
def test_what_cannot_be_printed_says_why(arguments: list[str], reported: str) -> None:
    result = eep("iam", "policy", *arguments)
    assert result.exit_code == 1
    assert reported in result.stderr
