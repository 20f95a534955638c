"""The JSON Schemas of an object's requests and answers: read, and judged before they go into its forwarder."""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ephemeral_endpoints.api.v1alpha1.public_api import Api
from ephemeral_endpoints.api.v1alpha1.schemas import MAX_SCHEMA_BYTES, SchemaSource
from ephemeral_endpoints.engine.backoff import poll_delay
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.names import content_digest
from ephemeral_endpoints.features.places import Places
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.forwarder.json_text import NotJsonError, read_json
from ephemeral_endpoints.features.routing.stage import SampleInvalid, SchemaInvalid, SchemaUnavailable
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.features.subject import ApiSchemas
from ephemeral_endpoints.features.worker import Worker, WorkerError
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.configmaps import UNWATCHED_SECONDS, ConfigMaps
from ephemeral_endpoints.kube.errors import KubernetesError

MAX_SECONDS: Final = 5.0
"""How long it may take to judge the schemas and samples of one object."""

MOST_KNOWN: Final = 2000
"""How many verdicts are kept: most objects of a repository have the same schemas."""

PAUSES: Final = (60.0, 3600.0)
"""After how many seconds schemas without a verdict are judged again: the first time, and the longest pause."""

_MODULE: Final = "ephemeral_endpoints.features.routing.schema_worker"
_REFERRER: Final = "schemas"
_REMEDY: Final = "correct it; what was served before is served until then"

Data = Mapping[str, Mapping[str, str] | None]
"""The data of ConfigMaps by their names; None for one that does not exist."""


def read(api: Api, data: Data) -> ApiSchemas:
    """The schemas as text. Raises SchemaUnavailable for what ConfigMaps do not have, and SchemaInvalid for no JSON."""
    return ApiSchemas(
        _text("spec.api.requestSchema", api.request_schema, data),
        _text("spec.api.responseSchema", api.response_schema, data),
    )


def _text(field: str, source: SchemaSource | None, data: Data) -> str | None:
    if source is None:
        return None
    if source.inline is not None:
        where, schema = field, source.inline
    else:
        reference = source.config_map_key_ref
        if reference is None:
            raise SchemaInvalid(f"{field} has neither inline nor configMapKeyRef: {_REMEDY}")
        where = f"{field} (the key {reference.key} of the ConfigMap {reference.name})"
        found = data.get(reference.name)
        if found is None:
            raise SchemaUnavailable(f"{field}: the ConfigMap {reference.name} does not exist: create it")
        if reference.key not in found:
            raise SchemaUnavailable(f"{field}: the ConfigMap {reference.name} has no key {reference.key}: add it")
        schema = _parsed(where, found[reference.key])
    try:
        text = json.dumps(schema, separators=(",", ":"))
    except RecursionError as error:
        raise SchemaInvalid(f"{where} is nested too deeply: {_REMEDY}") from error
    if len(text) > MAX_SCHEMA_BYTES:
        raise _too_long(where)
    return text


def _parsed(where: str, text: str) -> Mapping[str, object]:
    if len(text) > 2 * MAX_SCHEMA_BYTES:
        raise _too_long(where)
    try:
        schema = read_json(text.encode())
    except NotJsonError as error:
        raise SchemaInvalid(f"{where} {error}: {_REMEDY}") from error
    if not isinstance(schema, dict):
        raise SchemaInvalid(f"{where} is not a JSON object: {_REMEDY}")
    return schema


def _too_long(where: str) -> SchemaInvalid:
    return SchemaInvalid(f"{where} is longer than {MAX_SCHEMA_BYTES // 1024} KiB without white space: {_REMEDY}")


class _Failure(NamedTuple):
    """How often there was no verdict and why, and when to ask again (monotonic seconds)."""

    attempts: int
    message: str
    retry_at: float


class Judge:
    """Says whether schemas can be used, in a process of its own: one can take for ever, or all memory.

    ``clock`` is monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float], max_seconds: float = MAX_SECONDS) -> None:
        self._clock = clock
        self._worker = Worker(_MODULE, max_seconds)
        self._turn = Places(1)
        self._askers = 0
        self._known: OrderedDict[str, ReconcileError | _Failure | None] = OrderedDict()

    async def verdict(self, namespace: str, schemas: ApiSchemas, api: Api) -> ReconcileError | None:
        """Why the schemas cannot be used, or a sample is none; None if all is well. Raises WorkerError.

        Schemas without a verdict are judged again only after a pause, whoever asks: each attempt is long.
        """
        samples = [[each.name, each.request, each.content_type] for each in api.samples]
        asked = {"requestSchema": schemas.request, "responseSchema": schemas.response, "samples": samples}
        identity = content_digest(schemas.request, schemas.response, samples)
        if self._is_due(identity):
            await self._judge(namespace, identity, asked)
        self._known.move_to_end(identity)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        found = self._known[identity]
        if isinstance(found, _Failure):
            raise WorkerError(found.message)
        return found

    def _is_due(self, identity: str) -> bool:
        known = self._known.get(identity, _Failure(0, "", self._clock()))
        return isinstance(known, _Failure) and known.retry_at <= self._clock()

    async def _judge(self, namespace: str, identity: str, asked: dict[str, Any]) -> None:
        self._askers += 1
        try:
            async with self._turn.of(namespace):
                # Another object with the same schemas may have been first.
                if self._is_due(identity):
                    self._known[identity] = await self._answer(identity, asked)
        finally:
            self._askers -= 1
            if not self._askers:
                await self._worker.close()

    async def _answer(self, identity: str, asked: dict[str, Any]) -> ReconcileError | _Failure | None:
        try:
            return refusal_of(await self._worker.ask(asked))
        except WorkerError as error:
            before = self._known.get(identity)
            attempts = before.attempts + 1 if isinstance(before, _Failure) else 1
            first, longest = PAUSES
            return _Failure(attempts, str(error), self._clock() + poll_delay(attempts, first=first, longest=longest))


def refusal_of(answer: Mapping[str, Any]) -> ReconcileError | None:
    """What an answer of the worker says against the schemas or the samples of an object."""
    if "schema" in answer:
        field, message = answer["schema"]
        return SchemaInvalid(f"spec.api.{field}: {message}; {_REMEDY}")
    if "sample" in answer:
        name, message = answer["sample"]
        return SampleInvalid(
            f"the sample {name} breaks spec.api.requestSchema, because it {message}; correct the sample or the schema: "
            "what was served before is served until then"
        )
    return None


@dataclass(slots=True)
class SchemasMemory:
    """The schemas, None while they are not known or cannot be used, and why not. ``key`` is the object's.

    ``is_judged`` is False if they could not be judged, and another attempt may end otherwise.
    """

    schemas: ApiSchemas | None = None
    error: ReconcileError | None = None
    key: ObjectKey | None = None
    is_judged: bool = True


class SchemasStep(Step[SchemasMemory]):
    """Reads and judges the schemas of objects. ``configmaps`` enqueues an object when one that it refers to changes.

    ``clock`` is monotonic seconds.
    """

    def __init__(self, configmaps: ConfigMaps, clock: Callable[[], float]) -> None:
        super().__init__(SchemasMemory)
        self._configmaps = configmaps
        self._judge = Judge(clock)

    async def run(self, reconciliation: Reconciliation) -> None:
        """Find the schemas; what keeps them from being used is an ``error`` of its memory."""
        memory, api = self.memory(reconciliation.uid), reconciliation.subject.endpoint.spec.api
        key = reconciliation.key
        found = error = None
        memory.is_judged = True
        try:
            found = read(api, await self._read(key, api))
            if found != ApiSchemas():
                error = await self._judge.verdict(key.namespace or "", found, api)
        except (SchemaInvalid, SchemaUnavailable) as refusal:
            error = refusal
        except WorkerError as late:
            memory.is_judged = False
            error = SchemaInvalid(
                f"spec.api: to judge its schemas and samples {late}: simplify them; the operator tries again after a "
                "minute and then less often, and what was served before is served until then"
            )
        except KubernetesError as unread:
            error = unread.problem("GetConfigMap")
        memory.schemas, memory.error, memory.key = None if error else found, error, key

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        is_watched = self._configmaps.is_watched or not configmaps_of(reconciliation.subject.endpoint.spec.api)
        if is_watched and self.memory(reconciliation.uid).is_judged:
            return None
        return UNWATCHED_SECONDS

    def forget(self, uid: str) -> None:
        """See ``Step``."""
        if key := self.memory(uid).key:
            self._configmaps.refer(key, (), _REFERRER)
        super().forget(uid)

    async def _read(self, key: ObjectKey, api: Api) -> Data:
        """The data of each ConfigMap that the schemas refer to. Raises KubernetesError."""
        names = configmaps_of(api)
        self._configmaps.refer(key, names, _REFERRER)
        return {name: await self._configmaps.data(key.namespace or "", name) for name in names}


def configmaps_of(api: Api) -> list[str]:
    """The names of the ConfigMaps that the schemas of an API refer to."""
    sources = (each for each in (api.request_schema, api.response_schema) if each)
    return sorted({each.config_map_key_ref.name for each in sources if each.config_map_key_ref})
