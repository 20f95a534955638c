"""A tiny AWS: it holds resources, refuses what AWS refuses, and goes on by itself between the rounds of a planner."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ephemeral_endpoints.engine.names import models_of_config
from ephemeral_endpoints.engine.plan import Create, Delete, DesiredState, Step, Update, plan
from ephemeral_endpoints.engine.resources import (
    CREATING,
    DesiredResource,
    Key,
    ObservedResource,
    ObservedResources,
    Phase,
    Spec,
)
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.routing.specs import IntegrationSpec, RouteSpec
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    EndpointConfigSpec,
    EndpointSpec,
    InstanceSpec,
    ScalableTargetSpec,
)


class Fate(StrEnum):
    """What becomes of an endpoint's creation or update."""

    SERVES = "Serves"
    FAILS = "Fails"
    ROLLS_BACK = "RollsBack"


def uses_of(key: Key, spec: Spec | None, needs: Iterable[Key]) -> frozenset[Key]:
    """What AWS shows that a resource refers to."""
    match spec:
        case EndpointSpec():
            return frozenset({Key(ENDPOINT_CONFIG, spec.config), *_logs(needs)})
        case IntegrationSpec():
            return frozenset({spec.api, spec.function})
        case RouteSpec():
            return frozenset({spec.api, *([spec.integration] if spec.integration else [])})
        case ScalableTargetSpec():
            return frozenset({spec.endpoint})
        case _ if key.kind is ENDPOINT_CONFIG:
            models = (need.name for need in needs if need.kind is MODEL)
            return frozenset(Key(MODEL, model) for model in models_of_config(key.name, models))
        case _:
            return frozenset(_logs(needs))


def _logs(needs: Iterable[Key]) -> list[Key]:
    return [key for key in needs if key.kind is LOG_GROUP]


@dataclass(slots=True)
class Cloud:
    """``own`` is the subject's, ``others`` is not; ``fates`` are what becomes of the next endpoints, then all serve."""

    own: dict[Key, ObservedResource]
    others: dict[Key, ObservedResource]
    fates: Iterator[Fate]
    under_way: dict[Key, tuple[ObservedResource, ObservedResource | None]] = field(default_factory=dict)
    """By endpoint: what a change leads to, and what it leads back to."""

    def take(self, step: Step) -> None:
        """Do what the step says; AssertionError is AWS's refusal."""
        there = self.all
        match step:
            case Create(resource):
                assert step.key not in there, f"{step.key} exists"
                self._change(ObservedResource(resource.key, Phase.READY, resource.spec), resource.needs, before=None)
            case Update(resource, observed):
                assert self.own.get(step.key) == observed, f"{step.key} is not the subject's, or not as it was seen"
                assert observed.phase in (Phase.READY, Phase.IMPAIRED), f"{step.key} is {observed.phase}"
                assert not step.key.kind.content_named, f"{step.key} is immutable"
                assert observed.can_become(resource), f"{step.key} cannot become that"
                waits = [key for key in resource.update_needs if key not in there or not there[key].serves]
                assert not waits, f"{step.key} would lead to {waits}, which do not serve"
                self._refuse_type_change(resource)
                self._change(replace(observed, spec=resource.spec), resource.needs, before=observed)
            case Delete(observed):
                assert self.own.get(step.key) == observed, f"{step.key} is not the subject's, or not as it was seen"
                assert observed.phase not in (Phase.BUSY, Phase.DELETING), f"{step.key} is {observed.phase}"
                users = [str(other.key) for other in there.values() if step.key in other.uses]
                assert not users, f"{step.key} is used by {users}"
                if step.key.kind is ENDPOINT:
                    self.own[step.key] = replace(observed, phase=Phase.DELETING, spec=None)
                else:
                    del self.own[step.key]

    @property
    def all(self) -> ObservedResources:
        """Everything there."""
        return {**self.others, **self.own}

    def go_on(self) -> None:
        """What was under way comes to its end."""
        for key, observed in list(self.own.items()):
            if observed.phase is Phase.DELETING:
                del self.own[key]
                self.under_way.pop(key, None)
            elif observed.phase is Phase.BUSY:
                self.own[key] = self._ended(observed, *self.under_way.pop(key, (observed, None)))

    def _change(self, after: ObservedResource, needs: frozenset[Key], *, before: ObservedResource | None) -> None:
        for need in needs:
            assert need in self.all, f"{after.key} needs {need}"
            assert self.all[need].phase is Phase.READY, f"{after.key} needs {need}, which is {self.all[need].phase}"
        after = replace(after, uses=uses_of(after.key, after.spec, needs))
        self.own[after.key] = after
        if after.key.kind is ENDPOINT:
            self.under_way[after.key] = (after, before)
            uses = after.uses | (before.uses if before else frozenset())
            status = "Updating" if before else CREATING
            self.own[after.key] = replace(after, phase=Phase.BUSY, uses=uses, status=status)

    def _refuse_type_change(self, resource: DesiredResource) -> None:
        """Autoscaling has to go before the instance type changes."""
        scaled = [observed.spec for observed in self.own.values() if resource.key in observed.uses]
        known = {spec.instance_type for spec in scaled if isinstance(spec, ScalableTargetSpec)}
        config = (
            self.own.get(Key(ENDPOINT_CONFIG, resource.spec.config))
            if isinstance(resource.spec, EndpointSpec)
            else None
        )
        if config and isinstance(config.spec, EndpointConfigSpec):
            capacities = [variant.capacity for variant in config.spec.variants]
            types = {each.instance_type for each in capacities if isinstance(each, InstanceSpec)}
            assert known <= types, f"{resource.key} is still scaled on {known - types}"

    def _ended(
        self, busy: ObservedResource, after: ObservedResource, before: ObservedResource | None
    ) -> ObservedResource:
        match next(self.fates, Fate.SERVES):
            case Fate.FAILS:
                return replace(after, phase=Phase.FAILED, uses=busy.uses)
            case Fate.ROLLS_BACK if before:
                return before
            case _:
                return replace(after, phase=Phase.READY)


def rounds(cloud: Cloud, wanted: DesiredState) -> Iterator[tuple[Step, ...]]:
    """The plans of the rounds to come, each before it is carried out; ends when nothing is left but what is at rest."""
    while True:
        steps = plan(wanted, cloud.own, cloud.others)
        moving = any(observed.phase in (Phase.BUSY, Phase.DELETING) for observed in cloud.own.values())
        if not steps and not moving:
            return
        yield steps
        cloud.go_on()
