"""What the operator remembers of an object between reconciliations.

Nothing here is needed to be right: after a restart all of it is found again from the spec, from AWS and from the last
status. It saves calls and spaces retries.
"""

from dataclasses import dataclass, field
from datetime import datetime

from ephemeral_endpoints.core.backoff import delay
from ephemeral_endpoints.core.cost import Capacities
from ephemeral_endpoints.core.drift import Drift
from ephemeral_endpoints.core.errors import Problem
from ephemeral_endpoints.core.images import ImageState
from ephemeral_endpoints.core.resources import Key
from ephemeral_endpoints.core.steering import Record
from ephemeral_endpoints.core.tags import Tags


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that stands until ``retry_at`` (monotonic seconds) or until the object changes."""

    error: Problem
    attempts: int
    retry_at: float


@dataclass(slots=True)
class Retries:
    """The failures of the last tries, by what was tried."""

    failures: dict[Key | str, Failure] = field(default_factory=dict)

    def note(self, what: Key | str, error: Problem, now: float) -> None:
        """Remember that trying ``what`` failed."""
        before = self.failures.get(what)
        attempts = before.attempts + 1 if before else 1
        self.failures[what] = Failure(error, attempts, now + delay(error, attempts))

    def clear(self, what: Key | str) -> None:
        """Forget the failures of what succeeded."""
        self.failures.pop(what, None)

    def keep_only(self, whats: frozenset[Key | str]) -> None:
        """Forget the failures of everything else."""
        self.failures = {what: failure for what, failure in self.failures.items() if what in whats}

    def standing(self, now: float) -> dict[Key | str, Problem]:
        """The errors of what must not be tried again yet."""
        return {what: failure.error for what, failure in self.failures.items() if failure.retry_at > now}

    def next_at(self) -> float | None:
        """When the next try is due."""
        return min((failure.retry_at for failure in self.failures.values()), default=None)


@dataclass(slots=True)
class Images:
    """What is known of the images of one revision, by their URIs."""

    revision: str = ""
    states: dict[str, ImageState] = field(default_factory=dict)
    looks: int = 0
    due: float = 0.0
    """When to look again for those that are missing."""

    looked_at: float = 0.0
    repository: str = ""
    """Which repository the class's images are in: one that was deleted and made again is another, and empty."""

    replaced: set[str] = field(default_factory=set)
    """The images of earlier revisions, which may go once this one serves."""

    def digests(self, revision: str) -> dict[str, str]:
        """The digests that are known for this very revision."""
        if revision != self.revision:
            return {}
        return {uri: state.digest for uri, state in self.states.items() if state.digest}

    def unresolved(self, uris: frozenset[str]) -> frozenset[str]:
        """Those that were never looked up, or could not be found yet."""
        return frozenset(uri for uri in uris if uri not in self.states or self.states[uri].digest is None)

    def is_pinned(self, uri: str) -> bool:
        """Whether it is known which image it is."""
        return uri in self.states and self.states[uri].digest is not None

    def is_polled(self, uri: str) -> bool:
        """Whether nobody tells when there is news of it."""
        state = self.states.get(uri)
        return state is None or (state.problem is not None and not state.problem.is_told)

    def overall(self, uris: frozenset[str]) -> ImageState | None:
        """What is wrong with any of them, else that all of them are pinned; None while one was not looked up."""
        states = [self.states.get(uri) for uri in sorted(uris)]
        problem = next((state for state in states if state and state.problem), None)
        if problem or None in states:
            return problem
        digests = sorted({state.digest for state in states if state and state.digest})
        return ImageState(digest=", ".join(digests))


@dataclass(slots=True)
class Memory:
    """The memory of one object."""

    uid: str
    state: tuple[int, bool] = (-1, False)
    """Generation, and whether the object is deleted: what makes earlier failures stale."""

    asked_at: str | None = None
    """The value of the annotation that asks for a fresh look, as of the last one."""

    images: Images = field(default_factory=Images)
    token_sha256: str | None = None
    token: str | None = field(default=None, repr=False)
    token_read_at: float = 0.0
    answered_by: tuple[str, ...] | None = None
    answer: str = ""
    probes: int = 0
    endpoints: Record = field(default_factory=Record)
    configs: dict[str, Capacities] = field(default_factory=dict)
    """What the configurations ask for that were wanted, by their names: lists do not show it."""

    drift: Drift = field(default_factory=Drift)
    last_lines_of: str | None = None
    last_lines: tuple[str, ...] = ()
    last_lines_looks: int = 0
    last_lines_due: float | None = None
    """When to look for the lines again, which arrive later than the failure; None: not by itself."""

    expires_at: datetime | None = None
    """The end of life that the tags of the object's things tell."""

    marks: Tags = ()
    marked: set[Key] = field(default_factory=set)
    """The tags that were put on the object's things last, and which of them carry these already."""

    serving: frozenset[Key] = frozenset()
    """The endpoints that it had at the last look."""

    had: set[Key] = field(default_factory=set)
    """What it was seen to have in AWS and AWS has not answered to be gone for good."""

    retries: Retries = field(default_factory=Retries)
