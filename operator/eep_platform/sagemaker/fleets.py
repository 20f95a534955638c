"""The servers behind an endpoint, and the choice of the server for a request."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from eep_platform.sagemaker.endpoints import Deployment
from eep_platform.sagemaker.errors import service_unavailable, validation_error
from eep_platform.sagemaker.servers import VariantServer

_ROUNDING = 1e-9


class Router(Protocol):
    """Chooses the servers for an endpoint's requests."""

    def choose(self, target: str | None) -> VariantServer:
        """The server for the next request: of variant `target`, otherwise by weight, which is exact over time.

        Raises:
            ServiceError: There is no such variant, or all weights are 0.
        """

    def every(self) -> Iterable[VariantServer]:
        """All servers that may receive requests."""


class Fleet:
    """The servers of one deployment by variant name, and their weights."""

    def __init__(self, servers: Mapping[str, VariantServer], deployment: Deployment) -> None:
        self.servers = dict(servers)
        self._weights: dict[str, float] = {}
        self._served: Counter[str] = Counter()
        self.resize(deployment)

    def resize(self, deployment: Deployment) -> None:
        """Apply the weights and the concurrency of a deployment of the same variants."""
        self._weights = {variant.name: variant.weight for variant in deployment.variants}
        self._served.clear()
        for variant in deployment.variants:
            if variant.serverless:
                self.servers[variant.name].allow(variant.serverless)

    def every(self) -> Iterable[VariantServer]:
        """All servers."""
        return list(self.servers.values())

    def choose(self, target: str | None) -> VariantServer:
        """See `Router.choose`."""
        if target is not None:
            if target not in self.servers:
                raise validation_error(f"Variant {target} is not a variant of the endpoint.")
            return self.servers[target]
        weighted = [name for name in self.servers if self._weights.get(name, 0) > 0]
        if not weighted:
            raise service_unavailable("All variants of the endpoint have a weight of 0.")
        name = min(weighted, key=lambda variant: (self._served[variant] + 1) / self._weights[variant])
        self._served[name] += 1
        return self.servers[name]


class Shift:
    """Two fleets during a shift of traffic: the new one receives `share` of the requests, exactly over time."""

    def __init__(self, old: Fleet, new: Fleet, share: float) -> None:
        self._old = old
        self._new = new
        self._share = share
        self._due = 0.0

    def every(self) -> Iterable[VariantServer]:
        """The servers of both fleets."""
        return [*self._old.every(), *self._new.every()]

    def choose(self, target: str | None) -> VariantServer:
        """See `Router.choose`."""
        due = self._due + self._share
        to_new = due >= 1.0 - _ROUNDING
        self._due = due - 1.0 if to_new else due
        return (self._new if to_new else self._old).choose(target)
