"""What all sweeps share: which of them are made, how accounts are reached, and how a removal ends."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import CredentialRetrievalError
from tests.engine.objects import make_class
from tests.fixtures import aws as aws_fixtures
from tests.fixtures.logs import of_operator

from eep_platform.aws import ministack
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.clients import Clients, Role
from ephemeral_endpoints.controllers.orphans.rounds import Removal, SweepDeps, in_each_account, remove
from ephemeral_endpoints.controllers.orphans.tasks import tasks
from ephemeral_endpoints.engine.errors import AwsError, Denied, InProgress
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.settings import Settings
from ephemeral_endpoints.telemetry.metrics import Metrics

clients, pool, reported, calls = aws_fixtures.clients, aws_fixtures.pool, aws_fixtures.reported, aws_fixtures.calls
ALL = 5
COUNT = 2


async def nothing() -> AsyncIterator[Mapping[str, Any]]:
    none: tuple[Mapping[str, Any], ...] = ()
    for each in none:
        yield each


def deps_of(settings: Mapping[str, str], accounts: Accounts, metrics: Metrics | None = None) -> SweepDeps:
    return SweepDeps(
        Settings.from_environment(settings),
        "c1",
        store=Store(),
        accounts=accounts,
        objects=nothing,
        observer=metrics or Metrics(),
        disagreement=lambda: None,
        clock=time.monotonic,
        now=lambda: datetime.now(UTC),
    )


@dataclass
class OwnRoleOnly:
    """Leads to the embedded account, except by a role that has no credentials."""

    clients: Clients

    def connect(self, region: str, role: Role | None) -> Clients:
        if role:
            raise CredentialRetrievalError(provider="assume-role", error_msg=f"{role.arn} in {region}")
        return self.clients

    def forget(self, clients: Clients) -> None:
        assert clients is self.clients


@pytest.fixture
def accounts(clients: Clients, calls: Calls) -> Accounts:
    return Accounts(
        "c1",
        connector=OwnRoleOnly(clients),
        calls=lambda _: calls,
        components=lambda _, __: (),
        clock=time.monotonic,
        on_change=lambda _: None,
    )


async def test_each_account_is_swept_once_by_the_first_class_that_can(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    role = f"arn:aws:iam::{ministack.ACCOUNT}:role"
    roles = {"executionRoleArn": f"{role}/model", "forwarderRoleArn": f"{role}/f", "invokeRoleArn": f"{role}/api"}
    here = {**roles, "region": ministack.REGION}
    specs = {
        "a": {**here, "assumeRole": {"roleArn": f"{role}/refused"}},
        "b": here,
        "c": here,
        "d": {**roles, "region": "eu-west-1"},
    }
    classes = [make_class({"metadata": {"name": name}, "spec": spec}) for name, spec in specs.items()]
    swept: list[str] = []

    async def sweep(account: Account) -> None:
        swept.append(account.scope.region)
        if swept == [ministack.REGION]:
            raise Denied("not this time")

    await in_each_account(deps_of({}, accounts), "sweep of tests", classes, sweep)
    assert swept == [ministack.REGION, ministack.REGION, "eu-west-1"]
    failed = [each for each in caplog.records if each.message == "the sweep of tests failed; the operator tries again"]
    assert [each.__dict__["class"] for each in failed] == ["a", "b"]


def raising(error: AwsError | None) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        if error:
            raise error

    return run


@pytest.mark.parametrize(
    ("error", "mode", "message", "counted"),
    [
        pytest.param(None, "on", "stopped", {"deleted": COUNT}, id="each of it is counted"),
        pytest.param(Denied("no"), "on", "it was refused; the operator tries again", {"failed": COUNT}, id="refused"),
        pytest.param(InProgress("in use"), "on", None, {}, id="what is still used is no failure"),
        pytest.param(None, "dry-run", "would be stopped", {}, id="a dry run only says what it would do"),
    ],
)
async def test_a_removal_is_logged_and_counted(
    error: AwsError | None,
    mode: str,
    message: str | None,
    counted: Mapping[str, int],
    *,
    accounts: Accounts,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    metrics = Metrics()
    removal = Removal(
        "Thing", raising(error), {"thing": "x"}, "it was refused", done="stopped", count=COUNT, not_yet=(InProgress,)
    )
    is_done = await remove(deps_of({"EEP_SWEEP": mode}, accounts, metrics), removal)
    assert is_done == ("deleted" in counted)
    assert [(each.message, each.__dict__["thing"]) for each in of_operator(caplog)] == [(message, "x")] * bool(message)
    for outcome in ("deleted", "failed"):
        seen = metrics.registry.get_sample_value("eep_orphan_deletions_total", {"kind": "Thing", "outcome": outcome})
        assert seen == counted.get(outcome)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        pytest.param({}, ALL, id="the only operator makes all"),
        pytest.param({"EEP_SWEEP": "dry-run"}, ALL, id="a dry run makes all"),
        pytest.param({"EEP_SWEEP": "off"}, 0, id="off"),
        pytest.param({"EEP_SHARD": "0/2"}, ALL, id="the first shard makes them for all"),
        pytest.param({"EEP_SHARD": "1/2"}, 0, id="another shard makes none"),
        pytest.param({"EEP_NAMESPACES": "nlp"}, 1, id="objects elsewhere may name images, packages and trainings"),
    ],
)
def test_the_first_shard_makes_the_sweeps_whose_owners_it_can_see(
    settings: Mapping[str, str], count: int, accounts: Accounts
) -> None:
    made = list(tasks(deps_of(settings, accounts), lambda _: None))
    for each in made:
        each.close()
    assert len(made) == count
