"""What sweeps need, of an operator in a test environment."""

from collections.abc import Callable, Mapping
from datetime import datetime

from tests.controllers.environment import CLUSTER, Environment

from ephemeral_endpoints.controllers.orphans.rounds import SweepDeps
from ephemeral_endpoints.settings import Settings


def sweep_deps(env: Environment, settings: Mapping[str, str], now: Callable[[], datetime] | None = None) -> SweepDeps:
    """As the operator wires it, with other settings."""
    operator = env.operator
    return SweepDeps(
        Settings.from_environment(settings),
        CLUSTER,
        store=operator.store,
        accounts=operator.accounts,
        objects=operator.resync.objects,
        observer=operator.metrics,
        disagreement=env.clocks.disagreement,
        clock=env.clock,
        now=now or env.clocks.now,
    )
