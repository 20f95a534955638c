"""Detects that a rollout was rolled back, which SageMaker does not report.

The endpoint is simply InService on the old configuration again, or on a mix of both if the rollback failed too.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from ephemeral_endpoints.engine.resources import ObservedResource, Phase
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, EndpointSpec

_AT_REST: Final = frozenset({Phase.READY, Phase.IMPAIRED})
_NOT_EVEN_BACK: Final = "UpdateRollbackFailed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """The update of an endpoint: the configuration that it is being updated to, and the one that failed last."""

    towards: str | None = None
    failed: str | None = None
    version: str = ""
    """The endpoint's version when the update began: while AWS shows it, the update is not visible yet."""

    asked_at: str | None = None
    """The ``reconcile-at`` annotation at that time: another value requests another attempt."""

    begun_at: datetime | None = None
    """When this process began the last update; None if it has begun none."""

    is_recalled: bool = False
    """Whether updates by earlier processes were evaluated."""

    def begun(self, config: str, version: str, now: datetime) -> Self:
        """Record that AWS accepted an update of the endpoint in ``version`` to ``config``, be it another attempt."""
        failed = None if self.failed == config else self.failed
        return replace(self, towards=config, failed=failed, version=version, begun_at=now, is_recalled=True)

    def asked(self, at: str | None) -> Self:
        """Permit another attempt at the failed configuration if it was requested since."""
        return self if at == self.asked_at else replace(self, failed=None, asked_at=at)

    def seen(self, endpoint: ObservedResource | None) -> Self:
        """The state after observing the endpoint."""
        if endpoint is None:
            return type(self)(asked_at=self.asked_at, is_recalled=True)
        if self.towards is None:
            return replace(self, towards=_pending(endpoint), version=endpoint.version)
        if endpoint.version == self.version:
            return self
        if endpoint.phase not in _AT_REST or not isinstance(endpoint.spec, EndpointSpec):
            return self
        arrived = endpoint.spec.config == self.towards
        return replace(self, towards=None, failed=None if arrived else self.towards, is_recalled=True)

    def recalled(
        self, endpoint: ObservedResource | None, config: ObservedResource | None, candidates: Collection[str]
    ) -> Self:
        """Decide whether an earlier process has already failed to roll out ``config``, the desired configuration.

        It has if the endpoint changed after the configuration was created, serves another one, and shows a failure. If
        the process had stopped before the update, the endpoint would not have changed. The failure is that of
        ``config`` if nothing else can have been tried: ``candidates`` are the names of configurations without another
        explanation. In doubt the rollout is tried once more, which does no harm.
        """
        if self.is_recalled or endpoint is None or config is None or endpoint.phase not in _AT_REST:
            return self
        known = replace(self, is_recalled=True)
        if not isinstance(endpoint.spec, EndpointSpec) or endpoint.spec.config == config.key.name:
            return known
        is_later = endpoint.since is not None and config.since is not None and endpoint.since > config.since
        has_failed = bool(endpoint.detail) or endpoint.status == _NOT_EVEN_BACK
        is_alone = set(candidates) <= {config.key.name, endpoint.spec.config}
        return replace(known, failed=config.key.name) if is_later and has_failed and is_alone else known


def _pending(endpoint: ObservedResource) -> str | None:
    """The target of a running update that another process started."""
    if endpoint.phase is not Phase.BUSY or not isinstance(endpoint.spec, EndpointSpec):
        return None
    configs = {key.name for key in endpoint.uses if key.kind is ENDPOINT_CONFIG} - {endpoint.spec.config}
    return configs.pop() if len(configs) == 1 else None
