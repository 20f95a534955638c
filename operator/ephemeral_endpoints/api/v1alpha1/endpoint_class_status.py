"""What the operator reports of a class."""

from ephemeral_endpoints.api.v1alpha1.base import TOLERANT, ApiModel, Conditions
from ephemeral_endpoints.api.v1alpha1.budgets import EndedCosts
from ephemeral_endpoints.api.v1alpha1.prices import ListedPrices


class LimitUse(ApiModel):
    """How many objects of the class a namespace has."""

    model_config = TOLERANT

    namespace: str
    """The namespace."""

    used: int
    """Number of objects that have something in AWS, or may."""

    limit: int | None = None
    """Maximum number of them (spec.limits.objectsPerNamespace). Absent: no limit."""

    waiting: int = 0
    """Number of objects that wait for others to end."""


class EphemeralEndpointClassStatus(ApiModel):
    """The last observed state. Only the operator writes it."""

    model_config = TOLERANT

    observed_generation: int = -1
    """The metadata.generation that the status refers to; -1 before the operator has seen the class."""

    conditions: Conditions = ()
    """Conditions of the class. Ready is True when endpoints can be created in this class and its queue, if it names
    one, can be read. ForgeConnected is True when the credentials of spec.reviews can do what is needed, and
    NotificationsDelivered when the targets of spec.notifications can be used. CaptureDelivered is True when the records
    of spec.capture go where it says, ResultsDelivered when nothing of spec.results is known to be lost, and DomainReady
    when the domain of spec.routing.domain leads to the APIs of the class. ReaperActive is True when the reaper of
    spec.reaper runs. QuotaLow is True when a quota of the AWS account is lower than the number of instances that the
    objects of the class ask for. PricesCurrent is True when the prices of AWS's Price List were read, where priceSource
    asks for them."""

    limits: tuple[LimitUse, ...] = ()
    """The use of spec.limits by namespace, at most 10: those first in which most objects wait, then the fullest."""

    ended_costs: EndedCosts | None = None
    """What objects that are gone cost in the month of the last one, where spec.budgets has a budget by the month."""

    prices: ListedPrices | None = None
    """The prices of AWS's Price List that count, with priceSource PriceList. They stay while the list cannot be
    read."""

    limits_summary: str | None = None
    """The first of them in words, such as "nlp 5/5, 2 waiting"."""
