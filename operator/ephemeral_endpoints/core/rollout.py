"""Whether a rollout of ours was rolled back, which SageMaker does not say.

The endpoint is just InService on the old configuration again.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from dataclasses import dataclass, replace
from typing import Self

from ephemeral_endpoints.core.resources import EndpointSpec, Have, Phase


@dataclass(frozen=True, slots=True)
class Rollout:
    """What was asked of an endpoint: the configuration that it is on its way to, and the one that failed last."""

    towards: str | None = None
    failed: str | None = None
    version: str = ""
    """The version of the endpoint that the update began from: while it shows, the update has not begun to show."""

    def begun(self, config: str, version: str) -> Self:
        """An update of the endpoint in ``version`` to ``config`` was accepted."""
        return replace(self, towards=config, version=version)

    def seen(self, endpoint: Have | None) -> Self:
        """Conclude from the endpoint as it is."""
        if endpoint is None:
            return type(self)()
        if self.towards is None or endpoint.version == self.version:
            return self
        if endpoint.phase is not Phase.READY or not isinstance(endpoint.spec, EndpointSpec):
            return self
        arrived = endpoint.spec.config == self.towards
        return replace(self, towards=None, failed=None if arrived else self.towards)
