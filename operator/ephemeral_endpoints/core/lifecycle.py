"""When an object ends, and how."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.endpoint import ExpiryAction

GITOPS_LABELS: Final = frozenset(
    {"argocd.argoproj.io/instance", "helm.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/name"}
)
GITOPS_ANNOTATIONS: Final = frozenset({"argocd.argoproj.io/tracking-id"})


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The end of an object; ``capped`` if it asked for more than its class grants."""

    expires_at: datetime
    capped: bool

    def is_over(self, now: datetime) -> bool:
        """Whether the end has come."""
        return now >= self.expires_at


def lifetime(created_at: datetime, ttl: timedelta | None, *, default: timedelta, longest: timedelta) -> Lifetime:
    """The lifetime that ``ttl`` and the class's rules give."""
    asked = default if ttl is None else ttl
    return Lifetime(created_at + min(asked, longest), capped=asked > longest)


def is_retired_on_expiry(action: ExpiryAction, labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
    """Whether the object stays as a tombstone when it expires.

    A GitOps tool would make a deleted object anew, with everything that it costs. Labels and annotations as Argo CD
    (https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/) and Flux set them.
    """
    if action is ExpiryAction.AUTO:
        return not GITOPS_LABELS.isdisjoint(labels) or not GITOPS_ANNOTATIONS.isdisjoint(annotations)
    return action is ExpiryAction.RETIRE
