"""Whether a rollout of ours was rolled back, which SageMaker does not say.

The endpoint is just InService on the old configuration again, or serves a mix of both where that failed too.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final, Self

from ephemeral_endpoints.core.resources import EndpointSpec, Have, Kind, Phase

_AT_REST: Final = frozenset({Phase.READY, Phase.IMPAIRED})
_NOT_EVEN_BACK: Final = "UpdateRollbackFailed"


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was asked of an endpoint: the configuration that it is on its way to, and the one that failed last."""

    towards: str | None = None
    failed: str | None = None
    version: str = ""
    """The version of the endpoint that the update began from: while it shows, the update has not begun to show."""

    asked_at: str | None = None
    """The request for a fresh look as of which this holds: another one asks for another try."""

    is_recalled: bool = False
    """Whether it is known what came before this process."""

    def begun(self, config: str, version: str) -> Self:
        """An update of the endpoint in ``version`` to ``config`` was accepted."""
        return replace(self, towards=config, version=version, is_recalled=True)

    def asked(self, at: str | None) -> Self:
        """Give what failed another try if somebody asked for it since."""
        return self if at == self.asked_at else replace(self, failed=None, asked_at=at)

    def seen(self, endpoint: Have | None) -> Self:
        """Conclude from the endpoint as it is."""
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

    def recalled(self, endpoint: Have | None, config: Have | None, candidates: Collection[str]) -> Self:
        """Conclude from what AWS shows whether an earlier process tried ``config``, the wanted one, in vain.

        It did if the endpoint has changed after the configuration was made, serves another one all the same, and says
        of a failure. Had it been stopped before the update, the endpoint would not have changed since. The failure is
        that of ``config`` if nothing else can have been tried: ``candidates`` are the names of the configurations that
        nothing else accounts for. In doubt it is tried once more, which does no harm.
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


def _pending(endpoint: Have) -> str | None:
    """The configuration that an update is on its way to which this process has not begun."""
    if endpoint.phase is not Phase.BUSY or not isinstance(endpoint.spec, EndpointSpec):
        return None
    configs = {key.name for key in endpoint.uses if key.kind is Kind.ENDPOINT_CONFIG} - {endpoint.spec.config}
    return configs.pop() if len(configs) == 1 else None
