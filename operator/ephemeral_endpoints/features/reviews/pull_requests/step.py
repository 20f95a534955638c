"""What an object's pull request does to it: it ends, lives again, or follows the newest commit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final

from typing_extensions import override

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.reviews.pull_requests.policy import annotations
from ephemeral_endpoints.features.reviews.pull_requests.poller import PullRequests
from ephemeral_endpoints.features.reviews.pull_requests.stage import as_before, pull_request_open, unwatched
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import ObjectKey, Store
from ephemeral_endpoints.kube.client import Kube

RETRY_SECONDS: Final = 10.0
"""How soon an object is looked at again that waits for the first answer to a question since its revision changed."""


@dataclass(slots=True)
class PullRequestMemory:
    """The spec's revision, and since when it is known: only a later sight may name another one that is served."""

    revision: str = ""
    since: float = inf


class PullRequestStep(FollowUp[PullRequestMemory]):
    """Has objects depend on their pull requests. ``now`` is the time of day in UTC, ``clock`` monotonic seconds.

    What is decided stands in annotations, which outlive the operator, and which are removed when it no longer holds.
    """

    def __init__(
        self,
        pull_requests: PullRequests,
        kube: Kube,
        store: Store,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(PullRequestMemory)
        self._pull_requests = pull_requests
        self._kube = kube
        self._store = store
        self._now = now
        self._clock = clock

    async def annotate(self, key: ObjectKey, subject: Subject) -> EphemeralEndpoint:
        """Write what the pull request decides, before anything else is done for the object, which is returned.

        Raises a ``KubernetesError``.
        """
        endpoint = subject.endpoint
        is_recent = self._has_recent_sight(subject)
        view = self._pull_requests.view(subject)
        wanted = annotations(endpoint, view, follows=is_recent, now=self._now()) if view else {}
        if not wanted:
            return endpoint
        self._store.put(await self._kube.annotate(self._store.raw(key), wanted))
        return self._store.endpoint(key) or endpoint

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        """Nothing takes long: the pull requests of all objects are asked for together."""

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        subject = reconciliation.subject
        view = self._pull_requests.view(subject)
        if view is None:
            return unwatched(subject)
        name = subject.endpoint_class.metadata.name
        return pull_request_open(subject.endpoint, view, name) or as_before(subject.endpoint)

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {}

    @override
    def review(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        view = self._pull_requests.view(reconciliation.subject)
        if view is None or view.sight is None:
            return {}
        seen = view.sight.pull_request
        return {"state": seen.state, "head": seen.head}

    @override
    def due(self, reconciliation: Reconciliation) -> float | None:
        subject = reconciliation.subject
        is_waiting = subject.endpoint.spec.source.follow and not self._has_recent_sight(subject)
        return RETRY_SECONDS if is_waiting and self._pull_requests.view(subject) else None

    def _has_recent_sight(self, subject: Subject) -> bool:
        """Whether the pull request was asked for since the spec has its revision.

        Whoever applies a new commit names it before an earlier answer does.
        """
        known, source = self.memory(subject.endpoint.metadata.uid), subject.endpoint.spec.source
        if known.revision != source.revision:
            known.revision, known.since = source.revision, self._clock()
            if source.follow and source.pull_request:
                self._pull_requests.wake(source.repository, source.pull_request)
        view = self._pull_requests.view(subject)
        return view is not None and view.sight is not None and view.sight.at > known.since
