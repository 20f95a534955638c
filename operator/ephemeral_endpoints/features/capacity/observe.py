"""The cost of an object's running capacity, by the configurations of its endpoints."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import ObservedResource
from ephemeral_endpoints.features.capacity import cost, prices
from ephemeral_endpoints.features.capacity.cost import Capacities, HourlyCost
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, EndpointConfigSpec
from ephemeral_endpoints.features.step import Step


@dataclass(slots=True)
class ConfiguredCapacities:
    """The capacity of desired configurations, by their names: lists do not show it."""

    by_config: Mapping[str, Capacities] = field(default_factory=dict)


class RunningCosts(Step[ConfiguredCapacities]):
    """Computes the hourly cost of an object's endpoints."""

    def __init__(self) -> None:
        super().__init__(ConfiguredCapacities)

    def note(self, reconciliation: Reconciliation, desired: DesiredState) -> None:
        """Remember the instances of the desired configurations, beside those that still exist."""
        memory = self.memory(reconciliation.uid)
        asked = {
            resource.key.name: cost.capacities(resource.spec)
            for resource in desired.resources
            if isinstance(resource.spec, EndpointConfigSpec)
        }
        existing = {key.name for key in reconciliation.own if key.kind is ENDPOINT_CONFIG}
        memory.by_config = {name: each for name, each in memory.by_config.items() if name in existing} | asked

    def hourly(
        self, reconciliation: Reconciliation, endpoints: Collection[ObservedResource] | None = None
    ) -> HourlyCost | None:
        """The hourly cost of the object's endpoints, or some of them; None if it is not known."""
        own = reconciliation.own if endpoints is None else {each.key: each for each in endpoints}
        capacity = cost.running_capacity(own, self.memory(reconciliation.uid).by_config)
        if capacity is None:
            return None
        return cost.hourly_cost(capacity, prices.of_class(reconciliation.subject.endpoint_class))

    def describe(self, reconciliation: Reconciliation, endpoints: Collection[ObservedResource]) -> str:
        """The cost of some endpoints, in words that follow "it costs"."""
        hourly = self.hourly(reconciliation, endpoints)
        return "an unknown amount" if hourly is None else str(hourly)
