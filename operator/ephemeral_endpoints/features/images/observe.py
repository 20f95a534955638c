"""The images of an object: refused, awaited, made, checked, and in the end pinned to their digests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.errors import ReconcileError, Unauthenticated
from ephemeral_endpoints.engine.retries import Retries
from ephemeral_endpoints.features.images import policy
from ephemeral_endpoints.features.images.builds.policy import BuildRequest, BuildTarget, waiting_for_repository
from ephemeral_endpoints.features.images.builds.queues import Builds
from ephemeral_endpoints.features.images.checks import (
    BUILD_AGAIN,
    judged,
    push_again,
    replaced,
    unfit,
    without_entrypoint,
)
from ephemeral_endpoints.features.images.components import registry_of
from ephemeral_endpoints.features.images.desired import desired_repository, is_of_other_class
from ephemeral_endpoints.features.images.policy import images_of, target_of
from ephemeral_endpoints.features.images.reasons import ImageProblem
from ephemeral_endpoints.features.images.references import ImageReference, ImageState, recorded_images, refusal
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, class_key

POLL_SECONDS: Final = (2.0, 30.0)
_RESOLVING: Final = "resolving"


@dataclass(slots=True)
class Images:
    """The known state of the images of one revision, by their URIs."""

    revision: str = ""
    states: dict[str, ImageState] = field(default_factory=dict)
    looks: int = 0
    due: float = 0.0
    """When to look again for those that are missing."""

    looked_at: float = 0.0
    repository: str = ""
    """Which repository the class's images are in: one that was deleted and recreated is another, and empty."""

    replaced: frozenset[str] = frozenset()
    """The images of earlier revisions, which may go once this one serves."""

    collected: frozenset[str] = frozenset()
    """The images that were deleted as the object's last."""

    retries: Retries[str] = field(default_factory=Retries)
    """The errors that kept them from being looked up."""

    @property
    def error(self) -> ReconcileError | None:
        """Why they could not be looked up the last time."""
        return self.retries.error(_RESOLVING)

    def note(self, error: ReconcileError, now: float) -> None:
        """Record that they could not be looked up, or tidied up; ``now`` is monotonic seconds."""
        self.retries.note(_RESOLVING, error, now)

    def begin(self, revision: str, states: dict[str, ImageState], now: float) -> None:
        """Start over for another revision, of which these states are known; ``now`` is monotonic seconds."""
        self.revision, self.states, self.looks, self.due, self.looked_at = revision, states, 0, 0.0, now
        self.repository, self.replaced = "", frozenset()

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
        """Whether no notification arrives when it changes."""
        state = self.states.get(uri)
        return state is None or (state.problem is not None and not state.problem.is_notified)

    def overall(self, uris: frozenset[str]) -> ImageState | None:
        """A problem of any of them, else that all of them are pinned; None while one is not known or looked up."""
        if not uris:
            return None
        states = [self.states.get(uri) for uri in sorted(uris)]
        problem = next((state for state in states if state and state.problem), None)
        if problem or None in states:
            return problem
        digests = sorted({state.digest for state in states if state and state.digest})
        return ImageState(digest=", ".join(digests))


class ImagesStep(Step[Images]):
    """Resolves every image once for a revision, and looks again for those that are missing.

    ``enqueue`` has an object reconciled; ``clock`` is monotonic seconds.
    """

    def __init__(self, builds: Builds, enqueue: Callable[[ObjectKey], None], clock: Callable[[], float]) -> None:
        super().__init__(Images)
        self._builds = builds
        self._enqueue = enqueue
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Look up what is not known. Failures are recorded, and retried when due.

        Raises Unauthenticated, which concerns more than this object.
        """
        known, now = self.memory(reconciliation.uid), self._clock()
        if known.retries.blocked(now):
            return
        try:
            await self._look_up(reconciliation)
        except Unauthenticated:
            raise
        except ReconcileError as error:
            known.note(error, self._clock())
        else:
            known.retries.clear(_RESOLVING)

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``. A build enqueues the object by itself."""
        known, subject = self.memory(reconciliation.uid), reconciliation.subject
        now = self._clock()
        waits = [known.due - now] if any(map(known.is_polled, images_of(subject))) else []
        follow = subject.endpoint_class.spec.images.follow_tags
        if follow and _pushed(subject):
            waits.append(known.looked_at + follow.total_seconds() - now)
        if (retry := known.retries.due(now)) is not None:
            waits.append(retry)
        return max(0.0, min(waits)) if waits else None

    def retry(self, uid: str) -> None:
        """See ``Step``."""
        self.memory(uid).retries.keep_only(())

    async def _look_up(self, reconciliation: Reconciliation) -> None:
        known = self._remembered(reconciliation)
        uris = self._to_resolve(reconciliation.subject, known)
        if target := target_of(reconciliation.subject):
            _forget_if_lost(reconciliation, known, target)
            uris |= self._to_make(reconciliation, known, target)
        else:
            self._builds.withdraw(reconciliation.key, reconciliation.subject.endpoint_class)
        if uris:
            await self._resolve(reconciliation, known, uris)

    def _remembered(self, reconciliation: Reconciliation) -> Images:
        known, subject = self.memory(reconciliation.uid), reconciliation.subject
        revision, wanted = subject.endpoint.revision, images_of(subject)
        replaced = known.replaced | known.states.keys() | _served(subject)
        if known.revision != revision:
            known.begin(revision, _recorded(subject), self._clock())
        refused = {uri for uri in _pushed(subject) if _refusal(reconciliation, ImageReference.parse(uri))}
        known.states = {
            uri: state
            for uri, state in known.states.items()
            # A recorded pin is no permission: any client that can write a status could have any image served. An
            # approval is to be noticed at once.
            if uri in wanted
            and not (known.is_pinned(uri) if uri in refused else state.problem is ImageProblem.UNAPPROVED)
        }
        known.replaced = frozenset(uri for uri in replaced if uri not in wanted)
        return known

    def _to_resolve(self, subject: Subject, known: Images) -> frozenset[str]:
        """The images pushed by other clients that are to be looked up in ECR now."""
        pushed = _pushed(subject)
        missing = known.unresolved(pushed)
        is_new = any(uri not in known.states for uri in missing)
        follow = subject.endpoint_class.spec.images.follow_tags
        if follow and self._clock() >= known.looked_at + follow.total_seconds():
            return frozenset(uri for uri in pushed if uri in missing or "@" not in uri)
        return missing if is_new or self._clock() >= known.due else frozenset()

    def _to_make(self, reconciliation: Reconciliation, known: Images, target: BuildTarget) -> frozenset[str]:
        """The image that the class makes, if it is to be looked up in ECR now; else its state is recorded."""
        key, subject, image = reconciliation.key, reconciliation.subject, target.image
        endpoint_class = subject.endpoint_class
        # An image that was made is served on, even if the class no longer allows it.
        refused = None if known.is_pinned(image) else policy.refusal(subject.endpoint, endpoint_class)
        if refused or known.is_pinned(image):
            self._builds.withdraw(key, endpoint_class)
            known.states |= {image: refused} if refused else {}
            return frozenset()
        if making := self._builds.making(key, endpoint_class, reconciliation.account, target):
            known.states[image] = making
            return frozenset()
        # An image that was not requested yet, or was just made, is looked up at once.
        is_too_early = known.is_polled(image) and self._clock() < known.due
        return frozenset() if is_too_early else frozenset({image})

    async def _resolve(self, reconciliation: Reconciliation, known: Images, uris: frozenset[str]) -> None:
        known.looks += 1
        first, longest = POLL_SECONDS
        known.due = self._clock() + poll_delay(known.looks, first=first, longest=longest)
        known.looked_at = self._clock()
        asked = sorted(uris)
        states = await asyncio.gather(*(self._resolved(reconciliation, uri) for uri in asked))
        for uri, state in zip(asked, states, strict=True):
            # A tag that is gone does not stop an image from being served.
            if state.digest or not known.is_pinned(uri):
                known.states[uri] = state

    async def _resolved(self, reconciliation: Reconciliation, uri: str) -> ImageState:
        target, reference = target_of(reconciliation.subject), ImageReference.parse(uri)
        is_made = target is not None and uri == target.image
        if not is_made and (refused := _refusal(reconciliation, reference)):
            return refused
        registry, platform = (
            registry_of(reconciliation.account),
            policy.platform_of(reconciliation.subject.endpoint.spec.serving),
        )
        state = await registry.resolve_for(reconciliation.calls, reference, platform)
        if target and is_made:
            if state.problem is ImageProblem.NOT_FOUND:
                return self._requested(reconciliation, target)
            pushed = await self._builds.pushed(
                reconciliation.subject.endpoint_class, reconciliation.account, target.image
            )
            state = replaced(reference, state, pushed) or state
        return state if state.problem else await _checked(reconciliation, reference, state, is_made=is_made)

    def _requested(self, reconciliation: Reconciliation, target: BuildTarget) -> ImageState:
        subject = reconciliation.subject
        repository = desired_repository(subject.cluster_id, subject.endpoint_class)
        if repository and repository.key not in reconciliation.others:
            self._enqueue(class_key(subject.endpoint_class.metadata.name))
            return waiting_for_repository(repository.key.name)
        request = BuildRequest(subject.created_at, reconciliation.uid, target, reconciliation.key.namespace or "")
        return self._builds.request(reconciliation.key, subject.endpoint_class, reconciliation.account, request)


def _forget_if_lost(reconciliation: Reconciliation, known: Images, target: BuildTarget) -> None:
    """Images of a repository that another client deleted are to be made again."""
    subject = reconciliation.subject
    desired = desired_repository(subject.cluster_id, subject.endpoint_class)
    repository = reconciliation.others.get(desired.key) if desired else None
    if repository is None:
        return
    if known.repository not in {"", repository.id}:
        known.states.pop(target.image, None)
    known.repository = repository.id


def _refusal(reconciliation: Reconciliation, reference: ImageReference) -> ImageState | None:
    """Why the class does not allow an image pushed by another client; None if it does."""
    scope, endpoint_class = reconciliation.account.scope, reconciliation.subject.endpoint_class
    return policy.refused_training(reconciliation.subject.endpoint, endpoint_class) or refusal(
        reference,
        region=scope.region,
        account=scope.account_id,
        allowed=tuple(endpoint_class.spec.images.allowed_repositories),
        is_of_other_class=is_of_other_class(scope.cluster_id, endpoint_class, reference.repository),
    )


async def _checked(
    reconciliation: Reconciliation, reference: ImageReference, state: ImageState, *, is_made: bool
) -> ImageState:
    """Whether the existing image can and may be served."""
    subject, registry = reconciliation.subject, registry_of(reconciliation.account)
    serving, scan_policy = subject.endpoint.spec.serving, subject.endpoint_class.spec.images.scan
    platform = policy.platform_of(serving)
    remedy = BUILD_AGAIN if is_made else push_again(platform)
    problem = unfit(state, platform=platform, is_serverless=serving.instances is None, remedy=remedy)
    if problem or state.digest is None:
        return problem or state
    if state.facts:
        calls = reconciliation.calls
        command = await registry.commands.unstartable(calls, reference, state.digest, state.facts)
        if command is not None:
            return without_entrypoint(command)
    if scan_policy is None:
        return state
    scan = await registry.scan(reconciliation.calls, reference, state.digest)
    return judged(scan, scan_policy) or state


def _pushed(subject: Subject) -> frozenset[str]:
    """The images that other clients push."""
    target = target_of(subject)
    return images_of(subject) - ({target.image} if target else frozenset())


def _recorded(subject: Subject) -> dict[str, ImageState]:
    """The pins that the status recorded for these very images and this revision.

    A tag that moves meanwhile does not change the served image.
    """
    known = subject.endpoint.status
    if known.revision != subject.endpoint.revision:
        return {}
    return {image.uri: ImageState(digest=image.digest) for image in recorded_images(known)}


def _served(subject: Subject) -> set[str]:
    """The images that the object served last, by its status."""
    return {image.uri for image in recorded_images(subject.endpoint.status)}
