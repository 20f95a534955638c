"""What is known of the custom domains of classes: AWS is asked every few minutes, and sooner if something is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.conditions import Cause, ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.features.routing.domain import AVAILABLE, found_cause, update_of

CHECK_SECONDS: Final = 300.0
"""A domain that was as it should be is looked at again after this long."""

RETRY_SECONDS: Final = (15.0, 300.0)
"""The first and the longest pause while something is wrong."""


@dataclass(slots=True)
class _Known:
    domain: str
    cause: Cause
    is_usable: bool
    due_at: float
    failures: int = 0
    obstacle: Cause | None = None


class Domains:
    """The state of the domain of each class. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def is_usable(self, endpoint_class: EphemeralEndpointClass, account: Account) -> bool:
        """Whether APIs can be mapped to the class's domain, after asking AWS where that is due. Raises nothing."""
        name, domain = endpoint_class.metadata.name, endpoint_class.spec.routing.domain
        if domain is None:
            self._known.pop(name, None)
            return False
        known = self._known.get(name)
        if known is None or known.domain != domain.name or known.due_at <= self._clock():
            answer = await _ask(domain.name, account)
            cause, is_usable = found_cause(domain.name, answer, account.scope.region, account.scope.account_id)
            failures = 0 if cause.reason is AVAILABLE else (known.failures if known else 0) + 1
            first, longest = RETRY_SECONDS
            pause = poll_delay(failures, first=first, longest=longest) if failures else CHECK_SECONDS
            known = self._known[name] = _Known(domain.name, cause, is_usable, self._clock() + pause, failures)
        return known.is_usable

    def is_disproven(self, endpoint_class: EphemeralEndpointClass) -> bool:
        """Whether the last answer of AWS was that the class's domain leads nowhere. Asks nothing."""
        known, domain = self._known.get(endpoint_class.metadata.name), endpoint_class.spec.routing.domain
        return known is not None and domain is not None and known.domain == domain.name and not known.is_usable

    def note(self, endpoint_class: EphemeralEndpointClass, obstacle: Cause | None) -> None:
        """Note what keeps paths of the domain from leading to the class's APIs."""
        if known := self._known.get(endpoint_class.metadata.name):
            known.obstacle = obstacle

    def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """Whether the domain leads to the class's APIs; None if the class names none."""
        known = self._known.get(endpoint_class.metadata.name)
        if known is None:
            return None
        return update_of(known.obstacle if known.obstacle and known.is_usable else known.cause)

    def due_in(self, endpoint_class: EphemeralEndpointClass) -> float | None:
        """In how many seconds AWS is to be asked again; None if the class names no domain."""
        known = self._known.get(endpoint_class.metadata.name)
        return max(0.0, known.due_at - self._clock()) if known else None


async def _ask(domain: str, account: Account) -> Mapping[str, Any] | AwsError:
    try:
        answer: Mapping[str, Any] = await account.calls(account.clients.apigateway.get_domain_name, DomainName=domain)
    except AwsError as error:
        return error
    return answer
