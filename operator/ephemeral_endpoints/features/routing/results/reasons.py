"""The reasons of the condition of classes about published results."""

from typing import Final

from ephemeral_endpoints.engine.reasons import ReasonGroup

RESULTS_DELIVERED: Final = "ResultsDelivered"
"""The condition of a class that says whether the results that its objects publish arrive."""

REASONS: Final = ReasonGroup(RESULTS_DELIVERED)

PUBLISHED: Final = REASONS.normal("ResultsPublished", meaning="No result is known to be lost.")

NOTHING_PUBLISHED: Final = REASONS.normal(
    "NothingPublished",
    meaning="No object of the class publishes results. The first one that does has the alarm on lost ones made.",
)

LOST: Final = REASONS.for_platform(
    "ResultsLost",
    meaning="Forwarders could not publish results in time. Callers got their answers.",
    remedy="look for `resultsCause` in the log lines of the forwarders: AuthorizationError asks for the policy "
    "`forwarder-topic`, AccessDeniedException for `forwarder-stream` or `forwarder-kinesis`",
)

NO_ALARM: Final = REASONS.for_platform(
    "ResultsUnwatched",
    meaning="The alarm on lost results could not be made. Results are published; nothing tells whether some are lost.",
    remedy="correct what the message names: often a policy of the operator; the operator tries again by itself",
)
