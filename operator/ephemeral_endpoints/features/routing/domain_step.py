"""The URL of an object below the custom domain of its class: it is shown once it answers, and not before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.domain import domain_base, leads_to, mapping_path
from ephemeral_endpoints.features.routing.domains import Domains
from ephemeral_endpoints.features.routing.placements import PlacementStep
from ephemeral_endpoints.features.routing.probe import Probe, ProbeStep
from ephemeral_endpoints.features.routing.specs import dedicated_api, mapping_key
from ephemeral_endpoints.features.step import Step

POLL_SECONDS: Final = (1.0, 300.0)
_HEALTH: Final = "/healthz"
"""It needs no token, and so tells none to whoever a domain may lead to."""


@dataclass(slots=True)
class DomainProof:
    """The last request to the URL below the domain. Times are monotonic seconds."""

    url: str | None = None
    note: str = ""
    answered: bool = False
    attempts: int = 0
    due_at: float | None = None


class DomainStep(Step[DomainProof]):
    """Requests the URL below the domain until it answers."""

    def __init__(
        self,
        probe: Probe,
        urls: ProbeStep,
        placements: PlacementStep,
        domains: Domains,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(DomainProof)
        self._probe = probe
        self._urls = urls
        self._placements = placements
        self._domains = domains
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Request the URL where it is due. Waits.

        What the status shows was proven: neither a restart nor a new revision has it requested again.
        """
        proof = self.memory(reconciliation.uid)
        url, note = self._wanted(reconciliation)
        if url != proof.url:
            is_shown = url == reconciliation.subject.endpoint.status.url
            proof.url, proof.note, proof.answered, proof.attempts, proof.due_at = url, "", is_shown, 0, None
        if url is None or proof.answered:
            proof.note = note
            return
        if not self._urls.has_answered(reconciliation) or self._clock() < (proof.due_at or 0.0):
            return
        answer = await self._probe.request(f"{url}{_HEALTH}", None)
        proof.attempts += 1
        proof.answered = answer.ok
        first, longest = POLL_SECONDS
        pause = poll_delay(proof.attempts, first=first, longest=longest)
        proof.due_at = None if answer.ok else self._clock() + pause
        proof.note = (
            "" if answer.ok else f"{url} does not answer yet ({answer.message}): see its DNS and its certificate"
        )

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        due_at = self.memory(reconciliation.uid).due_at
        if due_at is None or not self._urls.has_answered(reconciliation):
            return None
        return max(0.0, due_at - self._clock())

    def retry(self, uid: str) -> None:
        """See ``Step``."""
        proof = self.memory(uid)
        proof.attempts, proof.due_at = 0, None

    def refresh(self, uid: str) -> None:
        """See ``Step``."""
        self._memories.pop(uid, None)

    def url(self, reconciliation: Reconciliation) -> str | None:
        """The URL below the domain, once it has answered and as long as the domain leads to the object.

        A later failure of its DNS or of a caller's network is none of the domain: callers keep the URL that they know.
        """
        proof = self.memory(reconciliation.uid)
        is_led_to = self._urls.url(reconciliation) is not None and proof.url == self._wanted(reconciliation)[0]
        return proof.url if proof.answered and is_led_to else None

    def note(self, reconciliation: Reconciliation) -> str:
        """Why the URL is not that below the domain; empty if it is, or if the class has none."""
        return "" if self.url(reconciliation) else self.memory(reconciliation.uid).note

    def _wanted(self, reconciliation: Reconciliation) -> tuple[str | None, str]:
        """The URL below the domain, or why there is none."""
        endpoint_class, api = reconciliation.subject.endpoint_class, self._placements.memory(reconciliation.uid).api
        domain, base = endpoint_class.spec.routing.domain, domain_base(endpoint_class, api) if api else None
        is_own = api == dedicated_api(reconciliation.subject.names.base)
        if domain is None or base is None or api is None or is_own:
            return None, ""
        known, path = reconciliation.account.inventory.all, reconciliation.subject.path
        key = mapping_key(domain.name, mapping_path(endpoint_class, api))
        is_mapped = key in known and api in known and known[key].owner == known[api].owner
        if not is_mapped or self._domains.is_disproven(endpoint_class):
            name = endpoint_class.metadata.name
            return None, f"the domain {domain.name} does not lead to it: see the condition DomainReady of class {name}"
        taking = leads_to(domain.name, f"{base.removeprefix(domain.name)}{path}", known)
        if taking != key:
            return (
                None,
                f"the mapping {taking and taking.name} takes its path on the domain: choose another spec.api.path",
            )
        return f"https://{base}{path}", ""
