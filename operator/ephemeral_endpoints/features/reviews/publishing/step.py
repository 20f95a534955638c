"""Has objects published on their pull requests, and says in their status whether that is so."""

from collections.abc import Mapping

from typing_extensions import override

from ephemeral_endpoints.engine.conditions import ConditionUpdate
from ephemeral_endpoints.features.follow_up import FollowUp
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.reviews.forge import Published
from ephemeral_endpoints.features.reviews.policy import not_granted
from ephemeral_endpoints.features.reviews.publishing.delivery import condition, review_of
from ephemeral_endpoints.features.reviews.publishing.publisher import Publisher
from ephemeral_endpoints.features.reviews.publishing.stage import not_shown


class PublicationStep(FollowUp[None]):
    """The part of a reconciliation that offers an object to the publisher, whose memory is kept in the status."""

    def __init__(self, publisher: Publisher) -> None:
        super().__init__(lambda: None)
        self._publisher = publisher

    @override
    async def run(self, reconciliation: Reconciliation, url: str | None) -> None:
        if self._is_concerned(reconciliation):
            self._publisher.offer(reconciliation.key)

    @override
    def condition(self, reconciliation: Reconciliation) -> ConditionUpdate | None:
        subject, namespace = reconciliation.subject, reconciliation.key.namespace or ""
        if not self._is_concerned(reconciliation):
            return None
        # Known without the forge, so that such an object does not wait for a turn, and is not written again after it.
        if refused := not_granted(subject.endpoint_class, namespace, subject.endpoint.spec.source.repository):
            return not_shown(refused)
        return condition(subject.endpoint, self._publisher.memory(subject.endpoint))

    @override
    def status(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        return {}

    @override
    def review(self, reconciliation: Reconciliation) -> Mapping[str, object]:
        if not self._is_concerned(reconciliation):
            return {}
        published = self._publisher.memory(reconciliation.subject.endpoint).published
        return review_of(published) if published != Published() else {}

    @override
    def forget(self, uid: str) -> None:
        super().forget(uid)
        self._publisher.forget(uid)

    def _is_concerned(self, reconciliation: Reconciliation) -> bool:
        subject = reconciliation.subject
        return subject.endpoint_class.spec.reviews is not None and subject.endpoint.spec.source.pull_request is not None
