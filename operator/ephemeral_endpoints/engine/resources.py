"""Desired and observed resources in the same terms, so that drift is plain inequality."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ResourceKind:
    """A kind of AWS resource, with all that generic code has to know of it.

    Each is one object; they sort by their names. ``name`` is shown in ``status.resources``. ``stage`` is the
    type of the condition about an object's resources of this kind, None for those that the objects of a class share,
    and for those without which an object is served: nothing waits for them.
    """

    name: str
    stage: str | None
    _: KW_ONLY
    listed_after: Self | None = None
    """The kind that lists of this one refer to."""

    taggable: bool = True
    """Whether AWS can tag it; otherwise its name, or the resource that it is part of, identifies the owner."""

    content_named: bool = False
    """Whether it is immutable and its name identifies the content: equal names mean equal resources."""

    changes_by_itself: bool = False
    """Whether it changes after AWS has answered, so that it is listed often."""

    remade_by_services: bool = False
    """Whether services recreate it for late data, without tags, although it was deleted."""

    def __repr__(self) -> str:
        return self.name

    def __lt__(self, other: Self) -> bool:
        return self.name < other.name

    @property
    def lineage(self) -> tuple[Self, ...]:
        """The kinds to list one after the other, of which this one is the last."""
        return (*(self.listed_after.lineage if self.listed_after else ()), self)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Identifies a resource within one account and region."""

    kind: ResourceKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Phase(StrEnum):
    """The phase of a resource, as far as the next step depends on it."""

    READY = "Ready"
    BUSY = "Busy"
    IMPAIRED = "Impaired"
    """Settled with an error; a change may repair it."""

    FAILED = "Failed"
    """Failed for good: it can only be deleted."""

    DELETING = "Deleting"


IN_FLIGHT: Final = frozenset({Phase.BUSY, Phase.DELETING})
"""Phases that end by themselves."""

FAILURES: Final = frozenset({Phase.FAILED, Phase.IMPAIRED})
"""Phases of settled resources with an error."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The desired configuration of a resource. Each kind has a subclass of its own, in the ``specs`` of its feature.

    Tags take no part in comparisons.
    """

    @property
    def part_of(self) -> Key | None:
        """Of a kind that AWS cannot tag, the resource that it is part of: its tags identify the owner of both."""
        return None

    @property
    def is_dangling(self) -> bool:
        """Whether it leads to nothing any more: then it blocks others and has no owner."""
        return False

    def can_become(self, wanted: "Spec") -> bool:
        """Whether a resource like this can be changed into the desired one."""
        return isinstance(wanted, type(self))


CREATING: Final = "Creating"
"""AWS's status of a resource that does not serve yet."""


@dataclass(frozen=True, slots=True)
class DesiredResource:
    """A resource that should exist, once everything in ``needs`` is ready.

    ``after`` names resources that must also be as desired, ``update_needs`` those that must serve before a change, but
    not before the creation, and ``update_after`` those that must be as desired before a change, if they are desired at
    all. While this is not as desired, resources of the kinds that it ``replaces`` are kept.
    """

    key: Key
    spec: Spec
    needs: frozenset[Key] = frozenset()
    after: frozenset[Key] = frozenset()
    update_needs: frozenset[Key] = frozenset()
    update_after: frozenset[Key] = frozenset()
    replaces: frozenset[ResourceKind] = frozenset()


@dataclass(frozen=True, slots=True)
class ObservedResource:
    """A resource that exists.

    ``spec`` is None where the name identifies the content or where AWS does not show it while the resource is busy.
    ``uses`` holds the resources that must outlive this one. ``id`` is its identifier in requests, where that is not the
    name. ``status`` is AWS's own word for its state, ``detail`` the reason that AWS gives for a failure. ``since`` is
    when AWS says that it was made, or last changed where it changes by itself; None where that is not known.
    """

    key: Key
    phase: Phase
    spec: Spec | None = None
    id: str = ""
    arn: str = ""
    uses: frozenset[Key] = frozenset()
    status: str = ""
    detail: str = ""
    owner: str | None = None
    version: str = ""
    url: str = ""
    since: datetime | None = None

    @property
    def serves(self) -> bool:
        """Whether it does its work now: a change under way does not keep it from that, its creation does."""
        return self.phase is Phase.READY or (self.phase is Phase.BUSY and self.status != CREATING)

    @property
    def is_dangling(self) -> bool:
        """Whether it leads to nothing any more, see ``Spec``."""
        return self.spec is not None and self.spec.is_dangling

    @property
    def part_of(self) -> Key | None:
        """The resource that one without tags is part of, see ``Spec``."""
        return self.spec.part_of if self.spec else None

    def can_become(self, resource: DesiredResource) -> bool:
        """Whether it can be changed into the desired resource; if not, it is deleted first."""
        return self.spec is None or self.spec.can_become(resource.spec)

    def matches(self, resource: DesiredResource) -> bool:
        """Whether nothing is left to change."""
        return self.key.kind.content_named or self.spec == resource.spec


ObservedResources = Mapping[Key, ObservedResource]
