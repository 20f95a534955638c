"""How previews end; the last one without cluster and operator, by the promise of the reaper."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.waiting import eventually

from eep_platform import operator
from eep_platform import platform as local_platform
from eep_platform.aws import ministack
from eep_platform.demo.lifetime import STACK, Lifetime
from eep_platform.workbench import Workbench
from ephemeral_endpoints.deploy.policies import Principal, merged, of

MODEL = Path(__file__).parents[2] / "model"
FUNCTIONS_KEY = ministack.ACCOUNT
"""The embedded Lambda has functions sign with the account's id."""


@dataclass
class ObservedLifetime(Lifetime):
    """The story, with the reaper held to its own policy, and a look at what runs it."""

    reports: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    denied: list[Any] = field(default_factory=list)

    def destroy_cluster(self, reaper: str) -> None:
        super().destroy_cluster(reaper)
        platform = self.bench.platform
        cluster = reaper_parameter(self.bench)
        account = {"Region": platform.region, "AccountId": platform.account, "ClusterId": cluster}
        self.bench.control.hold_to(FUNCTIONS_KEY, [merged(of(Principal.REAPER), account)])
        events = self.bench.aws("events")
        self.rules = [each for each in events.list_rules()["Rules"] if each.get("ScheduleExpression")]
        for rule in self.rules:
            self.targets += [each["Arn"] for each in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]
        alarm = stacked(self.bench, "ReaperSilent")
        eventually(lambda: state_of(self.bench, alarm) == "ALARM", "the alarm: there was no run yet")

    def reap(self, reaper: str) -> None:
        super().reap(reaper)
        self.denied = list(self.bench.control.permissions(FUNCTIONS_KEY).denied)

    def run_reaper(self, reaper: str) -> str:
        report = super().run_reaper(reaper)
        self.reports.append(json.loads(report))
        return report


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedLifetime]:
    """The whole story, once, on a platform of its own."""
    state = tmp_path_factory.mktemp("lifetime") / "platform"
    try:
        platform = local_platform.up(state)
        operator.start(platform, {"EEP_POLL_SECONDS": "0.1", **operator.take_events(platform)})
        told = ObservedLifetime(Workbench(platform), MODEL, print)
        told.run()
        yield told
    finally:
        local_platform.down(state)


def stacked(bench: Workbench, logical: str) -> str:
    """The name of a resource of the stack."""
    found = bench.aws("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical)
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def reaper_parameter(bench: Workbench) -> str:
    """The cluster that the stack's reaper is for."""
    [stack] = bench.aws("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return str(next(each["ParameterValue"] for each in stack["Parameters"] if each["ParameterKey"] == "ClusterId"))


def state_of(bench: Workbench, alarm: str) -> str:
    [found] = bench.aws("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    return str(found["StateValue"])


def test_without_cluster_and_operator_the_account_ends_empty(story: ObservedLifetime) -> None:
    assert story.bench.left() == {}
    assert story.reports[0] == {"deleted": 0, "held": 0, "failures": {}}, "nothing had expired"
    assert sum(report["deleted"] for report in story.reports) > 10
    assert all(report["failures"] == {} for report in story.reports)


def test_the_reaper_needs_no_more_than_its_own_policy(story: ObservedLifetime) -> None:
    assert story.denied == []


def test_a_rule_runs_the_reaper_every_15_minutes(story: ObservedLifetime) -> None:
    [rule] = story.rules
    assert rule["ScheduleExpression"] == "rate(15 minutes)"
    [target] = story.targets
    assert ":function:" in target
