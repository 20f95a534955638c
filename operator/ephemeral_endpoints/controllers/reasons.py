"""The catalogue of all reasons that the operator can report, from those that its parts declare."""

from typing import Final

from ephemeral_endpoints.controllers.endpoint import reasons as of_objects
from ephemeral_endpoints.controllers.endpoint_class import reasons as of_classes
from ephemeral_endpoints.engine import errors, reasons
from ephemeral_endpoints.engine.reasons import Finality, Reason, catalogue
from ephemeral_endpoints.features import stages
from ephemeral_endpoints.features.capacity import budget_stage as of_budgets
from ephemeral_endpoints.features.capacity import limits as of_limits
from ephemeral_endpoints.features.capacity import listed_prices as of_prices
from ephemeral_endpoints.features.capacity import service_quotas as of_quotas
from ephemeral_endpoints.features.checks.comparison import reasons as of_comparisons
from ephemeral_endpoints.features.notifications import reasons as of_notifications
from ephemeral_endpoints.features.promotion import reasons as of_promotions
from ephemeral_endpoints.features.reaping import reasons as of_reapers
from ephemeral_endpoints.features.reviews import errors as of_forges
from ephemeral_endpoints.features.reviews import policy as of_reviews
from ephemeral_endpoints.features.reviews.commands import reasons as of_commands
from ephemeral_endpoints.features.reviews.publishing import stage as of_publications
from ephemeral_endpoints.features.reviews.pull_requests import stage as of_pull_requests
from ephemeral_endpoints.features.routing import domain as of_domains
from ephemeral_endpoints.features.routing.capture import reasons as of_captures
from ephemeral_endpoints.features.routing.postprocessing import reasons as of_postprocessing
from ephemeral_endpoints.features.routing.results import reasons as of_results

CATALOGUE: Final[tuple[Reason, ...]] = catalogue(
    *stages.REASONS,
    of_comparisons.REASONS,
    errors.REASONS,
    reasons.REASONS,
    of_objects.REASONS,
    of_classes.REASONS,
    of_limits.REASONS,
    of_budgets.REASONS,
    of_quotas.REASONS,
    of_prices.REASONS,
    of_reviews.REASONS,
    of_publications.REASONS,
    of_forges.REASONS,
    of_pull_requests.REASONS,
    of_commands.REASONS,
    of_notifications.REASONS,
    of_postprocessing.REASONS,
    of_captures.REASONS,
    of_results.REASONS,
    of_reapers.REASONS,
    of_domains.REASONS,
    of_promotions.REASONS,
)
"""Each once."""

TO_ACT_ON: Final = frozenset(
    reason.name for reason in CATALOGUE if reason.is_failure and reason.finality is not Finality.TRANSIENT
)
"""The names of those that do not resolve unless somebody acts."""
