"""Resolves the package that an object names to the image, the data and the environment that are served."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.packages import ModelPackage, PackageStatus
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.engine.errors import NotFound, ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.features.packages.policy import (
    PackageState,
    VersionArn,
    absent,
    decide,
    refusal,
    without_approved,
)
from ephemeral_endpoints.features.packages.reasons import APPROVED
from ephemeral_endpoints.features.packages.registry import Registry
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.specs import MODEL
from ephemeral_endpoints.features.step import Step

HEARD_SECONDS: Final = 3600.0
"""How often the registry is read where its events tell of changes, of which one may be lost."""

POLL_SECONDS: Final = 300.0
WAITING_SECONDS: Final = 60.0
"""How often it is read without events, and while an approval is waited for."""

_READING: Final = "package"


@dataclass(slots=True)
class Packages:
    """The known state of an object's package, for what it ``asked``, and the errors that kept it from being read."""

    asked: ModelPackage | None = None
    state: PackageState | None = None
    read_at: float = 0.0
    retries: Retries[str] = field(default_factory=Retries)

    @property
    def error(self) -> ReconcileError | None:
        """Why the package could not be read the last time."""
        return self.retries.error(_READING)

    @property
    def status(self) -> PackageStatus | None:
        """The version that is served, for the status."""
        state = self.state
        if state is None or state.model is None or state.version is None:
            return None
        return PackageStatus(arn=state.version.arn, approval=state.version.approval)


class PackagesStep(Step[Packages]):
    """Gives the subject of a reconciliation its package. ``is_heard``: events of an account's registry do arrive.

    ``clock`` is monotonic seconds.
    """

    def __init__(self, registry: Registry, is_heard: Callable[[Account], bool], clock: Callable[[], float]) -> None:
        super().__init__(Packages)
        self._registry = registry
        self._is_heard = is_heard
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Find out what is served of the package. Failures are recorded, and retried when due.

        What was known before holds meanwhile. Raises Unauthenticated, which concerns more than this object.
        """
        known, asked = self.memory(reconciliation.uid), reconciliation.subject.endpoint.spec.model.package
        if known.asked != asked:
            known.asked, known.state = asked, None
        if asked and not known.retries.blocked(self._clock()):
            try:
                known.state = await self._state(reconciliation, asked, self._max_age(reconciliation))
            except Unauthenticated:
                raise
            except ReconcileError as error:
                known.retries.note(_READING, error, self._clock())
            else:
                known.retries.clear(_READING)
                known.read_at = self._clock()
        if known.state:
            reconciliation.subject = replace(reconciliation.subject, packaged=known.state.model)

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        known, now = self.memory(reconciliation.uid), self._clock()
        if known.asked is None:
            return None
        if (retry := known.retries.due(now)) is not None:
            return retry
        return max(0.0, known.read_at + self._max_age(reconciliation) - now)

    @override
    def retry(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).retries.keep_only(())

    @override
    def refresh(self, uid: str) -> None:
        """See ``Step``."""
        self.retry(uid)
        if asked := self.memory(uid).asked:
            self._registry.changed(asked.group_name)

    def _max_age(self, reconciliation: Reconciliation) -> float:
        state = self.memory(reconciliation.uid).state
        if self._is_heard(reconciliation.account):
            return HEARD_SECONDS
        return POLL_SECONDS if state and state.cause.reason is APPROVED else WAITING_SECONDS

    async def _state(self, reconciliation: Reconciliation, asked: ModelPackage, max_age: float) -> PackageState:
        subject, account = reconciliation.subject, reconciliation.account
        policy, served = subject.endpoint_class.spec.packages, _served(reconciliation)
        refused = refusal(asked, policy, region=account.scope.region, account=account.scope.account_id)
        if refused or policy is None:
            return refused or absent(asked.group_name)
        try:
            arn = await self._arn(reconciliation, asked, served, max_age)
            if arn is None:
                return without_approved(asked.group_name)
            version = await self._registry.version(account, reconciliation.calls, arn, max_age)
        except NotFound:
            return absent(_name(asked))
        is_serverless = subject.endpoint.spec.serving.instances is None
        return decide(asked, version, policy, is_served=version.arn == served, is_serverless=is_serverless)

    async def _arn(
        self, reconciliation: Reconciliation, asked: ModelPackage, served: str | None, max_age: float
    ) -> str | None:
        """The ARN of the version that is meant; that of the served one, where no version of its group is approved."""
        account = reconciliation.account
        if asked.arn:
            return asked.arn
        if asked.version:
            return account.scope.arn("sagemaker", f"model-package/{asked.group}/{asked.version}")
        group = asked.group_name
        latest = await self._registry.latest_approved(account, reconciliation.calls, group, max_age)
        is_of_group = served is not None and VersionArn.group_of(served) == group
        return latest or (served if is_of_group else None)


def _name(asked: ModelPackage) -> str:
    return asked.arn or (f"{asked.group}/{asked.version}" if asked.version else str(asked.group))


def _served(reconciliation: Reconciliation) -> str | None:
    """The version that the object serves already, by its status.

    One that was rejected is served by its name, and only AWS could make a model of it again: it refuses to.
    """
    package = reconciliation.subject.endpoint.status.package
    return package.arn if package and any(key.kind is MODEL for key in reconciliation.own) else None
