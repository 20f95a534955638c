"""A tiny AWS: it holds resources, refuses what AWS refuses, and goes on by itself between the rounds of a planner."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ephemeral_endpoints.core.names import models_of_config
from ephemeral_endpoints.core.plan import Create, Delete, Desired, Step, Update, plan
from ephemeral_endpoints.core.resources import (
    CONTENT_NAMED,
    CREATING,
    EndpointConfigSpec,
    EndpointSpec,
    Have,
    Haves,
    InstanceSpec,
    IntegrationSpec,
    Key,
    Kind,
    Phase,
    RouteSpec,
    ScalableTargetSpec,
    Spec,
    Want,
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
            return frozenset({Key(Kind.ENDPOINT_CONFIG, spec.config), *_logs(needs)})
        case IntegrationSpec():
            return frozenset({spec.api, spec.function})
        case RouteSpec():
            return frozenset({spec.api, *([spec.integration] if spec.integration else [])})
        case ScalableTargetSpec():
            return frozenset({spec.endpoint})
        case _ if key.kind is Kind.ENDPOINT_CONFIG:
            models = (need.name for need in needs if need.kind is Kind.MODEL)
            return frozenset(Key(Kind.MODEL, model) for model in models_of_config(key.name, models))
        case _:
            return frozenset(_logs(needs))


def _logs(needs: Iterable[Key]) -> list[Key]:
    return [key for key in needs if key.kind is Kind.LOG_GROUP]


@dataclass(slots=True)
class World:
    """``own`` is the subject's, ``others`` is not; ``fates`` are what becomes of the next endpoints, then all serve."""

    own: dict[Key, Have]
    others: dict[Key, Have]
    fates: Iterator[Fate]
    under_way: dict[Key, tuple[Have, Have | None]] = field(default_factory=dict)
    """By endpoint: what a change leads to, and what it leads back to."""

    def take(self, step: Step) -> None:
        """Do what the step says; AssertionError is AWS's refusal."""
        there = self.all
        match step:
            case Create(want):
                assert step.key not in there, f"{step.key} exists"
                self._change(Have(want.key, Phase.READY, want.spec), want.needs, before=None)
            case Update(want, have):
                assert self.own.get(step.key) == have, f"{step.key} is not the subject's, or not as it was seen"
                assert have.phase in (Phase.READY, Phase.IMPAIRED), f"{step.key} is {have.phase}"
                assert step.key.kind not in CONTENT_NAMED, f"{step.key} is immutable"
                assert have.can_become(want), f"{step.key} cannot become that"
                waits = [key for key in want.update_needs if key not in there or not there[key].serves]
                assert not waits, f"{step.key} would lead to {waits}, which do not serve"
                self._refuse_type_change(want)
                self._change(replace(have, spec=want.spec), want.needs, before=have)
            case Delete(have):
                assert self.own.get(step.key) == have, f"{step.key} is not the subject's, or not as it was seen"
                assert have.phase not in (Phase.BUSY, Phase.DELETING), f"{step.key} is {have.phase}"
                users = [str(other.key) for other in there.values() if step.key in other.uses]
                assert not users, f"{step.key} is used by {users}"
                if step.key.kind is Kind.ENDPOINT:
                    self.own[step.key] = replace(have, phase=Phase.DELETING, spec=None)
                else:
                    del self.own[step.key]

    @property
    def all(self) -> Haves:
        """Everything there."""
        return {**self.others, **self.own}

    def go_on(self) -> None:
        """What was under way comes to its end."""
        for key, have in list(self.own.items()):
            if have.phase is Phase.DELETING:
                del self.own[key]
                self.under_way.pop(key, None)
            elif have.phase is Phase.BUSY:
                self.own[key] = self._ended(have, *self.under_way.pop(key, (have, None)))

    def _change(self, after: Have, needs: frozenset[Key], *, before: Have | None) -> None:
        for need in needs:
            assert need in self.all, f"{after.key} needs {need}"
            assert self.all[need].phase is Phase.READY, f"{after.key} needs {need}, which is {self.all[need].phase}"
        after = replace(after, uses=uses_of(after.key, after.spec, needs))
        self.own[after.key] = after
        if after.key.kind is Kind.ENDPOINT:
            self.under_way[after.key] = (after, before)
            uses = after.uses | (before.uses if before else frozenset())
            status = "Updating" if before else CREATING
            self.own[after.key] = replace(after, phase=Phase.BUSY, uses=uses, status=status)

    def _refuse_type_change(self, want: Want) -> None:
        """Autoscaling has to go before the instance type changes."""
        scaled = [have.spec for have in self.own.values() if want.key in have.uses]
        known = {spec.instance_type for spec in scaled if isinstance(spec, ScalableTargetSpec)}
        config = (
            self.own.get(Key(Kind.ENDPOINT_CONFIG, want.spec.config)) if isinstance(want.spec, EndpointSpec) else None
        )
        if config and isinstance(config.spec, EndpointConfigSpec):
            capacities = [variant.capacity for variant in config.spec.variants]
            types = {each.instance_type for each in capacities if isinstance(each, InstanceSpec)}
            assert known <= types, f"{want.key} is still scaled on {known - types}"

    def _ended(self, busy: Have, after: Have, before: Have | None) -> Have:
        match next(self.fates, Fate.SERVES):
            case Fate.FAILS:
                return replace(after, phase=Phase.FAILED, uses=busy.uses)
            case Fate.ROLLS_BACK if before:
                return before
            case _:
                return replace(after, phase=Phase.READY)


def rounds(world: World, wanted: Desired) -> Iterator[tuple[Step, ...]]:
    """The plans of the rounds to come, each before it is carried out; ends when nothing is left but what is at rest."""
    while True:
        steps = plan(wanted, world.own, world.others)
        moving = any(have.phase in (Phase.BUSY, Phase.DELETING) for have in world.own.values())
        if not steps and not moving:
            return
        yield steps
        world.go_on()
