"""The kinds of the API group, in one table for all code that handles objects by their kind.

A new kind is a module of its own and one row in ``KINDS``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.model_promotion import ModelPromotion
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage


class Scope(StrEnum):
    """Whether the objects of a kind are in namespaces."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the output of ``kubectl get``. A wide one is printed with ``--output wide`` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ObjectKind:
    """A kind of objects: its model, the names that Kubernetes knows it by, its scope, and how it is printed."""

    model: type[ApiModel]
    plural: str
    short_name: str
    scope: Scope
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """The name of the kind in CamelCase, which is that of its model."""
        return self.model.__name__

    @property
    def is_namespaced(self) -> bool:
        """Whether its objects are in namespaces."""
        return self.scope is Scope.NAMESPACED

    def folder(self, namespace: str | None = None) -> str:
        """The path of its objects in the API server: of all of them, or of those in a namespace."""
        within = f"/namespaces/{namespace}" if namespace else ""
        return f"/apis/{GROUP}/{VERSION}{within}/{self.plural}"

    def folders(self, namespaces: Collection[str]) -> list[str]:
        """The paths of its objects in these namespaces, in all if there are none."""
        return [self.folder(each) for each in namespaces if self.is_namespaced] or [self.folder()]


_AGE: Final = Column("Age", ".metadata.creationTimestamp", "Time since the object was made", "date")


def _ready_column(name: str, field: str) -> Column:
    return _condition_column(name, "Ready", field)


def _condition_column(name: str, type_: str, field: str) -> Column:
    return Column(name, f'.status.conditions[?(@.type=="{type_}")].{field}', f"The {field} of the condition {type_}")


ENDPOINT: Final = ObjectKind(
    EphemeralEndpoint,
    plural="ephemeralendpoints",
    short_name="eep",
    scope=Scope.NAMESPACED,
    columns=(
        _ready_column("Ready", "status"),
        _ready_column("Reason", "reason"),
        Column("PR", ".spec.source.pullRequest", "Number of the pull request", "integer"),
        Column("URL", ".status.url", "Public URL of the endpoint"),
        # As `date` it would be shown as an age, and an age to come as <invalid>.
        Column("Expires", ".status.expiresAt", "When the endpoint goes away"),
        Column("Revision", ".status.revision", "Git commit that is served", wide=True),
        Column(
            "Checks",
            '.status.conditions[?(@.type=="ChecksPassed")].status',
            "Whether the model passes its checks",
            wide=True,
        ),
        Column("Serving", ".status.serving", "What the model runs on", wide=True),
        Column("Cost/h", ".status.cost.hourlyUSD", "USD an hour that its capacity costs", wide=True),
        _AGE,
    ),
)

ENDPOINT_CLASS: Final = ObjectKind(
    EphemeralEndpointClass,
    plural="ephemeralendpointclasses",
    short_name="eepc",
    scope=Scope.CLUSTER,
    columns=(
        _ready_column("Ready", "status"),
        _ready_column("Reason", "reason"),
        Column("Region", ".spec.region", "AWS region that the endpoints run in"),
        Column(
            "Default",
            r".metadata.annotations.ephemeral-endpoints\.io/is-default-class",
            "Whether the class serves objects that name none",
        ),
        Column("Limits", ".status.limitsSummary", "Use of the fullest of its limits"),
        _AGE,
    ),
)

STAGE: Final = ObjectKind(
    ModelStage,
    plural="modelstages",
    short_name="mstage",
    scope=Scope.NAMESPACED,
    columns=(
        _ready_column("Ready", "status"),
        Column("Version", ".status.current.version", "Version that is promoted"),
        Column("Candidate", ".status.candidate", "Newest version that is not promoted yet"),
        _condition_column("State", "Promoted", "reason"),
        Column("URL", ".status.url", "Public URL of the endpoint"),
        Column("Pinned", ".status.pinnedTo", "Version that the stage went back to", wide=True),
        Column("Promotion", ".status.promotion", "ModelPromotion that runs", wide=True),
        _AGE,
    ),
)

PROMOTION: Final = ObjectKind(
    ModelPromotion,
    plural="modelpromotions",
    short_name="mpromo",
    scope=Scope.NAMESPACED,
    columns=(
        Column("Stage", ".spec.stage", "Stage that the version is promoted to"),
        Column("Version", ".status.version", "Version that is promoted"),
        Column("Kind", ".spec.kind", "Promotion or Rollback"),
        Column("Outcome", ".status.outcome", "How it ended"),
        _condition_column("Reason", "Complete", "reason"),
        Column("By", ".spec.requestedBy", "Who asked for it", wide=True),
        _AGE,
    ),
)

KINDS: Final = (STAGE, PROMOTION, ENDPOINT, ENDPOINT_CLASS)
"""All kinds, each before those that it depends on: they are deleted in this order, and listed in the opposite one."""

BY_NAME: Final[Mapping[str, ObjectKind]] = {kind.name: kind for kind in KINDS}
