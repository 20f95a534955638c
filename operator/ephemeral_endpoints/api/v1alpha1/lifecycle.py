"""When an endpoint ends, and what becomes of it."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.budgets import BudgetAmount
from ephemeral_endpoints.api.v1alpha1.types import Duration


class ExpiryAction(StrEnum):
    """What happens to the object when it expires."""

    AUTO = "Auto"
    DELETE = "Delete"
    RETIRE = "Retire"


class TtlFrom(StrEnum):
    """What the time to live counts from."""

    CREATED = "Created"
    LAST_REVISION = "LastRevision"
    LAST_USE = "LastUse"


class DeletionPolicy(StrEnum):
    """What happens to the AWS resources when the object is deleted or expires."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Lifecycle(ApiModel):
    """When the endpoint expires, and what happens then."""

    ttl: Duration | None = None
    """How long the endpoint lives, counted from what ttlFrom says: a duration such as 3d, 72h or 1h30m. The class's
    maxTtl, which counts from the object's creation, caps it. Default: the class's defaultTtl."""

    ttl_from: TtlFrom | None = None
    """What ttl counts from. Created: the object's creation. LastRevision: the last change of the commit that the object
    serves. LastUse: the last request that a caller sent to its models, if that is later; the end then moves in steps
    of a twelfth of ttl, and is up to an hour and a step late. The operator's own checks are no use. Default: the
    class's lifecycle.ttlFrom."""

    budget_usd: Annotated[BudgetAmount | None, Field(alias="budgetUSD")] = None
    """What the endpoint may cost in its whole life, in USD, in quotes. The class says in budgets what happens then, and
    its budgets.objectUSD caps the amount. Default: the class's budgets.objectUSD."""

    on_expiry: ExpiryAction = ExpiryAction.AUTO
    """What happens to the object when it expires; deletionPolicy determines what happens to its AWS resources. Delete:
    the object is deleted. Retire: it stays as a tombstone. Auto: Retire if the object's
    metadata shows that a tool such as Argo CD, Flux or Helm would create it again, otherwise Delete. Default Auto."""

    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE
    """What happens to the AWS resources when the object is deleted or expires. Delete: they are deleted. Retain: they
    stay, keep serving and keep costing, with the tag ephemeral-endpoints.io/retain=true; you must delete them
    yourself. The class must allow it (lifecycle.allowRetain). The Secret with the token is deleted with the object:
    save it before. Default Delete."""
