"""The proof of readiness: a request through the public URL; ``forwarder.readiness`` says what it proves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import aiohttp

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.conditions import Cause, ConditionType
from ephemeral_endpoints.engine.plan import is_in_place, is_ready
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.answers import MAX_BYTES, Answer, read_answer
from ephemeral_endpoints.features.routing.callers import auth_type, entrance, needs_token
from ephemeral_endpoints.features.routing.placements import PlacementStep
from ephemeral_endpoints.features.routing.specs import FunctionSpec, IntegrationSpec, RouteSpec
from ephemeral_endpoints.features.routing.stage import refused
from ephemeral_endpoints.features.routing.token import TokenStep
from ephemeral_endpoints.features.serving.forms import served_configs
from ephemeral_endpoints.features.step import Step

POLL_SECONDS: Final = (0.25, 60.0)
SAMPLE_SECONDS: Final = (60.0, 600.0, 3600.0)
"""The pauses after a sample that a model has not answered: the first, the second, and the longest.

SageMaker counts the sample as a request, and a failure as an error. An alarm on errors needs ``ALARM_PERIODS`` minutes
with data: the second pause keeps the samples alone from raising it, and so from rolling a corrected revision back.
"""

READINESS: Final = "/readyz"
"""What the forwarder answers with 200 if requests reach the models, below the URL that takes the object's token."""

TIMEOUT_SECONDS: Final = 35


class Probe(Protocol):
    """Requests a URL; never raises for an error of the other side."""

    async def request(self, url: str, token: str | None) -> Answer:
        """The answer of ``url`` to ``token`` as bearer token."""
        ...


class HttpProbe:
    """Sends a GET over HTTP."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def request(self, url: str, token: str | None) -> Answer:
        """See ``Probe``. Waits at most ``TIMEOUT_SECONDS``, a little longer than an HTTP API does."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.get(
                url, headers=headers, timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            ) as response:
                body = await _beginning(response.content)
                return read_answer(response.status, response.reason or "", body)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(ok=False, message=f"the URL does not answer: {type(error).__name__}")


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    body = b""
    while len(body) < MAX_BYTES and (more := await content.read(MAX_BYTES - len(body))):
        body += more
    return body


@dataclass(slots=True)
class Proof:
    """The last request to the URL, and its answer. Times are monotonic seconds."""

    answered_by: tuple[str, ...] | None = None
    """Everything that the last good answer depended on; None before the first look."""

    asked: tuple[str, ...] = ()
    """Everything that the last answer depended on."""

    answer: Answer | None = None
    attempts: int = 0
    due_at: float | None = None
    """When to request the URL again; None: at once."""


class ProbeStep(Step[Proof]):
    """Requests the URL until it answers, once for everything that could change the answer."""

    def __init__(self, probe: Probe, tokens: TokenStep, placements: PlacementStep, clock: Callable[[], float]) -> None:
        super().__init__(Proof)
        self._probe = probe
        self._tokens = tokens
        self._placements = placements
        self._clock = clock

    async def run(self, reconciliation: Reconciliation) -> None:
        """Request the URL if everything is in place, this revision has not answered yet and it is time. Waits."""
        url = self.url(reconciliation)
        if url is None or not is_in_place(reconciliation.view, reconciliation.errors.keys()):
            return
        proof, serving = self.memory(reconciliation.uid), _serving(reconciliation, url)
        if proof.answered_by is None and _was_ready(reconciliation.subject.endpoint):
            proof.answered_by = serving
        if proof.answered_by == serving:
            return
        if proof.asked != serving:
            proof.asked, proof.attempts, proof.due_at = serving, 0, None
        if proof.due_at is not None and self._clock() < proof.due_at:
            return
        token = self._tokens.memory(reconciliation.uid).value if needs_token(reconciliation.subject) else None
        proof.answer = await self._probe.request(
            f"{entrance(auth_type(reconciliation.subject), url)}{READINESS}", token
        )
        proof.attempts += 1
        proof.due_at = self._clock() + pause(proof.answer, proof.attempts)
        if proof.answer.ok:
            proof.answered_by, proof.attempts, proof.due_at = serving, 0, None

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        proof = self.memory(reconciliation.uid)
        if proof.due_at is None or self.url(reconciliation) is None:
            return None
        return max(0.0, proof.due_at - self._clock())

    def retry(self, uid: str) -> None:
        """See ``Step``. A sample is not sent more often for it: what could change its answer is known."""
        proof = self.memory(uid)
        if proof.answer is None or proof.answer.sample is None:
            proof.attempts, proof.due_at = 0, None

    def refresh(self, uid: str) -> None:
        """See ``Step``."""
        self._memories[uid] = Proof(answered_by=())

    def rest(self, uid: str) -> None:
        """The endpoint is gone: nothing answers, and when it is awake that has to be proven anew."""
        self.refresh(uid)

    def url(self, reconciliation: Reconciliation) -> str | None:
        """The public URL, once its route exists."""
        view, api = reconciliation.view, self._placements.memory(reconciliation.uid).api
        routes = (each for each in view.desired.resources if isinstance(each.spec, RouteSpec) and each.spec.api == api)
        is_routed = any(is_ready(route, view.own) for route in routes)
        return reconciliation.url(api, reconciliation.subject.path) if is_routed else None

    def has_answered(self, reconciliation: Reconciliation) -> bool:
        """Whether the URL has answered, as everything is now."""
        url = self.url(reconciliation)
        return url is not None and self.memory(reconciliation.uid).answered_by == _serving(reconciliation, url)

    def refusal(self, reconciliation: Reconciliation) -> Cause | None:
        """Why somebody must act before the URL answers, as everything is now; None if nobody is known to have to."""
        proof, url = self.memory(reconciliation.uid), self.url(reconciliation)
        if url is None or proof.answer is None or proof.asked != _serving(reconciliation, url):
            return None
        return refused(proof.answer, reconciliation.subject.endpoint_class.spec.forwarder_role_arn)


def pause(answer: Answer, attempts: int) -> float:
    """Seconds until the next request, after ``attempts`` (at least 1) without a good answer, this being the last."""
    if answer.sample is None:
        first, longest = POLL_SECONDS
        return poll_delay(attempts, first=first, longest=longest)
    first, second, longest = SAMPLE_SECONDS
    return first if attempts == 1 else poll_delay(attempts - 1, first=second, longest=longest)


def _serving(reconciliation: Reconciliation, url: str) -> tuple[str, ...]:
    """Everything that an answer through the URL depends on."""
    own = reconciliation.view.own
    specs = [own[key].spec for key in sorted(own)]
    functions = [f"{spec.code_sha256} {spec.role_arn}" for spec in specs if isinstance(spec, FunctionSpec)]
    roles = {spec.role_arn for spec in specs if isinstance(spec, IntegrationSpec)}
    return (url, *served_configs(reconciliation.view), *functions, *sorted(roles))


def _was_ready(endpoint: EphemeralEndpoint) -> bool:
    generation = endpoint.metadata.generation
    return any(
        each.type == ConditionType.READY and each.status == "True" and each.observed_generation == generation
        for each in endpoint.status.conditions
    )
