"""Attempts to bring an endpoint to its desired state: a failure is retried as its kind deserves; or a change hangs."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Self

from ephemeral_endpoints.engine.resources import FAILURES, ObservedResource, Phase
from ephemeral_endpoints.features.serving.failure_classes import FailureClass, RetryPolicy, class_of
from ephemeral_endpoints.features.serving.specs import EndpointSpec

_UNDER_WAY: Final = frozenset({"Creating", "Updating", "RollingBack"})
"""Statuses of changes that we requested and that can hang; maintenance by AWS is not among them."""


@dataclass(frozen=True, slots=True)
class AttemptTarget:
    """The target of attempts: a configuration, for a generation of the object and its ``reconcile-at`` annotation."""

    config: str
    generation: int
    asked_at: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptState:
    """The attempts to let one endpoint serve its target.

    ``failures`` counts all, ``healing`` those among them that heal by themselves. ``counted`` is the version of the
    endpoint whose failure was counted, ``detail`` SageMaker's reason for it, and ``is_rollback`` whether the previous
    configuration serves instead. ``next_at`` is when the next attempt is due; None without a failure, or after the last
    attempt.
    """

    target: AttemptTarget | None = None
    failures: int = 0
    counted: str = ""
    detail: str = ""
    next_at: datetime | None = None
    healing: int = 0
    is_rollback: bool = False

    @property
    def kind(self) -> FailureClass:
        """The kind of the last failure."""
        return class_of(self.detail)

    def seen(
        self,
        endpoint: ObservedResource | None,
        target: AttemptTarget,
        now: datetime,
        retry_policy: RetryPolicy,
        *,
        is_rolled_back: bool = False,
    ) -> Self:
        """The state after observing the endpoint; ``is_rolled_back`` if its update to the target failed."""
        if endpoint and endpoint.phase is Phase.READY and _is_on(endpoint, target.config):
            return type(self)(target)
        known = self if target == self.target else self._anew(endpoint, target, now)
        has_failed = is_rolled_back or (endpoint is not None and _has_failed(endpoint, target))
        if endpoint is None or not has_failed or endpoint.version == known.counted:
            return known
        kind = class_of(endpoint.detail)
        failures, healing = known.failures + 1, known.healing + kind.heals
        alike = healing if kind.heals else failures - healing
        is_over = is_rolled_back and not _is_worth_another_update(endpoint, kind)
        pause = None if is_over else retry_policy.pause(alike, kind, of=endpoint.key.name)
        return replace(
            known,
            failures=failures,
            healing=healing,
            counted=endpoint.version,
            detail=endpoint.detail,
            next_at=None if pause is None else now + pause,
            is_rollback=is_rolled_back,
        )

    def is_due(self, now: datetime) -> bool:
        """Whether the next attempt is due."""
        return self.next_at is not None and now >= self.next_at

    @property
    def is_over(self) -> bool:
        """Whether all attempts have failed."""
        return self.failures > 0 and self.next_at is None

    def _anew(self, endpoint: ObservedResource | None, target: AttemptTarget, now: datetime) -> Self:
        if self.target is None or endpoint is None:
            return type(self)(target)
        if self.is_rollback and replace(self.target, generation=target.generation) == target:
            # The same configuration would fail the same way, whatever else of the spec has changed.
            return replace(self, target=target)
        # An earlier failure does not count for the current target.
        return type(self)(target, counted=endpoint.version, next_at=now)


def stuck_at(endpoint: ObservedResource, timeout: timedelta) -> datetime | None:
    """When the running change exceeds ``timeout``; None if none runs, or its start is not known."""
    if endpoint.phase is not Phase.BUSY or endpoint.status not in _UNDER_WAY or endpoint.since is None:
        return None
    return endpoint.since + timeout


def _is_worth_another_update(endpoint: ObservedResource, kind: FailureClass) -> bool:
    """Whether an update that was rolled back may succeed later.

    SageMaker sometimes drops the reason when the rollback is done: then it may have been a shortage. A rollback that
    failed too is not repeated in doubt.
    """
    return kind.heals or (kind is FailureClass.UNKNOWN and endpoint.phase is Phase.READY)


def _has_failed(endpoint: ObservedResource, target: AttemptTarget) -> bool:
    return endpoint.phase in FAILURES and _is_on(endpoint, target.config)


def _is_on(endpoint: ObservedResource, config: str) -> bool:
    return isinstance(endpoint.spec, EndpointSpec) and endpoint.spec.config == config
