"""The reason of Events about what people ask for on pull requests."""

from typing import Final

from ephemeral_endpoints.engine.reasons import EVENTS, ReasonGroup

REASONS: Final = ReasonGroup(EVENTS)

COMMANDED: Final = REASONS.normal(
    "CommandedByComment",
    meaning="A person who may write to the repository asked for it by a comment on the pull request. The message names "
    "the person and the comment.",
)
