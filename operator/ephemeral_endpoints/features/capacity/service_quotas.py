"""Whether the account's quotas suffice for the instances that a class's objects ask for, as Service Quotas tells.

It is a hint: what Service Quotas tells can be behind, and objects wait by what SageMaker refuses, see ``quotas``.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.component import Scope
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError, Denied
from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup
from ephemeral_endpoints.iam.statement import Statement

QUOTA_LOW: Final = "QuotaLow"

DAY_SECONDS: Final = 24 * 3600.0
"""For so long an answer counts, also that the permission is missing."""

RETRY_SECONDS: Final = 3600.0

STATEMENTS: Final = (
    Statement(
        "ListQuotas",
        ("servicequotas:ListServiceQuotas",),
        ("*",),
        "The condition `QuotaLow` of classes; without it there is none. The action supports no resource types.",
    ),
)
"""https://docs.aws.amazon.com/service-authorization/latest/reference/list_servicequotas.html"""

REASONS: Final = ReasonGroup(QUOTA_LOW)

TOO_LOW: Final = REASONS.for_platform(
    "QuotaBelowDemand",
    finality=Finality.RECOVERABLE,
    meaning="A quota of the AWS account is lower than the number of instances that the objects of the class ask for: "
    "some of them wait. The message has the numbers, as Service Quotas has told them within a day.",
    remedy="ask AWS to raise the quota, or lower `spec.limits` of the class",
)
SUFFICIENT: Final = REASONS.normal(
    "QuotasSuffice", meaning="The quotas of the AWS account suffice for the instances that the objects ask for."
)


def quota_name(instance_type: str) -> str:
    """The name of the quota of a type; its code differs by type, and no page of AWS has all of them."""
    return f"{instance_type} for endpoint usage"


def demand(endpoints: Iterable[EphemeralEndpoint]) -> Mapping[str, int]:
    """The instances that objects ask for, by type: of several types the preferred one."""
    asked: Counter[str] = Counter()
    for serving in (each.spec.serving for each in endpoints if not each.spec.suspend):
        if serving.instances:
            asked[serving.instances.types[0]] += serving.instances.count * max(1, len(serving.variants))
    return asked


def judged(quotas: Mapping[str, float], asked: Mapping[str, int]) -> ConditionUpdate | None:
    """The condition; None if none of the quotas is known. ``quotas`` are values by name."""
    known = {type_: int(quotas[quota_name(type_)]) for type_ in sorted(asked) if quota_name(type_) in quotas}
    low = [
        f"'{quota_name(type_)}' is {quota}, and they ask for {asked[type_]}"
        for type_, quota in known.items()
        if quota < asked[type_]
    ]
    if low:
        message = (
            f"the quotas of the AWS account do not suffice for the instances that the objects of the class ask for: "
            f"{'; '.join(low)}. Ask AWS to raise them; until then some objects wait. The operator asks Service Quotas "
            "again within a day"
        )
        return ConditionUpdate.of(QUOTA_LOW, ConditionStatus.TRUE, Cause(TOO_LOW, message))
    if not known:
        return None
    numbers = "; ".join(f"'{quota_name(type_)}' is {quota}" for type_, quota in known.items())
    return ConditionUpdate.of(QUOTA_LOW, ConditionStatus.FALSE, Cause(SUFFICIENT, f"no quota is too low: {numbers}"))


@dataclass(frozen=True, slots=True)
class _Known:
    due_at: float
    quotas: Mapping[str, float] = field(default_factory=dict)


class ServiceQuotas:
    """What Service Quotas tells of the accounts of classes. ``clock`` is monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[Scope, _Known] = {}
        self._updates: dict[str, tuple[Scope, ConditionUpdate | None]] = {}

    async def look(
        self, endpoint_class: EphemeralEndpointClass, account: Account, endpoints: Iterable[EphemeralEndpoint]
    ) -> None:
        """Judge the quotas for the active objects of a class, after asking AWS where that is due. Raises nothing."""
        name, asked = endpoint_class.metadata.name, demand(endpoints)
        if not asked:
            self._updates.pop(name, None)
            return
        known = self._known.get(account.scope)
        if known is None or known.due_at <= self._clock():
            known = self._known[account.scope] = await self._asked(account, known)
        self._updates[name] = (account.scope, judged(known.quotas, asked))

    def condition(self, endpoint_class: EphemeralEndpointClass) -> ConditionUpdate | None:
        """Whether a quota is too low; None if no object uses instances, or none of their quotas is known."""
        _, update = self._updates.get(endpoint_class.metadata.name, (None, None))
        return update

    def due_in(self, endpoint_class: EphemeralEndpointClass) -> float | None:
        """In how many seconds AWS is to be asked again; None if no object of the class uses instances."""
        scope, _ = self._updates.get(endpoint_class.metadata.name, (None, None))
        return max(0.0, self._known[scope].due_at - self._clock()) if scope else None

    async def _asked(self, account: Account, before: _Known | None) -> _Known:
        try:
            quotas = await _listed(account)
        except Denied:
            return _Known(self._clock() + DAY_SECONDS)
        except AwsError:
            return _Known(self._clock() + RETRY_SECONDS, before.quotas if before else {})
        return _Known(self._clock() + DAY_SECONDS, quotas)


async def _listed(account: Account) -> dict[str, float]:
    """The quotas of SageMaker by name: hundreds, of which those of instances are kept."""
    client: Any = await asyncio.to_thread(account.clients.service_quotas)
    found: dict[str, float] = {}
    further: dict[str, str] = {}
    while True:
        answer = await account.calls(client.list_service_quotas, ServiceCode="sagemaker", MaxResults=100, **further)
        named = ((each.get("QuotaName", ""), each.get("Value")) for each in answer.get("Quotas", ()))
        found |= {name: value for name, value in named if name.startswith("ml.") and value is not None}
        if not (token := answer.get("NextToken")):
            return found
        further = {"NextToken": token}
