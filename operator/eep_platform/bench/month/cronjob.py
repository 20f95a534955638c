"""``eep sweep`` as a CronJob in the cluster: it plans what has expired by its tags, and deletes exactly that."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from eep_platform.bench.month.agenda import DAY, moment
from eep_platform.bench.month.story import Trouble
from eep_platform.bench.month.world import ACCOUNT_ID, CLUSTER_ID, World
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.controllers.orphans.plans import Sight, planned
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState, plan

SECONDS: Final = DAY

GRACE: Final = timedelta(hours=24)
MOST: Final = 50
MOST_PERCENT: Final = 20.0
"""The command's defaults."""

_SCOPE: Final = Scope(CLUSTER_ID, ACCOUNT_ID, "us-east-1")


def run(world: World) -> None:
    """One run. What a failing call leaves, or the breaker refuses, is for the next."""
    if world.has(Trouble.CLUSTER, Trouble.AWS):
        return
    sights = {each.key: Sight(each, tags if each.key.kind.taggable else None) for each, tags in world.account.tagged()}
    sweep = planned(_SCOPE, sights, now=moment(world.agenda.now), grace=GRACE)
    if sweep.refusal(MOST, MOST_PERCENT):
        return
    wanted = {(each.kind, each.name) for each in sweep.items}
    left = {key: each.observed for key, each in sights.items() if (key.kind.name, key.name) in wanted}
    with suppress(ReconcileError):
        while steps := plan(DesiredState.absent(), left):
            for step in steps:
                world.delete(left.pop(step.key), "cronjob")
