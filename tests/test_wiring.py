import time

from tests.controllers.environment import Environment

from ephemeral_endpoints.api.kinds import KINDS
from ephemeral_endpoints.wiring.clocks import elapsed


async def test_every_kind_has_its_reconciler(env: Environment) -> None:
    assert env.operator.reconcilers.keys() == {kind.name for kind in KINDS}


def test_seconds_in_which_the_machine_sleeps_count() -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= elapsed() <= time.clock_gettime(time.CLOCK_BOOTTIME)
