"""Which sweeps an operator makes, and how often."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from ephemeral_endpoints.controllers.orphans import package_sweep, runaway_sweep, training_leftover_sweep
from ephemeral_endpoints.controllers.orphans.image_sweep import ImageSweep
from ephemeral_endpoints.controllers.orphans.package_sweep import PackageSweep
from ephemeral_endpoints.controllers.orphans.rounds import SweepDeps, regularly
from ephemeral_endpoints.controllers.orphans.runaway_sweep import RunawaySweep
from ephemeral_endpoints.controllers.orphans.sweep import Sweep, sweep_regularly
from ephemeral_endpoints.controllers.orphans.training_leftover_sweep import TrainingLeftoverSweep
from ephemeral_endpoints.features.packages.inventory import PackageInventory
from ephemeral_endpoints.settings import SweepMode


def tasks(deps: SweepDeps, enqueue: Callable[[str], None]) -> Iterator[Coroutine[Any, Any, None]]:
    """The regular sweeps, which the first shard makes for all; see ``Sweep`` for ``enqueue``."""
    settings = deps.settings
    if settings.sweep is SweepMode.OFF or not settings.shard.is_first:
        return
    yield sweep_regularly(Sweep(deps, enqueue), settings.snapshot_seconds)
    if settings.namespaces:
        # The images and packages that objects in other operators' namespaces name are not known.
        return
    inventory = PackageInventory()
    yield regularly(ImageSweep(deps, inventory).run, settings.snapshot_seconds)
    yield regularly(PackageSweep(deps, inventory).run, package_sweep.SECONDS)
    yield regularly(TrainingLeftoverSweep(deps).run, training_leftover_sweep.SECONDS)
    yield regularly(RunawaySweep(deps).run, runaway_sweep.SECONDS)
