"""Reasons of conditions and Events, each declared once with its explanation.

A part of the operator declares its reasons in a group beside the code that reports them; docs/troubleshoot.md is
made from all groups. Nothing else can be reported: conditions, Events and errors take a ``Reason``, not a text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_CAMEL_CASE: Final = re.compile(r"([A-Z][a-z]+)+")

READY: Final = "Ready"
ANY_STAGE: Final = "Any stage"
PROGRESS: Final = "Reconciling, Stalled"
CLASS_READY: Final = "Ready of a class"
EVENTS: Final = "Events"
"""Where reasons are reported that belong to no single stage. ``Ready`` and PROGRESS also repeat those of the stages."""


class Finality(StrEnum):
    """Whether the state that a reason describes resolves by itself."""

    NORMAL = "not a problem"
    TRANSIENT = "yes"
    RECOVERABLE = "once the cause is fixed"
    """The operator keeps trying; the object need not be touched."""

    PERMANENT = "no"
    """``Stalled`` is true: the object, its class, or the cause has to be changed."""


class Audience(StrEnum):
    """The people who can act on it."""

    NOBODY = "nobody"
    AUTHOR = "author"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with its explanation for people; written as its name.

    ``scopes`` name the conditions that report it first. ``meaning`` and ``remedy`` are Markdown.
    """

    name: str
    scopes: tuple[str, ...]
    finality: Finality
    audience: Audience
    meaning: str
    remedy: str

    def __post_init__(self) -> None:
        if not _CAMEL_CASE.fullmatch(self.name):
            raise ValueError(f"the reason {self.name!r} is not CamelCase")

    def __str__(self) -> str:
        return self.name

    @property
    def is_failure(self) -> bool:
        """Whether somebody can, or must, act on it."""
        return self.audience is not Audience.NOBODY

    @property
    def is_permanent(self) -> bool:
        """Whether retries cannot help before something is changed."""
        return self.finality is Finality.PERMANENT


class ReasonGroup:
    """The reasons that one part of the operator declares, in their order.

    ``scopes`` are those of reasons that name no others.
    """

    def __init__(self, *scopes: str) -> None:
        self._scopes = scopes
        self._reasons: list[Reason] = []

    def __iter__(self) -> Iterator[Reason]:
        return iter(self._reasons)

    def normal(self, name: str, *scopes: str, meaning: str) -> Reason:
        """Declare a reason of what is as it should be."""
        at = scopes or self._scopes
        return self._declare(Reason(name, at, Finality.NORMAL, Audience.NOBODY, meaning, remedy="nothing"))

    def transient(self, name: str, *scopes: str, meaning: str, remedy: str = "wait") -> Reason:
        """Declare a reason of a state that resolves by itself and needs no action."""
        at = scopes or self._scopes
        return self._declare(Reason(name, at, Finality.TRANSIENT, Audience.NOBODY, meaning, remedy))

    def for_author(
        self, name: str, *scopes: str, finality: Finality = Finality.PERMANENT, meaning: str, remedy: str
    ) -> Reason:
        """Declare a reason on which the author of the object can act."""
        return self._declare(Reason(name, scopes or self._scopes, finality, Audience.AUTHOR, meaning, remedy))

    def for_platform(
        self, name: str, *scopes: str, finality: Finality = Finality.RECOVERABLE, meaning: str, remedy: str
    ) -> Reason:
        """Declare a reason on which a platform engineer can act."""
        return self._declare(Reason(name, scopes or self._scopes, finality, Audience.PLATFORM, meaning, remedy))

    def _declare(self, reason: Reason) -> Reason:
        self._reasons.append(reason)
        return reason


def catalogue(*groups: Iterable[Reason]) -> tuple[Reason, ...]:
    """The reasons of all groups. Raises ValueError where two of them declare the same name."""
    reasons = tuple(reason for group in groups for reason in group)
    twice = [name for name, count in Counter(reason.name for reason in reasons).items() if count > 1]
    if twice:
        raise ValueError(f"declared more than once: {', '.join(twice)}")
    return reasons


REASONS: Final = ReasonGroup(ANY_STAGE)

CREATING: Final = REASONS.transient(
    "Creating", meaning="The operator is creating the resources that the message names; an endpoint takes minutes."
)
UPDATING: Final = REASONS.transient(
    "Updating", meaning="The operator is changing the resources that the message names; the URL keeps serving."
)
DELETING: Final = REASONS.transient(
    "Deleting",
    READY,
    ANY_STAGE,
    meaning="The operator is deleting the object's AWS resources, or an endpoint that it is about to replace. The "
    "message names what is left.",
    remedy="wait; if it takes more than a few minutes, see [an object is not deleted](#an-object-is-not-deleted)",
)
UP_TO_DATE: Final = REASONS.normal("UpToDate", PROGRESS, meaning="Everything is as the spec asks.")
NOT_STALLED: Final = REASONS.normal("NotStalled", PROGRESS, meaning="There is no permanent error.")
SUSPENDED: Final = REASONS.for_author(
    "Suspended",
    PROGRESS,
    meaning="`spec.suspend` is true: the operator creates, changes and repairs nothing. Deletion and the time to live "
    "still work.",
    remedy="set `spec.suspend` to false",
)
