"""What is published: objects that live, the ends of those that are gone, and what was left of earlier ones."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.reviews import ReviewPolicy
from ephemeral_endpoints.engine.conditions import Cause
from ephemeral_endpoints.features.reviews.errors import ForgeError, ForgeReadOnly
from ephemeral_endpoints.features.reviews.forge import Publication, Published, PublishingForge, PullRequestKey
from ephemeral_endpoints.features.reviews.policy import not_granted
from ephemeral_endpoints.features.reviews.publishing.delivery import (
    Memory,
    changed_parts,
    deliver,
    is_empty,
    is_reported,
    without_status,
)
from ephemeral_endpoints.features.reviews.publishing.desired import (
    gone,
    is_publishable,
    publication,
    pull_request_of,
    renewed_in,
)
from ephemeral_endpoints.features.reviews.publishing.lane import Done, is_worth_a_try
from ephemeral_endpoints.features.reviews.publishing.stage import commit_not_in, revision_abbreviated
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey

MOST_CONTAINED: Final = 10_000
"""Commits that are remembered to belong to their pull request."""

NOT_CONTAINED_AGAIN: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where works find what they need.

    ``together`` are the objects that share a commit status. ``failures`` are the reasons that somebody has to act on.
    ``now`` is the time of day in UTC.
    """

    subject_of: Callable[[ObjectKey], Subject | None]
    together: Callable[[Subject], Sequence[Subject]]
    memory_of: Callable[[EphemeralEndpoint], Memory]
    enqueue: Callable[[ObjectKey], None]
    failures: Collection[str]
    now: Callable[[], datetime]
    contained: dict[tuple[PublishingForge, PullRequestKey, str], None] = field(default_factory=dict)
    """The commits that a forge has shown to belong to their pull request. Another forge's word counts for nothing: it
    may have a repository of the same name, to which others can push."""

    async def speakers(self, forge: PublishingForge, subject: Subject) -> Sequence[Subject]:
        """The objects that share the commit status of an object, without those of which the forge says otherwise.

        Whoever names the number of a pull request without the commit neither speaks for it nor keeps others from that.
        Raises a ForgeError.
        """
        together, own = self.together(subject), pull_request_of(subject.endpoint)
        revision = subject.endpoint.revision
        others = {pull_request_of(each.endpoint) for each in together} - {own}
        if any((forge, each, revision) not in self.contained for each in others):
            # One request, however many of them there are.
            numbers = await forge.containing(own.repository, revision)
            self._remember((forge, each, revision) for each in others if each.number in numbers)
        return [
            each
            for each in together
            if (theirs := pull_request_of(each.endpoint)) == own or (forge, theirs, revision) in self.contained
        ]

    async def contains(self, forge: PublishingForge, pull_request: PullRequestKey, revision: str) -> bool:
        """Whether the commit belongs to the pull request. It may always speak there, also when others take its place.

        Raises a ForgeError.
        """
        one = (forge, pull_request, revision)
        if one not in self.contained:
            if not await forge.contains(pull_request, revision):
                return False
            self._remember([one])
        return True

    def _remember(self, found: Iterable[tuple[PublishingForge, PullRequestKey, str]]) -> None:
        self.contained.update(dict.fromkeys(found))
        while len(self.contained) > MOST_CONTAINED:
            del self.contained[next(iter(self.contained))]


@dataclass(frozen=True, slots=True)
class Living:
    """An object that exists: it is published as it is when it has its turn."""

    key: ObjectKey
    place: tuple[str, str]
    sources: Sources

    async def publish(self, forge: PublishingForge) -> Done:
        """See ``Work``."""
        sources, subject = self.sources, self.sources.subject_of(self.key)
        policy = subject.endpoint_class.spec.reviews if subject else None
        if subject is None or policy is None:
            return Done(was_asked=False)
        memory = sources.memory_of(subject.endpoint)
        if problem := refused(subject):
            return self._say(subject, memory, problem, Done(was_asked=False))
        together = await sources.speakers(forge, subject)
        wanted = publication(subject, policy, together, sources.failures, sources.now())
        if wanted is None:
            return Done(was_asked=False)
        if wanted.status is None:
            memory.published = without_status(memory.published)
        parts = changed_parts(wanted, memory.published)
        renewal = renewed_in(subject.endpoint, sources.failures, sources.now())
        if is_empty(parts):
            return self._say(subject, memory, None, Done(was_asked=False, again_in=renewal))
        if not await sources.contains(forge, parts.pull_request, parts.revision):
            problem = commit_not_in(parts.pull_request, parts.revision)
            return self._say(subject, memory, problem, Done(was_asked=True, again_in=NOT_CONTAINED_AGAIN))
        await deliver(forge, parts, memory)
        return self._say(subject, memory, None, Done(was_asked=True, again_in=renewal))

    def failed(self, error: ForgeError, failures: int) -> bool:
        """See ``Work``."""
        del failures
        if subject := self.sources.subject_of(self.key):
            memory = self.sources.memory_of(subject.endpoint)
            self._say(subject, memory, Cause.of(error), Done(was_asked=True))
        return True

    def _say(self, subject: Subject, memory: Memory, problem: Cause | None, done: Done) -> Done:
        """Have the status say what was found out, if it does not yet."""
        memory.problem, memory.is_current = problem, True
        if not subject.is_terminating(self.sources.now()) and not is_reported(subject.endpoint, memory):
            self.sources.enqueue(self.key)
        return done


@dataclass(frozen=True, slots=True)
class Ending:
    """An object that is gone since ``at``."""

    key: ObjectKey
    place: tuple[str, str]
    subject: Subject
    at: datetime
    memory: Memory
    sources: Sources

    async def publish(self, forge: PublishingForge) -> Done:
        """See ``Work``."""
        subject, memory, sources = self.subject, self.memory, self.sources
        policy = subject.endpoint_class.spec.reviews
        if policy is None or refused(subject):
            return self._over(Done(was_asked=False))
        wanted = self._wanted(policy, await sources.speakers(forge, subject))
        if wanted.status and not await sources.contains(forge, wanted.pull_request, wanted.revision):
            wanted = replace(wanted, status=None)
        await _end(forge, wanted, memory)
        return self._over(Done(was_asked=True))

    def failed(self, error: ForgeError, failures: int) -> bool:
        """See ``Work``."""
        if is_worth_a_try(error, failures):
            return True
        self._over(Done(was_asked=True))
        return False

    def _over(self, done: Done) -> Done:
        """Nothing more is tried: the object, which may wait for that, can go."""
        self.memory.is_over = True
        self.sources.enqueue(self.key)
        return done

    def _wanted(self, policy: ReviewPolicy, together: Sequence[Subject]) -> Publication:
        remade = self.sources.subject_of(self.key)
        return gone(
            self.subject,
            policy,
            self.at,
            is_alone=not together,
            is_remade=remade is not None and remade.endpoint.metadata.uid != self.subject.endpoint.metadata.uid,
        )


@dataclass(frozen=True, slots=True)
class Remains:
    """What was left of an object that went while the operator was not running; ``known`` is what was found of it."""

    wanted: Publication
    known: Published
    place: tuple[str, str]

    async def publish(self, forge: PublishingForge) -> Done:
        """See ``Work``."""
        await _end(forge, self.wanted, Memory(self.known))
        return Done(was_asked=True)

    def failed(self, error: ForgeError, failures: int) -> bool:
        """See ``Work``."""
        return is_worth_a_try(error, failures)


async def _end(forge: PublishingForge, wanted: Publication, memory: Memory) -> None:
    """Show an end. The deployment comes last: what is still active is found again after a crash.

    A conversation that is locked takes no comment, and keeps nothing else from its end. Raises a ForgeError.
    """
    for part in (replace(wanted, deployment=None, supersedes=False), replace(wanted, status=None, comment=None)):
        parts = changed_parts(part, memory.published)
        if not is_empty(parts):
            with suppress(ForgeReadOnly):
                await deliver(forge, parts, memory)


def refused(subject: Subject) -> Cause | None:
    """Why nothing may be published for the object, whatever the forge says."""
    endpoint = subject.endpoint
    namespace, repository = endpoint.metadata.namespace or "", endpoint.spec.source.repository
    if cause := not_granted(subject.endpoint_class, namespace, repository):
        return cause
    return None if is_publishable(endpoint) else revision_abbreviated(endpoint.revision)
