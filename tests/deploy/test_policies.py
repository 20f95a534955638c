"""The tables: complete, within IAM's limits, narrow, and the files that are made of them."""

import re
from pathlib import Path

import pytest

from eep_platform.aws.guard.authorization import OPERATIONS
from eep_platform.aws.wire import operations
from ephemeral_endpoints.deploy import generate, policies
from ephemeral_endpoints.deploy.policies import (
    INLINE_LIMIT,
    MANAGED_LIMIT,
    MANAGED_PER_ROLE,
    PARAMETERS,
    POLICIES,
    Policy,
    Principal,
    of,
    size,
    with_defaults,
)
from ephemeral_endpoints.iam.scope import OURS
from ephemeral_endpoints.iam.statement import Effect, Statement, document, filled, placeholders

FOLDER = Path(__file__).parents[2] / "examples" / "aws"
LONGEST = {
    "Partition": "aws-us-gov",
    "Region": "ap-southeast-2",
    "AccountId": "1" * 12,
    "ClusterId": "a" * 8,
    "ClassName": "c" * 63,
    # The longest names that IAM, CodeBuild and SQS take; paths of roles can be longer still.
    "ExecutionRole": "r" * 64,
    "ForwarderRole": "r" * 64,
    "InvokeRole": "r" * 64,
    "BuildProject": "p" * 150,
    "EventQueue": "q" * 80,
    "ReaperLogs": "l" * 512,
    "ReaperTopic": f"arn:aws-us-gov:sns:ap-southeast-2:{'1' * 12}:{'t' * 256}",
}
ROOM = 300
"""Characters that a policy may still grow by."""
SERVICES = ("Execution", "Forwarder", "Invoke", "Delivery", "Reaper")
READING = re.compile(r":(Get|List|Describe|BatchGet|BatchCheck|GET|Receive)")

UNNARROWED = {
    "ChangeRoutes": "routes, integrations and authorizers take no tags and are under random ids",
    "CreateRoutes": "likewise",
    "ManageNetworkInterfaces": "SageMaker gives them random ids, in subnets and security groups of the platform team",
    "MapDomains": "mappings take no tags; the platform team may name the domain",
    "ChangeMappings": "likewise",
    "DeleteRouteSettings": "settings of routes take no tags and are under random ids",
    "RunJobs": "SageMaker names and tags the jobs of pipelines itself",
    "WriteJobLogs": "all jobs of an account share two groups, with a stream of each job's name",
    "PutJobMetrics": "metrics are of no resource; the namespace is a condition",
    "LogIn": "a password is of no resource",
    "DeletePackages": "versions take no tags; only groups of pull requests have such names",
    "DeleteArtifacts": "only files of two names below the folder of artifacts, which is narrower than the folder",
    "ServePackages": "versions take no tags; the model that is made of one has to have ours",
    "DeleteRoutes": "routes and integrations take no tags and are under random ids",
    "Report": "metrics are of no resource; the namespace is a condition",
    "PutMetrics": "metrics are of no resource; the namespace is a condition",
}
"""What changes something and is held neither to our names, nor to our tag, nor to one resource."""

every_policy = pytest.mark.parametrize("policy", POLICIES, ids=[each.name for each in POLICIES])


def test_the_operator_is_granted_what_its_code_declares() -> None:
    policies.check()


def test_an_action_that_no_statement_grants_stops_the_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    some = policies.declared()
    monkeypatch.setattr(policies, "declared", lambda: some | {"sagemaker:CreateTrainingJob"})
    with pytest.raises(ValueError, match=r"no statement grants .*CreateTrainingJob"):
        generate.files()
    monkeypatch.setattr(policies, "declared", lambda: some - {"sagemaker:ListModels"})
    with pytest.raises(ValueError, match=r"nothing declares .*ListModels"):
        generate.files()


@every_policy
def test_iam_takes_every_policy_with_the_longest_names_and_room_for_more(policy: Policy) -> None:
    assert size(policy.document(LONGEST)) <= MANAGED_LIMIT - ROOM


@pytest.mark.parametrize("principal", Principal)
def test_a_role_has_room_for_policies_of_its_platform_team(principal: Principal) -> None:
    managed = [each for each in POLICIES if each.principal is principal and not each.inline]
    assert len(managed) <= MANAGED_PER_ROLE - 2


def test_the_operators_role_takes_the_inline_policies_of_four_classes() -> None:
    names = {f"{name}Role": f"ephemeral-endpoints-previews-default-{name}Role-1ABCDEFGHIJKL" for name in SERVICES}
    given = LONGEST | {"Partition": "aws", "BuildProject": "ephemeral-endpoints-previews-default"} | names
    inline = [each for each in (*of(Principal.OPERATOR), *of(Principal.ANY)) if each.inline]
    sizes = {each.name: size(each.document(with_defaults(given))) for each in inline}
    assert sum(sizes.values()) + 3 * sizes["operator-class"] <= INLINE_LIMIT


@every_policy
def test_statements_have_names_of_their_own_that_iam_takes(policy: Policy) -> None:
    sids = [row.sid for row in policy.statements]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids)


def test_no_two_policies_of_a_role_share_the_name_of_a_statement() -> None:
    for principal in Principal:
        sids = [row.sid for each in of(principal) for row in each.statements]
        assert len(set(sids)) == len(sids), principal


@every_policy
def test_no_action_is_a_pattern_and_every_statement_says_why(policy: Policy) -> None:
    for row in policy.statements:
        assert not any("*" in action or "?" in action for action in row.actions)
        assert row.why


def is_narrow(row: Statement) -> bool:
    conditions = str(row.conditions)
    names_something = all(OURS in each or re.search(r"(^|[/:])\$\{\w+\}(/?\*|:\*)?$", each) for each in row.resources)
    return row.effect is Effect.DENY or names_something or "ephemeral-endpoints.io/cluster" in conditions


@every_policy
def test_what_changes_something_is_held_to_a_name_or_a_tag(policy: Policy) -> None:
    changing = [row for row in policy.statements if not all(READING.search(action) for action in row.actions)]
    exempt = {"ServiceRoleOfScaling"}  # its resource is one role of AWS's own, in full
    wide = {row.sid for row in changing if not is_narrow(row)} - exempt
    assert wide <= UNNARROWED.keys()


def test_every_exemption_is_of_a_statement_that_needs_it() -> None:
    rows = {row.sid: row for each in POLICIES for row in each.statements}
    assert {sid for sid in UNNARROWED if is_narrow(rows[sid])} == set()


@every_policy
def test_every_placeholder_is_a_parameter(policy: Policy) -> None:
    assert placeholders(policy.template()) <= PARAMETERS.keys()


def test_every_parameter_is_used() -> None:
    assert frozenset().union(*(placeholders(each.template()) for each in POLICIES)) == PARAMETERS.keys()


def test_a_placeholder_without_a_value_is_an_error() -> None:
    row = Statement("One", ("sqs:SendMessage",), ("arn:${Partition}:sqs:::${Queue}",), "why")
    with pytest.raises(KeyError):
        document([row], {"Partition": "aws"})
    assert filled({"a": ["${X}"], "${X}": "b"}, {"X": "x"}) == {"a": ["x"], "x": "b"}


def test_the_files_are_current() -> None:
    assert generate.stale(FOLDER, generate.files()) == []


def test_a_policy_that_nothing_stands_for_any_more_is_stale(tmp_path: Path) -> None:
    wanted = {"policies/new.json": "{}\n"}
    (tmp_path / "policies").mkdir()
    old = tmp_path / "policies" / "old.json"
    old.touch()
    assert generate.stale(tmp_path, wanted) == [tmp_path / "policies" / "new.json", old]


@pytest.mark.parametrize("service", sorted({service for service, _ in OPERATIONS}))
def test_every_operation_that_is_authorised_exists(service: str) -> None:
    assert {operation for named, operation in OPERATIONS if named == service} <= (operations(service) or frozenset())
