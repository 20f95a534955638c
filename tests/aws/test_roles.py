"""What the operator finds out about the roles of classes."""

from dataclasses import dataclass
from typing import Any

import pytest
from tests.engine.objects import make_class
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.roles import CHECK_SECONDS, UNKNOWN_SECONDS, ClassRoles
from ephemeral_endpoints.engine.errors import Denied, RoleUnusable
from ephemeral_endpoints.iam.trusted import trusts

LAMBDA = "lambda.amazonaws.com"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def arn(name: str) -> str:
    return f"arn:aws:iam::{ministack.ACCOUNT}:role/{name}"


def class_with(**roles: Any) -> Any:  # noqa: ANN401 - a class
    named = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), arn("any"))
    return make_class({"spec": {**named, **roles}})


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ({}, []),
        ({"forwarderRoleArn": arn("none")}, [f"forwarderRoleArn names {arn('none')}, which does not exist: create"]),
        (
            {"executionRoleArn": arn("none"), "allowedExecutionRoleArns": [arn("other")]},
            [f"executionRoleArn names {arn('none')}", f"allowedExecutionRoleArns names {arn('other')}"],
        ),
        ({"invokeRoleArn": arn("team/any")}, [f"invokeRoleArn names {arn('team/any')}, which does not exist"]),
        (
            {"invokeRoleArn": arn("forwarder")},
            [f"the trust policy of {arn('forwarder')} (invokeRoleArn) does not let apigateway.amazonaws.com assume"],
        ),
        ({"forwarderRoleArn": arn("forwarder")}, []),
    ],
)
async def test_roles_that_services_cannot_assume_are_found(
    fresh_aws: Aws, clients: Clients, calls: Calls, roles: dict[str, Any], told: list[str]
) -> None:
    fresh_aws.make_role("forwarder", trusted=[LAMBDA])
    found = await ClassRoles(Clock()).findings(class_with(**roles), calls, clients.iam)
    assert found.unknown is None
    parts = found.problem.message.split("; ") if found.problem else []
    assert [part.startswith(words) for part, words in zip(parts, told, strict=True)] == [True] * len(told), parts


async def test_roles_are_read_once_an_hour_and_a_missing_one_at_growing_pauses(
    fresh_aws: Aws, clients: Clients, calls: Calls
) -> None:
    clock = Clock()
    known = ClassRoles(clock)

    async def read(endpoint_class: Any) -> tuple[RoleUnusable | None, int]:  # noqa: ANN401 - a class
        fresh_aws.control.reset_meter()
        found = await known.findings(endpoint_class, calls, clients.iam)
        return found.problem, fresh_aws.control.calls().get("iam", {}).get("GetRole", 0)

    assert known.due_in("default") is None
    assert await read(class_with()) == (None, 3)
    assert (await read(class_with()), known.due_in("default")) == ((None, 0), CHECK_SECONDS)
    other = class_with(executionRoleArn=arn("late"))
    problem, count = await read(other)
    assert (isinstance(problem, RoleUnusable), count, known.due_in("default")) == (True, 3, 1)
    clock.now += 1
    assert (await read(other))[1] == 3
    assert known.due_in("default") == 2
    fresh_aws.make_role("late")
    clock.now += 2
    assert (await read(other), known.due_in("default")) == ((None, 3), CHECK_SECONDS)
    clock.now += CHECK_SECONDS
    assert await read(other) == (None, 3)
    known.forget("default")
    assert known.due_in("default") is None


async def test_what_iam_does_not_answer_is_unknown_and_no_problem(
    fresh_aws: Aws, clients: Clients, calls: Calls
) -> None:
    refusal = FaultError(code="AccessDenied", message="not you", status=403)
    fresh_aws.control.add_faults(Fault(service="iam", operation="GetRole", error=refusal))
    known = ClassRoles(Clock())
    found = await known.findings(class_with(), calls, clients.iam)
    assert found.problem is None
    assert isinstance(found.unknown, Denied)
    assert known.due_in("default") == UNKNOWN_SECONDS


async def test_a_class_does_not_wait_for_an_iam_that_cannot_be_reached(
    fresh_aws: Aws, clients: Clients, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ephemeral_endpoints.aws.roles.ANSWER_SECONDS", 0.05)
    fresh_aws.control.add_faults(Fault(service="iam", operation="GetRole", held=True))
    found = await ClassRoles(Clock()).findings(class_with(), calls, clients.iam)
    fresh_aws.control.clear_faults()
    assert found.problem is None
    assert "IAM did not answer within 0.05 s" in str(found.unknown)


@pytest.mark.parametrize(
    ("statement", "expected", "reason"),
    [
        ({"Principal": {"Service": LAMBDA}}, True, "as the generated policies have it"),
        ({"Principal": {"Service": ["edgelambda.amazonaws.com", LAMBDA]}}, True, "one of several"),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, False, "another service"),
        ({"Principal": {"AWS": "*"}}, False, "accounts are no services"),
        ({"Principal": "*"}, True, "everybody"),
        ({"Principal": {"Service": LAMBDA}, "Action": ["sts:TagSession"]}, False, "nothing but tags"),
        ({"Principal": {"Service": LAMBDA}, "Action": "STS:assumerole"}, True, "actions know no case"),
        ({"Principal": {"Service": LAMBDA}, "Action": "sts:*"}, True, "all of STS"),
        ({"Principal": {"Service": LAMBDA}, "Effect": "Deny"}, False, "a denial allows nothing"),
        ({"NotPrincipal": {"Service": "ec2.amazonaws.com"}}, True, "not known to be refused"),
        ({"Principal": {"Service": LAMBDA}, "Condition": {"Bool": {"aws:x": "true"}}}, True, "conditions may hold"),
    ],
)
def test_whether_a_trust_policy_names_a_service(statement: dict[str, Any], expected: bool, reason: str) -> None:  # noqa: FBT001 - a column of the table
    row = {"Effect": "Allow", "Action": "sts:AssumeRole", **statement}
    assert trusts({"Statement": [row]}, LAMBDA) is expected, reason
    assert trusts({"Statement": row}, LAMBDA) is expected, "one statement needs no list"
