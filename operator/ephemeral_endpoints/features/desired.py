"""The desired state in AWS of one object: a function of its spec, its class and its resolved values."""

from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.features.registry import FEATURES
from ephemeral_endpoints.features.subject import Resolved, Subject


def desired(subject: Subject, resolved: Resolved) -> DesiredState:
    """Everything that should exist for an active object."""
    state = DesiredState()
    for each in (each for feature in FEATURES for each in feature.desired):
        state = state.joined(each(subject, resolved, state))
    return state
