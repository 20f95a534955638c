"""The schemas of an object and of its base, and the check that the one does not break callers of the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome, CheckResult
from ephemeral_endpoints.engine.names import content_digest
from ephemeral_endpoints.features.checks.documents import line
from ephemeral_endpoints.features.checks.evaluation import MAX_MESSAGE
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.schemas import SchemasStep, configmaps_of, read
from ephemeral_endpoints.features.routing.stage import SchemaInvalid, SchemaUnavailable
from ephemeral_endpoints.features.subject import ApiSchemas
from ephemeral_endpoints.features.worker import Worker, WorkerError
from ephemeral_endpoints.kube.cache import ObjectKey, Store, endpoint_key
from ephemeral_endpoints.kube.configmaps import ConfigMaps
from ephemeral_endpoints.kube.errors import KubernetesError

NAME: Final = "BreakingSchema"
"""The name of the check: none that an object can give to one of its own."""

MAX_SECONDS: Final = 5.0

_MODULE: Final = "ephemeral_endpoints.features.checks.contract.worker"
_REFERRER: Final = "contract"
_SHORT: Final = 7
_MOST_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared. ``base`` is None where it is not known, and ``is_first`` says that there is none.

    ``digest`` identifies what the check depends on and a restart of the operator does not change.
    """

    title: str
    base: ApiSchemas | None
    head: ApiSchemas
    digest: str
    is_first: bool = False


class Contracts:
    """Finds the schemas of bases, and compares them with those of objects in a process of its own."""

    def __init__(self, store: Store, configmaps: ConfigMaps, schemas: SchemasStep) -> None:
        self._store = store
        self._configmaps = configmaps
        self._schemas = schemas
        self._revisions: dict[str, tuple[tuple[str, ApiSchemas], ...]] = {}

    def waits(self, reconciliation: Reconciliation) -> bool:
        """Whether the object's schemas cannot be used: until they can, nothing of it changes, and results stand."""
        spec = reconciliation.subject.endpoint.spec
        return spec.has_contract and self._schemas.memory(reconciliation.uid).schemas is None

    async def sides(self, reconciliation: Reconciliation) -> Sides | None:
        """What is to be compared; None if the object has no schema, or no base that has one."""
        key, spec = reconciliation.key, reconciliation.subject.endpoint.spec
        head = self._schemas.memory(reconciliation.uid).schemas
        if spec.compare is None or not spec.has_contract or head is None:
            return None
        name = spec.compare.with_.endpoint
        return await self._other(key, name, head) if name else self._previous(reconciliation, head)

    async def result(self, sides: Sides) -> CheckResult:
        """The result of the check."""
        if sides.is_first:
            return CheckResult(name=NAME, outcome=CheckOutcome.PASSED)
        if sides.base is None:
            return _inconclusive(f"the schemas of {sides.title} are not known to the operator")
        try:
            async with Worker(_MODULE, MAX_SECONDS) as worker:
                found = await worker.ask({"base": _texts(sides.base), "head": _texts(sides.head)})
        except WorkerError as error:
            return _inconclusive(f"to compare the schemas with those of {sides.title} {error}")
        return verdict(sides.title, found)

    def forget(self, key: ObjectKey | None, uid: str) -> None:
        """The object has no such check any more."""
        self._revisions.pop(uid, None)
        if key:
            self._configmaps.refer(key, (), _REFERRER)

    async def _other(self, key: ObjectKey, name: str, head: ApiSchemas) -> Sides | None:
        namespace = key.namespace or ""
        other = self._store.endpoint(endpoint_key(namespace, name))
        if other is None:
            return None
        api = other.spec.api
        names = configmaps_of(api)
        self._configmaps.refer(key, names, _REFERRER)
        base: ApiSchemas | None
        try:
            base = read(api, {each: await self._configmaps.data(namespace, each) for each in names})
        except (KubernetesError, SchemaInvalid, SchemaUnavailable):
            base = None
        if base == ApiSchemas():
            return None
        digest = content_digest(name, base and _texts(base), _texts(head))
        return Sides(name, base, head, digest)

    def _previous(self, reconciliation: Reconciliation, head: ApiSchemas) -> Sides:
        """The sides of a comparison with the previous revision, which is kept in memory only."""
        endpoint = reconciliation.subject.endpoint
        known = self._revisions.get(reconciliation.uid, ())
        before = known[-1:] if known and known[-1][0] != endpoint.revision else known[:-1]
        self._revisions[reconciliation.uid] = (*before, (endpoint.revision, head))
        digest, written = content_digest("", _texts(head)), endpoint.status.checks
        if before:
            return Sides(f"revision {before[-1][0][:_SHORT]}", before[-1][1], head, digest)
        is_first = written is None or written.revision == endpoint.revision
        title = "" if written is None or is_first else f"revision {written.revision[:_SHORT]}"
        return Sides(title, None, head, digest, is_first)


def verdict(title: str, found: Mapping[str, list[str]]) -> CheckResult:
    """The result for what the worker has found."""
    if found["breaks"]:
        told = f"breaks callers of {title}: {_listed(found['breaks'])}; keep to its schemas, or agree on the change"
        return CheckResult(name=NAME, outcome=CheckOutcome.FAILED, message=line(told, MAX_MESSAGE))
    if found["unclear"]:
        return _inconclusive(f"whether this breaks callers of {title} cannot be decided: {_listed(found['unclear'])}")
    return CheckResult(name=NAME, outcome=CheckOutcome.PASSED)


def _inconclusive(message: str) -> CheckResult:
    return CheckResult(name=NAME, outcome=CheckOutcome.INCONCLUSIVE, message=line(message, MAX_MESSAGE))


def _listed(changes: list[str]) -> str:
    more = len(changes) - _MOST_TOLD
    return ", ".join([*changes[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])])


def _texts(schemas: ApiSchemas) -> list[str | None]:
    return [schemas.request, schemas.response]
