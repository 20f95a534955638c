"""The conditions of an object from the stages of its features, each of which depends on those before it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.engine import conditions
from ephemeral_endpoints.engine.conditions import Cause, ConditionUpdate, Progress, Stage
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.reasons import ReasonGroup
from ephemeral_endpoints.engine.resources import Key, ObservedResources
from ephemeral_endpoints.features.expiry import stage as expiry
from ephemeral_endpoints.features.images import reasons as images
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.images.stage import image_ready
from ephemeral_endpoints.features.monitoring import stage as monitoring
from ephemeral_endpoints.features.monitoring.stage import monitored
from ephemeral_endpoints.features.routing import stage as routing
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.routing.stage import proof, route_ready
from ephemeral_endpoints.features.serving import reasons as serving
from ephemeral_endpoints.features.serving.failures import Endpoints
from ephemeral_endpoints.features.serving.stage import endpoint_ready


@dataclass(frozen=True, slots=True)
class ConditionInput:
    """All that is known of one object at the end of a reconciliation.

    ``image`` is None while it could not be looked up. ``answered`` says whether a request through the URL was
    answered, None if none was sent, and ``refusal`` which answer somebody must act on. ``problems`` are errors of no
    single resource, such as missing credentials. ``path`` is what is known of the path.
    """

    desired: DesiredState
    own: ObservedResources
    others: ObservedResources
    image: ImageState | None
    errors: Mapping[Key, ReconcileError] = field(default_factory=dict)
    problems: tuple[ReconcileError, ...] = ()
    path: PathState = field(default_factory=PathState)
    answered: bool | None = None
    answer: str = ""
    refusal: Cause | None = None
    last_lines: tuple[str, ...] = ()
    endpoints: Endpoints = field(default_factory=Endpoints)
    environment_error: ReconcileError | None = None
    note: str = ""
    token_secret: str | None = None

    @property
    def progress(self) -> Progress:
        """The input for the stages of resources."""
        return Progress(self.desired, self.own, self.others, self.errors)


STAGES: Final[tuple[Callable[[ConditionInput], Stage], ...]] = (
    lambda given: image_ready(given.image),
    lambda given: endpoint_ready(given.progress, given.endpoints, given.last_lines, given.environment_error),
    lambda given: route_ready(given.progress, given.path, given.token_secret, given.refusal),
    lambda given: monitored(given.progress),
)

REASONS: Final[tuple[ReasonGroup, ...]] = tuple(each.REASONS for each in (expiry, images, serving, routing, monitoring))


def of_active(given: ConditionInput) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object that should serve."""
    stages = [stage(given) for stage in STAGES]
    ready = proof(answered=given.answered, answer=given.answer, note=given.note)
    return conditions.of_active(stages, given.progress, given.problems, ready)
