"""Nothing stays, whatever fails in whatever order while an object is deleted, and whenever the operator is killed."""

import os
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest
from tests.controllers.endpoint import test_deletion as deletion
from tests.controllers.endpoint.test_deletion import CLASS, STATES, Home, State, remove
from tests.fixtures.faults import kill

from eep_platform.aws.faults import Fault
from eep_platform.chaos.fault_kinds import FaultKind, fault, passing
from ephemeral_endpoints.wiring import operator as wired

forge, reaper, home = deletion.forge, deletion.reaper, deletion.home
time_passes_for_aws_too = deletion.time_passes_for_aws_too

SEEDS: Final = range(int(os.environ.get("EEP_DELETION_SEEDS", "2")))
KILLS: Final = 3
MOST_PASSES: Final = 4
"""How often time passes before the operator is killed once more."""

FAILING: Final = tuple(each for each in FaultKind if not each.ends_operator and each is not FaultKind.TIMED_OUT)
"""The operator is killed all the same; and one that takes a second shows nothing that a reset at once does not."""

SERVICES: Final = (
    "apigatewayv2",
    "application-autoscaling",
    "cloudwatch",
    "codebuild",
    "dynamodb",
    "ecr",
    "events",
    "firehose",
    "lambda",
    "logs",
    "sagemaker",
    "ssm",
    "sts",
)
TURNS: Final = 12
MOST_IN_TURN: Final = 4


def failures(chance: Random) -> Iterator[Fault]:
    """For each service in turns: some calls that pass, whatever they are, and some that fail in one way."""
    for service in SERVICES:
        for _ in range(TURNS):
            yield passing(service, times=chance.randint(1, MOST_IN_TURN))
            yield fault(chance.choice(FAILING), service, times=chance.randint(1, MOST_IN_TURN))


def has_failed(home: Home) -> bool:
    return any(each.fired for each in home.aws.control.faults() if not each.fault.delay_seconds)


def tear_off(home: Home) -> None:
    """Somebody removes the finalizers: all is left to the sweep."""
    for key in home.keys:
        home.env.api.vanish(key)
    home.sweeps = True


def remove_all(home: Home) -> None:
    """The class before its objects, as a tool may that deletes a folder of manifests."""
    home.env.api.remove(CLASS)
    remove(home)


@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_stays_whatever_fails_and_whenever_the_operator_is_killed(
    home: Home, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(seed)  # noqa: S311 - repeatable on purpose
    state: State = chance.choice(STATES)
    await state(home)
    monkeypatch.setattr(wired, "GRACE_SECONDS", 0.0)
    home.aws.control.add_faults(*failures(chance))
    chance.choice((remove, remove_all, tear_off))(home)
    for _ in range(KILLS):
        await home.pass_by(chance.randint(1, MOST_PASSES))
        await kill(home.env)
        await home.env.start()
    async with home.passing():
        await home.env.until(lambda: has_failed(home), "a failure")
    home.release()
    await home.end()
