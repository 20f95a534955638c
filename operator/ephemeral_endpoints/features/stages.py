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
from ephemeral_endpoints.features.checks import reasons as checks
from ephemeral_endpoints.features.expiry import stage as expiry
from ephemeral_endpoints.features.images import reasons as images
from ephemeral_endpoints.features.images.references import ImageState
from ephemeral_endpoints.features.images.stage import image_ready
from ephemeral_endpoints.features.monitoring import stage as monitoring
from ephemeral_endpoints.features.monitoring.stage import monitored
from ephemeral_endpoints.features.packages import reasons as packages
from ephemeral_endpoints.features.packages.policy import PackageState
from ephemeral_endpoints.features.packages.stage import approval, held
from ephemeral_endpoints.features.routing import stage as routing
from ephemeral_endpoints.features.routing.policy import PathState
from ephemeral_endpoints.features.routing.stage import proof, route_ready
from ephemeral_endpoints.features.serving import reasons as serving
from ephemeral_endpoints.features.serving.failures import Endpoints
from ephemeral_endpoints.features.serving.stage import endpoint_ready
from ephemeral_endpoints.features.sleep import stage as sleep
from ephemeral_endpoints.features.training import reasons as training
from ephemeral_endpoints.features.training.outcome import Progress as Training
from ephemeral_endpoints.features.training.stage import model_registered, trained


@dataclass(frozen=True, slots=True)
class ConditionInput:
    """All that is known of one object at the end of a reconciliation.

    ``image`` is None while it could not be looked up. ``answered`` says whether a request through the URL was
    answered, None if none was sent, and ``refusal`` which answer somebody must act on. ``problems`` are errors of no
    single resource, such as missing credentials. ``path`` is what is known of the path, and ``admission`` how callers
    authenticate. ``asleep`` is why nothing runs, ``is_proven`` whether this revision has served before, ``training``
    what is known of the training of an object that has one, and ``refused`` why nothing older may serve. ``package`` is
    None for an object that names none, and while it could not be read.
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
    api_error: ReconcileError | None = None
    note: str = ""
    admission: str = ""
    domain_note: str = ""
    asleep: Cause | None = None
    training: Training | None = None
    refused: Cause | None = None
    package: PackageState | None = None
    is_proven: bool = True

    @property
    def progress(self) -> Progress:
        """The input for the stages of resources."""
        return Progress(self.desired, self.own, self.others, self.errors)


STAGES: Final[tuple[Callable[[ConditionInput], Stage | None], ...]] = (
    lambda given: held(given.package),
    lambda given: image_ready(given.image),
    lambda given: trained(given.training),
    lambda given: model_registered(given.training),
    lambda given: endpoint_ready(
        given.progress,
        given.endpoints,
        given.last_lines,
        held=given.environment_error or given.api_error,
        asleep=given.asleep,
        refused=given.refused,
    ),
    lambda given: route_ready(
        given.progress, given.path, given.admission, given.refusal, given.api_error, note=given.domain_note
    ),
    lambda given: monitored(given.progress),
)

REASONS: Final[tuple[ReasonGroup, ...]] = tuple(
    each.REASONS for each in (expiry, packages, images, training, serving, routing, sleep, monitoring, checks)
)


def of_active(given: ConditionInput) -> tuple[ConditionUpdate, ...]:
    """The conditions of an object that should serve."""
    stages = [found for stage in STAGES if (found := stage(given))]
    ready = proof(
        answered=given.answered,
        answer=given.answer,
        note=given.note,
        asleep=given.asleep,
        is_proven=given.is_proven,
    )
    served = approval(given.package)
    return (*conditions.of_active(stages, given.progress, given.problems, ready), *([served] if served else ()))
