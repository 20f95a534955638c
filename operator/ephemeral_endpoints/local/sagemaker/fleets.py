"""The servers behind an endpoint, and which of them takes a request."""

from collections import Counter
from collections.abc import Mapping

from ephemeral_endpoints.local.sagemaker.errors import service_unavailable, validation_error
from ephemeral_endpoints.local.sagemaker.servers import VariantServer


class Fleet:
    """The servers of one deployment by variant name, with the share of requests that each is to get."""

    def __init__(self, servers: Mapping[str, VariantServer], weights: Mapping[str, float]) -> None:
        self.servers = dict(servers)
        self._weights = dict(weights)
        self._served: Counter[str] = Counter()

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Change the shares from now on."""
        self._weights = dict(weights)
        self._served.clear()

    def choose(self, target: str | None) -> VariantServer:
        """The server for the next request: of variant `target`, else by weight, which is exact over time.

        Raises:
            ServiceError: There is no such variant, or no variant has a weight.
        """
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
