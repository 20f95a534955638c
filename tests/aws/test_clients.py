import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.credentials
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import RefreshableCredentials
from tests.engine.objects import ACCOUNT, make_class
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import (
    CONNECT_TIMEOUT_SECONDS,
    READ_TIMEOUT_SECONDS,
    SESSION_NAME,
    STATEMENTS,
    Access,
    Role,
    Sessions,
)
from ephemeral_endpoints.engine import errors
from ephemeral_endpoints.iam.statement import granted

OTHER = "111111111111"
ROLE = Role(f"arn:aws:iam::{OTHER}:role/operator", "a-shared-word")
REGION = "us-east-1"

pytestmark = pytest.mark.usefixtures("clients", "fresh_aws")


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(connections=2)


def calls_of(aws: Aws) -> dict[str, int]:
    return aws.control.calls().get("sts", {})


def test_a_role_is_assumed_at_the_first_call_and_once_for_all_its_regions(sessions: Sessions, fresh_aws: Aws) -> None:
    here, there = sessions.connect(REGION, ROLE), sessions.connect("eu-central-1", ROLE)
    assert fresh_aws.control.log() == [], "connecting calls nothing"
    caller = here.sts.get_caller_identity()
    assert caller["Account"] == OTHER
    assert caller["Arn"].endswith(f"assumed-role/operator/{SESSION_NAME}")
    for clients in (here, there):
        clients.logs.describe_log_groups()
        clients.sagemaker.list_models()
    assert calls_of(fresh_aws) == {"AssumeRole": 1, "GetCallerIdentity": 1}
    # Everybody may ask who they are.
    assert {f"sts:{name}" for name in calls_of(fresh_aws)} - {"sts:GetCallerIdentity"} == granted(STATEMENTS)


def test_what_is_made_with_a_role_is_in_its_account(sessions: Sessions) -> None:
    mine, theirs = sessions.connect(REGION), sessions.connect(REGION, ROLE)
    theirs.logs.create_log_group(logGroupName="theirs")
    assert [each["logGroupName"] for each in theirs.logs.describe_log_groups()["logGroups"]] == ["theirs"]
    assert mine.logs.describe_log_groups()["logGroups"] == []


def test_the_external_id_goes_with_the_request_and_only_where_there_is_one(sessions: Sessions) -> None:
    seen: list[Any] = []
    note = seen.append
    for role in (ROLE, Role(ROLE.arn)):
        clients = sessions.connect(REGION, role)
        source = sessions.connect(REGION).session
        source.events.register("provide-client-params.sts.AssumeRole", lambda params, **_: note(params))
        clients.sts.get_caller_identity()
    assert [each.get("ExternalId") for each in seen[:1] + seen[-1:]] == ["a-shared-word", None]
    assert {each["RoleSessionName"] for each in seen} == {SESSION_NAME}


def test_credentials_of_a_role_are_renewed_before_they_expire(
    sessions: Sessions, fresh_aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = sessions.connect(REGION, ROLE)
    clients.sts.get_caller_identity()
    credentials = clients.session.get_credentials()
    assert isinstance(credentials, RefreshableCredentials)
    later = datetime.now(UTC) + timedelta(minutes=55)
    monkeypatch.setattr(botocore.credentials, "_local_now", lambda: later)
    monkeypatch.setattr(credentials, "_time_fetcher", lambda: later)
    clients.sts.get_caller_identity()
    assert calls_of(fresh_aws)["AssumeRole"] == 2


async def test_a_role_that_may_not_be_assumed_says_what_to_do_and_no_secret(
    sessions: Sessions, fresh_aws: Aws, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    words = f"User: arn:aws:iam::000000000000:user/x is not authorized to perform: sts:AssumeRole on {ROLE.arn}"
    denied = FaultError(code="AccessDenied", message=words, status=403)
    fresh_aws.control.add_faults(Fault(service="sts", operation="AssumeRole", error=denied))
    clients = await asyncio.to_thread(sessions.connect, REGION, ROLE)
    with pytest.raises(errors.Denied) as caught:
        await calls(clients.sagemaker.list_models)
    reported = str(caught.value)
    assert reported.startswith(f"AssumeRole: {words}")
    assert "allow sts:AssumeRole on the class's spec.assumeRole.roleArn in the operator's role" in reported
    assert "trust policy" in reported
    for secret in ("local", "a-shared-word"):
        assert secret not in reported.replace("localhost", "")


async def test_credentials_that_cannot_assume_any_role_are_no_credentials(
    sessions: Sessions, fresh_aws: Aws, calls: Calls
) -> None:
    expired = FaultError(code="ExpiredToken", message="The security token is expired", status=403)
    fresh_aws.control.add_faults(Fault(service="sts", operation="AssumeRole", error=expired))
    clients = sessions.connect(REGION, ROLE)
    with pytest.raises(errors.Unauthenticated, match="AssumeRole"):
        await calls(clients.sagemaker.list_models)


async def test_without_credentials_a_role_cannot_be_assumed_until_there_are_some(
    sessions: Sessions, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with monkeypatch.context() as without:
        without.delenv("AWS_ACCESS_KEY_ID")
        without.delenv("AWS_SECRET_ACCESS_KEY")
        clients = sessions.connect(REGION, ROLE)
        with pytest.raises(errors.Unauthenticated):
            await calls(clients.sts.get_caller_identity)
    sessions.forget(clients)
    again = sessions.connect(REGION, ROLE)
    assert (await calls(again.sts.get_caller_identity))["Account"] == OTHER


def test_what_is_forgotten_twice_is_looked_for_once(sessions: Sessions) -> None:
    here, there = sessions.connect(REGION, ROLE), sessions.connect("eu-central-1", ROLE)
    sessions.forget(here)
    renewed = sessions.connect(REGION, ROLE)
    sessions.forget(there)
    assert renewed.session is not here.session
    assert sessions.connect("eu-central-1", ROLE).session is renewed.session


def test_sessions_share_the_service_models(sessions: Sessions) -> None:
    first, second = sessions.connect(REGION), sessions.connect(REGION, ROLE)
    shapes = [each.sagemaker.meta.service_model.metadata for each in (first, second)]
    assert shapes[0] is shapes[1], "read and kept once"


@pytest.mark.parametrize(
    ("assumed", "role", "reason"),
    [
        (None, None, "the operator's own credentials"),
        ({"roleArn": f"arn:aws:iam::{ACCOUNT}:role/eep"}, Role(f"arn:aws:iam::{ACCOUNT}:role/eep"), "a role"),
        (
            {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/eep", "externalId": "id"},
            Role(f"arn:aws:iam::{ACCOUNT}:role/eep", "id"),
            "a role whose trust policy asks for an external ID",
        ),
    ],
)
def test_a_class_says_how_to_get_where(assumed: dict[str, str] | None, role: Role | None, reason: str) -> None:
    endpoint_class = make_class({"spec": {"assumeRole": assumed} if assumed else {}})
    assert Access.of(endpoint_class) == Access(ACCOUNT, "us-east-1", role), reason


def test_an_external_id_is_not_shown_where_a_role_is() -> None:
    assert "a-shared-word" not in repr(ROLE)


def test_requests_for_credentials_have_the_deadlines_of_all_others(sessions: Sessions) -> None:
    core = sessions.connect(REGION).session._session  # noqa: SLF001 - what botocore's providers make clients with
    # As botocore.credentials.AssumeRoleWithWebIdentityProvider does.
    client = core.create_client("sts", region_name=REGION, config=Config(signature_version=UNSIGNED))
    config = vars(client.meta.config)["_user_provided_options"]
    assert (config["connect_timeout"], config["read_timeout"]) == (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)
    assert config["retries"]["total_max_attempts"] == 1
