"""When an object ends, and how."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api import GROUP, MANAGED_BY_LABEL, MANAGER
from ephemeral_endpoints.api.v1alpha1.base import ObjectMeta
from ephemeral_endpoints.api.v1alpha1.endpoint import ExpiryAction

BY_HAND: Final = frozenset({"", MANAGER, "kubectl"})

TOOL_DOMAINS: Final = (
    "argoproj.io",
    "config.k8s.io",
    "configmanagement.gke.io",
    "configsync.gke.io",
    "crossplane.io",
    "fleet.cattle.io",
    "fluxcd.controlplane.io",
    "fluxcd.io",
    "kapp.k14s.io",
    "karmada.io",
    "kluctl.io",
    "kro.run",
    "meta.helm.sh",
    "open-cluster-management.io",
    "projectsveltos.io",
    "pulumi.com",
    "rio.cattle.io",
)
"""Domains of the labels and annotations by which declarative tools recognize their objects.

For example Argo CD (https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/), Helm
(https://helm.sh/docs/topics/charts/), kapp (https://carvel.dev/kapp/docs/latest/apply/) and Config Sync
(https://cloud.google.com/kubernetes-engine/config-sync/docs/reference/labels-and-annotations).
"""

_TOOL_MANAGERS: Final = (
    "argocd",
    "configsync",
    "crossplane",
    "fleet",
    "flux",
    "helm",
    "kapp",
    "kluctl",
    "kro",
    "kustomize-controller",
    "pulumi",
    "terraform",
)
"""With what the names of their field managers begin: Argo CD's default labels are everybody's, Terraform sets none."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The end of an object's life; ``capped`` if the class's maximum shortened it."""

    expires_at: datetime
    capped: bool

    def is_over(self, now: datetime) -> bool:
        """Whether the lifetime has ended."""
        return now >= self.expires_at


def lifetime(created_at: datetime, ttl: timedelta | None, *, default: timedelta, longest: timedelta) -> Lifetime:
    """The lifetime from ``ttl`` and the class's rules."""
    asked = default if ttl is None else ttl
    return Lifetime(created_at + min(asked, longest), capped=asked > longest)


def why_retired(action: ExpiryAction, metadata: ObjectMeta) -> str | None:
    """Why the object stays as a tombstone when it expires; None if it is deleted.

    A declarative tool would recreate a deleted object, and with it the cost. A tombstone costs nothing, so any sign of
    such a tool counts.
    """
    if action is ExpiryAction.RETIRE:
        return "spec.lifecycle.onExpiry is Retire"
    sign = next(_signs(metadata), None) if action is ExpiryAction.AUTO else None
    return f"{sign} shows that a tool manages it, which would create it again: remove it there" if sign else None


def _signs(metadata: ObjectMeta) -> Iterator[str]:
    """The signs of a declarative tool, the clearest first."""
    for owner in metadata.owner_references:
        if owner.controller and owner.api_version.partition("/")[0] != GROUP:
            yield f"its owner, {owner.kind} {owner.name},"
    for kind, names in (("label", metadata.labels), ("annotation", metadata.annotations)):
        yield from (f"its {kind} {name}" for name in sorted(names) if _is_of_tool(name))
    if metadata.labels.get(MANAGED_BY_LABEL, "").lower() not in BY_HAND:
        yield f"its label {MANAGED_BY_LABEL}: {metadata.labels[MANAGED_BY_LABEL]}"
    managers = (name for name in metadata.field_managers if name.lower().startswith(_TOOL_MANAGERS))
    yield from (f"its field manager {name}" for name in managers)


def _is_of_tool(name: str) -> bool:
    domain = name.rpartition("/")[0]
    return any(domain == each or domain.endswith(f".{each}") for each in TOOL_DOMAINS)
