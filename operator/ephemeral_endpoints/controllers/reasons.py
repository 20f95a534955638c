"""The catalogue of all reasons that the operator can report, from those that its parts declare."""

from typing import Final

from ephemeral_endpoints.controllers.endpoint import reasons as of_objects
from ephemeral_endpoints.controllers.endpoint_class import reasons as of_classes
from ephemeral_endpoints.engine import errors, reasons
from ephemeral_endpoints.engine.reasons import Reason, catalogue
from ephemeral_endpoints.features import stages

CATALOGUE: Final[tuple[Reason, ...]] = catalogue(
    *stages.REASONS, errors.REASONS, reasons.REASONS, of_objects.REASONS, of_classes.REASONS
)
"""Each once."""
