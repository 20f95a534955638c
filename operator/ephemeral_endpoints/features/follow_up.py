"""A step after an object is ready, whose result does not decide whether it is: checks, comparisons, reviews."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar, TypeVar

from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.step import Step

M = TypeVar("M")


class FollowUp(Step[M]):
    """Base of such steps. What takes long runs in a task of its own, which enqueues the object at its end."""

    asks_model: ClassVar[str | None] = None
    """The condition of a step that asks the model: while the object is asleep it does not run, and that stays."""

    @abstractmethod
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        """Begin, continue or end what there is to do. Does not wait for models, forges or people.

        ``url`` is the public URL if the object is ready as everything is now, else None.
        """

    @abstractmethod
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        """The condition that tells of it; None if the object asks for nothing of the kind."""

    @abstractmethod
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        """The fields of the status that it determines, by the names of ``EphemeralEndpointStatus``."""

    def is_busy(self, reconciliation: Reconciliation) -> bool:
        """Whether it is asking the model, which must not fall asleep meanwhile."""
        del reconciliation
        return False

    def review(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        """The fields of ``status.review`` that it determines, of which several steps have some."""
        del reconciliation
        return {}
