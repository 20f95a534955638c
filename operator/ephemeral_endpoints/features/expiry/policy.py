"""When an object ends, and how."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

from ephemeral_endpoints.api import (
    ABANDON_ANNOTATION,
    EXTEND_UNTIL_ANNOTATION,
    GROUP,
    MANAGED_BY_LABEL,
    MANAGER,
    OVER_BUDGET_ANNOTATION,
    PIN_ANNOTATION,
    PULL_REQUEST_CLOSED_ANNOTATION,
    PULL_REQUEST_MERGED_ANNOTATION,
    STAGE_KIND,
)
from ephemeral_endpoints.api.v1alpha1.base import ObjectMeta
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.lifecycle import DeletionPolicy, ExpiryAction
from ephemeral_endpoints.engine.tags import moment_of, timestamp
from ephemeral_endpoints.features.expiry.activity import LONGEST_LIFE

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


# https://www.rfc-editor.org/rfc/rfc3339#section-5.6
_MOMENT: Final = re.compile(r"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}([.][0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")

NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""The end of the endpoint of a stage: a time, since whatever reads the tags in AWS compares times."""

LONGEST_EXTENSION: Final = LONGEST_LIFE
"""More can be asked for by mistake only."""

_MAX_TTL_APPLIES: Final = "is longer than the class allows: the class's maxTtl applies"
_TTL_ENDS_LATER: Final = f"spec.lifecycle.ttl {_MAX_TTL_APPLIES}"
_IGNORED: Final = (
    f"the annotation {EXTEND_UNTIL_ANNOTATION} is not a time such as 2026-11-30T18:00:00Z, and is ignored: correct or "
    "remove it"
)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The time to live; ``capped`` if the class's maximum shortened it.

    ``note`` tells people where it is not what the object asks for.
    """

    expires_at: datetime
    capped: bool
    note: str = ""


class EndCause(Enum):
    """Why an object ends although nobody deletes it."""

    EXPIRED = auto()
    CLOSED = auto()
    MERGED = auto()
    OVER_BUDGET = auto()


ENDED_BY: Final[Mapping[EndCause, str]] = {
    EndCause.CLOSED: PULL_REQUEST_CLOSED_ANNOTATION,
    EndCause.MERGED: PULL_REQUEST_MERGED_ANNOTATION,
}
"""The annotations that hold when an object ended because of its pull request, by the cause."""


@dataclass(frozen=True, slots=True)
class End:
    """When an object ends although nobody deletes it, and why."""

    cause: EndCause
    at: datetime

    def is_over(self, now: datetime) -> bool:
        """Whether the object has ended."""
        return now >= self.at


def end(life: Lifetime, endpoint: EphemeralEndpoint) -> End:
    """The first end of an object. An annotation that does not hold a time as the operator writes it counts for nothing.

    Annotations survive the operator: what it has begun to end stays so. None of them ends the endpoint of a stage.
    """
    if is_of_stage(endpoint.metadata):
        return End(EndCause.EXPIRED, life.expires_at)
    annotations = endpoint.metadata.annotations
    noted = [(cause, moment_of(annotations.get(annotation, ""))) for cause, annotation in ENDED_BY.items()]
    at, _, basis = annotations.get(OVER_BUDGET_ANNOTATION, "").partition("=")
    if basis == _basis(endpoint) and not is_pinned(endpoint):
        noted.append((EndCause.OVER_BUDGET, moment_of(at)))
    ends = (End(EndCause.EXPIRED, life.expires_at), *(End(cause, at) for cause, at in noted if at))
    return min(ends, key=lambda each: each.at)


def over_budget(endpoint: EphemeralEndpoint, now: datetime) -> str:
    """What the annotation says of an object that its budget ends at ``now``.

    Another commit or an extension voids it: then the budget decides anew.
    """
    return f"{timestamp(now)}={_basis(endpoint)}"


def lifetime(
    created_at: datetime, first: datetime | None, *, longest: timedelta, extend_until: str | None = None
) -> Lifetime:
    """The lifetime: the later of ``first`` and the annotation ``extend_until``, as far as the class allows.

    ``first`` is when the time to live is over; None, not known yet, or the object is pinned: as late as possible.
    """
    latest = created_at + longest
    first = first or latest
    extended = moment(extend_until) if extend_until is not None else None
    asked = max(first, extended) if extended else first
    notes = (
        (_TTL_ENDS_LATER, first > latest),
        (f"the life that the annotation {EXTEND_UNTIL_ANNOTATION} asks for {_MAX_TTL_APPLIES}", asked > latest),
        (_IGNORED, extend_until is not None and extended is None),
    )
    return Lifetime(min(asked, latest), asked > latest, next((note for note, applies in notes if applies), ""))


def later_extension(metadata: ObjectMeta, until: datetime) -> datetime:
    """What the annotation that extends a life should hold: ``until``, or the later time that it holds already."""
    held = moment(metadata.annotations.get(EXTEND_UNTIL_ANNOTATION, ""))
    return max(held, until) if held else until


def moment(text: str) -> datetime | None:
    """The time of RFC 3339 that an annotation holds, in UTC to the second; None if it holds none."""
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):  # no such day, or none that UTC can say
        return None


def why_retired(action: ExpiryAction, metadata: ObjectMeta) -> str | None:
    """Why the object stays as a tombstone when it expires; None if it is deleted.

    A declarative tool would recreate a deleted object, and with it the cost. A tombstone costs nothing, so any sign of
    such a tool counts.
    """
    if action is ExpiryAction.RETIRE:
        return "spec.lifecycle.onExpiry is Retire"
    sign = next(_signs(metadata), None) if action is ExpiryAction.AUTO else None
    return f"{sign} shows that a tool manages it, which would create it again: remove it there" if sign else None


def is_retained(endpoint: EphemeralEndpoint, endpoint_class: EphemeralEndpointClass) -> bool:
    """Whether the object's resources stay in AWS when it ends: both it and its class have to want that."""
    wanted = endpoint.spec.lifecycle.deletion_policy is DeletionPolicy.RETAIN
    return wanted and endpoint_class.spec.lifecycle.allow_retain


def is_pinned(endpoint: EphemeralEndpoint) -> bool:
    """Whether the object lives as long as its class allows: somebody with the right to pin wants that."""
    return endpoint.metadata.annotations.get(PIN_ANNOTATION) == "true"


def is_of_stage(metadata: ObjectMeta) -> bool:
    """Whether the object is the endpoint of a stage, which lives and is awake for as long as the stage exists.

    The admission policy lets nobody but the operator name a stage as owner, and Kubernetes deletes an object whose
    owner does not exist. Were the class to decide this, one change of it could end all that is in production.
    """
    return any(
        owner.controller
        and (owner.api_version.partition("/")[0], owner.kind, owner.name) == (GROUP, STAGE_KIND, metadata.name)
        for owner in metadata.owner_references
    )


def is_abandoned(endpoint: EphemeralEndpoint) -> bool:
    """Whether the release of a terminating object was requested, whatever is left of it in AWS."""
    metadata = endpoint.metadata
    return metadata.deletion_timestamp is not None and metadata.annotations.get(ABANDON_ANNOTATION) == "true"


def _basis(endpoint: EphemeralEndpoint) -> str:
    return f"{endpoint.revision}/{endpoint.metadata.annotations.get(EXTEND_UNTIL_ANNOTATION, '')}"


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
