"""What all sweeps share: what they need, how a round goes, and how something is deleted in it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Any, Protocol

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.aws.limits import Sleep
from ephemeral_endpoints.engine.errors import AwsError, ReconcileError
from ephemeral_endpoints.kube.cache import Store
from ephemeral_endpoints.kube.errors import KubernetesError
from ephemeral_endpoints.settings import Settings, SweepMode

logger = logging.getLogger(__name__)


class SweepObserver(Protocol):
    """Receives the sweeps' findings and deletions."""

    def orphans(self, by_kind: Mapping[str, int], *, held: int) -> None:
        """Record a round's findings, and in how many namespaces they were too many to be deleted."""
        ...

    def swept(self, kind: str, outcome: str) -> None:
        """Count a deletion: ``deleted``, or ``failed``."""
        ...


@dataclass(frozen=True, slots=True)
class SweepDeps:
    """What every sweep needs.

    ``objects`` lists all classes and all watched objects afresh: one that the operator cannot read still exists.
    ``disagreement`` says which clocks differ, if any. ``clock`` is monotonic seconds, ``now`` the time of day in UTC.
    """

    settings: Settings
    cluster_id: str
    _: KW_ONLY
    store: Store
    accounts: Accounts
    objects: Callable[[], AsyncIterator[Mapping[str, Any]]]
    observer: SweepObserver
    disagreement: Callable[[], str | None]
    clock: Callable[[], float]
    now: Callable[[], datetime]

    @property
    def is_dry_run(self) -> bool:
        """Whether sweeps only say what they would delete."""
        return self.settings.sweep is SweepMode.DRY_RUN

    def may_begin(self, sweep: str) -> bool:
        """Whether clocks agree: what else may be wrong if they differ is not known."""
        if differs := self.disagreement():
            logger.error("no %s: set the clock of the operator's node", sweep, extra={"error": differs})
        return not differs


@dataclass(frozen=True, slots=True)
class Removal:
    """Something that a sweep deletes or stops, and what the log says of it."""

    kind: str
    run: Callable[[], Awaitable[object]]
    fields: Mapping[str, str]
    failure: str
    done: str = "swept"
    count: int = 1
    not_yet: tuple[type[AwsError], ...] = ()
    """The errors by which AWS says that it is in use: no failure."""


async def remove(deps: SweepDeps, removal: Removal) -> bool:
    """Carry out a removal unless this is a dry run; log and count it. Says whether it is done."""
    if deps.is_dry_run:
        logger.info("would be %s", removal.done, extra=dict(removal.fields))
        return False
    try:
        await removal.run()
    except removal.not_yet:
        return False
    except AwsError as error:
        _count(deps, removal, "failed")
        extra = {**removal.fields, "error": str(error)}
        logger.warning("%s; the operator tries again", removal.failure, extra=extra)
        return False
    _count(deps, removal, "deleted")
    logger.info(removal.done, extra=dict(removal.fields))
    return True


def _count(deps: SweepDeps, removal: Removal, outcome: str) -> None:
    for _ in range(removal.count):
        deps.observer.swept(removal.kind, outcome)


@contextmanager
def left_for_next(sweep: str, endpoint_class: EphemeralEndpointClass) -> Iterator[None]:
    """Log that a class could not be swept, and go on: the next round tries again."""
    try:
        yield
    except (KubernetesError, ReconcileError) as error:
        extra = {"class": endpoint_class.metadata.name, "error": str(error)}
        logger.warning("the %s failed; the operator tries again", sweep, extra=extra)


async def in_each_account(
    deps: SweepDeps,
    sweep: str,
    classes: Iterable[EphemeralEndpointClass],
    run: Callable[[Account], Awaitable[None]],
) -> None:
    """Sweep the accounts and regions of the classes, each once: by the first of its classes that can."""
    swept: set[Scope] = set()
    for each in classes:
        with left_for_next(sweep, each):
            account = await deps.accounts.of(each)
            if account.scope not in swept:
                await run(account)
                swept.add(account.scope)


async def regularly(run: Callable[[], Awaitable[None]], seconds: float, sleep: Sleep = asyncio.sleep) -> None:
    """Make a round every so many seconds, until cancelled."""
    while True:
        await sleep(seconds)
        await run()
