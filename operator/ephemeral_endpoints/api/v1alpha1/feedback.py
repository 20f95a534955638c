"""Votes on answers: what is asked for, and what was counted."""

from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel
from ephemeral_endpoints.api.v1alpha1.lifecycle import DeletionPolicy


class Feedback(ApiModel):
    """Votes of callers on the answers of the model, in a DynamoDB table that the object owns."""

    reasons: bool = True
    """Whether the reason is kept that a caller gives for a vote: a text of at most 2000 characters. Everyone who may
    call the endpoint can read it. Default true."""

    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """What happens to the table when the object is deleted or expires. Delete: it is deleted. Retain: it stays, with
    the tag ephemeral-endpoints.io/retain=true, and the next object of that name in the namespace goes on with it; you
    must delete it yourself. The class must allow it (lifecycle.allowRetainFeedback). The two have tables of their own,
    so that a change begins with another one. Default Delete."""


class VariantVotes(ApiModel):
    """The votes on the answers of one variant, by the revision that is served."""

    model_config = TOLERANT

    variant: str
    """Name of the variant."""

    up: int
    """Number of answers that were voted up."""

    down: int
    """Number of answers that were voted down."""
