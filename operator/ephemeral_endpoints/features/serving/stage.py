"""The condition ``EndpointReady``."""

from dataclasses import replace
from typing import Final

from ephemeral_endpoints.engine.conditions import Cause, Progress, Stage, of_resources
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.log_lines import quoting
from ephemeral_endpoints.features.serving.failures import Endpoints, Failure, worst
from ephemeral_endpoints.features.serving.forms import changing_form
from ephemeral_endpoints.features.serving.reasons import (
    IN_FLIGHT_REASONS,
    IN_SERVICE,
    STUCK,
    WAITING_FOR_IMAGE,
)
from ephemeral_endpoints.features.serving.specs import ENDPOINT_READY

_DONE: Final = Cause(IN_SERVICE, "the endpoint is serving this revision")
_HELD: Final = Cause(WAITING_FOR_IMAGE, "waiting for the image")


def endpoint_ready(  # noqa: PLR0913 - what is known of it
    progress: Progress,
    endpoints: Endpoints,
    last_lines: tuple[str, ...],
    *,
    held: ReconcileError | None = None,
    asleep: Cause | None = None,
    refused: Cause | None = None,
) -> Stage:
    """Whether the endpoints serve the revision; ``last_lines`` are those of the log of one that fails.

    ``held`` is why nothing is created yet although the image may be ready, ``asleep`` why nothing runs, and
    ``refused`` why nothing may.
    """
    failure = worst(endpoints, progress.desired.resources, progress.own)
    cause = _cause(failure, last_lines) if failure else refused
    update = of_resources(
        ENDPOINT_READY,
        _but_for_form(progress),
        done=asleep or _DONE,
        failure=cause,
        held=Cause.of(held) if held else _HELD,
        in_flight=IN_FLIGHT_REASONS,
    )
    return Stage(update, cause if failure and failure.terminal else None)


def _but_for_form(progress: Progress) -> Progress:
    """The progress without what changes of endpoints that serve this revision all the same; errors count."""
    changing = changing_form(progress.desired, progress.own) - progress.errors.keys()
    resources = tuple(each for each in progress.desired.resources if each.key not in changing)
    return replace(progress, desired=replace(progress.desired, resources=resources))


def _cause(failure: Failure, lines: tuple[str, ...]) -> Cause:
    message = quoting(failure.message, lines)
    if failure.reason is STUCK:
        return Cause(failure.reason, message, awaited="SageMaker to finish the change")
    return Cause(failure.reason, message)
