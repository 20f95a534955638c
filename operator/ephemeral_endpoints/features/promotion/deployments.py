"""What a forge should show of the versions of a stage: a function of its status. Pure."""

from collections.abc import Collection, Mapping
from typing import Final

from ephemeral_endpoints.api.v1alpha1.model_promotion import Outcome
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStageStatus, PromotionRecord
from ephemeral_endpoints.features.promotion import reasons
from ephemeral_endpoints.features.reviews.forge import Deployment, DeploymentState
from ephemeral_endpoints.features.reviews.publishing.desired import MOST_DESCRIPTION
from ephemeral_endpoints.features.reviews.publishing.markdown import is_plain_url, plain

_WAITS: Final[Mapping[str, str]] = {
    reasons.AWAITING_APPROVAL.name: "Waits for an approval",
    reasons.FROZEN.name: "Waits for the end of the freeze",
    reasons.PROMOTION_SUSPENDED.name: "Waits, because promotions are suspended",
}
_FAILED: Final = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})


def deployments(
    status: ModelStageStatus, environment: str, running: str | None, shown: Collection[str]
) -> dict[str, Deployment]:
    """The deployment of each version that a stage serves, served, or is to serve.

    ``running`` is the version that is rolled out, ``shown`` are those that the forge shows already: of others, what is
    over is not shown any more, except for a failure that nothing came after. Descriptions stay the same while states
    do: each change is a request.
    """
    found = dict.fromkeys(shown, _inactive(environment))
    for record in reversed(status.history):
        if record.version in shown or (record is status.history[0] and record.outcome in _FAILED):
            found[record.version] = _ended(record, environment)
    condition = next((each for each in status.conditions if each.type == reasons.PROMOTED_CONDITION), None)
    if status.candidate and condition and condition.reason in _WAITS:
        found[status.candidate] = Deployment(environment, DeploymentState.QUEUED, _WAITS[condition.reason])
    if status.current and (status.current.version not in found or not _has_failed(found[status.current.version])):
        url = status.url if status.url and is_plain_url(status.url) else None
        words = f"{status.current.version} serves"
        found[status.current.version] = Deployment(environment, DeploymentState.SUCCESS, words, url)
    if running:
        found[running] = Deployment(environment, DeploymentState.IN_PROGRESS, f"Rolling out {running}")
    return found


def ended(environment: str) -> Deployment:
    """The deployment of any version of a stage that is gone."""
    return Deployment(environment, DeploymentState.INACTIVE, "The stage is gone")


def _ended(record: PromotionRecord, environment: str) -> Deployment:
    if record.outcome not in _FAILED:
        return _inactive(environment)
    return Deployment(environment, DeploymentState.FAILURE, plain(record.message, MOST_DESCRIPTION))


def _inactive(environment: str) -> Deployment:
    return Deployment(environment, DeploymentState.INACTIVE, "The stage does not serve this version")


def _has_failed(deployment: Deployment) -> bool:
    return deployment.state is DeploymentState.FAILURE
