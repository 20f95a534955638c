"""The interface of a capability to the rest of the operator."""

from collections.abc import Callable
from dataclasses import dataclass

from ephemeral_endpoints.aws.clients import Clients
from ephemeral_endpoints.aws.component import Component, Scope
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import ResourceKind
from ephemeral_endpoints.features.subject import Resolved, Subject
from ephemeral_endpoints.iam.statement import Statement

Desire = Callable[[Subject, Resolved, DesiredState], DesiredState]
"""The desired resources of an active object, given those of the features before it."""


@dataclass(frozen=True, slots=True)
class Feature:
    """A capability: its kinds of AWS resources, when they should exist, and its permissions in AWS.

    ``policy`` names the managed policy that its statements are part of; IAM limits the size of each. ``adapters`` are
    the components of its kinds, each after those that its lists refer to. Actions and
    statements of several kinds, or of none, are in ``shared_actions`` and ``shared_statements``.
    """

    name: str
    policy: str
    adapters: tuple[type[Component], ...] = ()
    desired: tuple[Desire, ...] = ()
    shared_actions: frozenset[str] = frozenset()
    shared_statements: tuple[Statement, ...] = ()

    @property
    def kinds(self) -> tuple[ResourceKind, ...]:
        """The kinds of resources that it makes."""
        return tuple(each.kind for each in self.adapters)

    @property
    def actions(self) -> frozenset[str]:
        """The IAM actions that its calls need."""
        return self.shared_actions.union(*(each.actions for each in self.adapters))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """The statements that grant them."""
        return (*self.shared_statements, *(row for each in self.adapters for row in each.statements))

    def components(self, clients: Clients, scope: Scope) -> tuple[Component, ...]:
        """A component for each kind."""
        return tuple(each(clients, scope) for each in self.adapters)
