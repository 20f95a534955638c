"""What the checks of an object send and expect, with all that they refer to. Pure."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.checks import MAX_REQUEST_BYTES, Check, Expectation
from ephemeral_endpoints.api.v1alpha1.load import Load
from ephemeral_endpoints.api.v1alpha1.model_data import ConfigMapKeyRef
from ephemeral_endpoints.api.v1alpha1.samples import Sample
from ephemeral_endpoints.features.checks.documents import Json, NotJsonError, parse
from ephemeral_endpoints.features.checks.reasons import CheckInvalid, CheckUnavailable
from ephemeral_endpoints.features.checks.requests import ModelRequest

ConfigMapData = Mapping[str, Mapping[str, str] | None]
"""The data of ConfigMaps by their names; None for one that does not exist."""

MAX_VALUES_BYTES: Final = 64 * 1024
"""Of the expected values of one check."""

MAX_SCHEMA_BYTES: Final = 64 * 1024
MAX_SCHEMAS_BYTES: Final = 512 * 1024
"""Of all schemas together."""

MAX_DEPTH: Final = 64
"""How deep expected values and schemas may be nested."""

_DIGITS: Final = 16

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class PreparedCheck:
    """A check with its request, and with the schema as text if there is one."""

    name: str
    request: ModelRequest
    expect: Expectation
    schema: str | None = None
    load: Load | None = None


def configmaps_of(checks: Iterable[Check]) -> frozenset[str]:
    """The names of the ConfigMaps that checks refer to."""
    return frozenset(reference.name for check in checks for reference in _references(check))


def prepare(checks: Sequence[Check], samples: Iterable[Sample], data: ConfigMapData) -> tuple[PreparedCheck, ...]:
    """The checks, ready to be run.

    Raises CheckUnavailable for what ConfigMaps do not have, and CheckInvalid for what cannot be checked; whether
    schemas compile is for ``schemas`` to say.
    """
    known = {each.name: each for each in samples}
    prepared = tuple(_prepare(each, known, data) for each in checks)
    if sum(len(each.schema or "") for each in prepared) > MAX_SCHEMAS_BYTES:
        raise CheckInvalid(f"the schemas of all checks together are longer than {MAX_SCHEMAS_BYTES // 1024} KiB")
    return prepared


def digest(prepared: Iterable[PreparedCheck]) -> str:
    """Identifies what is sent, and what is expected."""
    return run_id(
        *(
            [
                each.name,
                each.request.body.decode(),
                each.request.content_type,
                each.expect.model_dump(mode="json", by_alias=True, exclude_unset=True),
                each.schema,
                each.load.to_wire() if each.load else None,
            ]
            for each in prepared
        )
    )


def run_id(*identity: Json) -> str:
    """Identifies a run by all that it is about, which is JSON."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def _references(check: Check) -> Iterator[ConfigMapKeyRef]:
    if check.request_from:
        yield check.request_from.config_map_key_ref
    if check.expect.schema_from:
        yield check.expect.schema_from.config_map_key_ref


def _prepare(check: Check, samples: Mapping[str, Sample], data: ConfigMapData) -> PreparedCheck:
    for number, each in enumerate(check.expect.values):
        where = f"check {check.name}: expect.values[{number}]"
        if each.tolerance is not None and not each.has_equals and each.one_of is None:
            raise CheckInvalid(f"{where}: tolerance needs equals or oneOf")
        if _is_deeper_than(MAX_DEPTH, [each.equals, each.one_of]):
            raise CheckInvalid(f"{where} is nested in more than {MAX_DEPTH} levels")
    if len(json.dumps([[each.equals, each.one_of] for each in check.expect.values])) > MAX_VALUES_BYTES:
        raise CheckInvalid(f"check {check.name}: expect.values is longer than {MAX_VALUES_BYTES // 1024} KiB")
    # In the digest and in the memory of the operator, the schema is there once: as text.
    expect = check.expect.model_copy(update={"json_schema": None}) if check.expect.json_schema else check.expect
    return PreparedCheck(check.name, _request(check, samples, data), expect, _schema(check, data), check.load)


def _request(check: Check, samples: Mapping[str, Sample], data: ConfigMapData) -> ModelRequest:
    if check.request:
        return ModelRequest(check.request.body.encode(), check.request.content_type)
    if source := check.request_from:
        body = _value(check, source.config_map_key_ref, data).encode()
        if len(body) > MAX_REQUEST_BYTES:
            where = _named(source.config_map_key_ref)
            raise CheckInvalid(f"check {check.name}: {where} is longer than {MAX_REQUEST_BYTES // 1024} KiB")
        return ModelRequest(body, source.content_type)
    sample = samples.get(check.sample or "")
    if sample is None:
        raise CheckInvalid(f"check {check.name}: there is no sample {check.sample}")
    return ModelRequest(sample.request.encode(), sample.content_type)


def _schema(check: Check, data: ConfigMapData) -> str | None:
    """The schema as JSON text. Raises CheckInvalid for one that is too large, or of another dialect."""
    if check.expect.json_schema is not None:
        return _judged(f"check {check.name}: expect.schema", check.expect.json_schema)
    if check.expect.schema_from is None:
        return None
    reference = check.expect.schema_from.config_map_key_ref
    where = f"check {check.name}: {_named(reference)}"
    text = _value(check, reference, data)
    if len(text) > MAX_SCHEMA_BYTES:
        raise CheckInvalid(f"{where} is longer than {MAX_SCHEMA_BYTES // 1024} KiB")
    try:
        schema = parse(text.encode())
    except NotJsonError as error:
        raise CheckInvalid(f"{where} is not JSON: {error}") from error
    if not isinstance(schema, dict):
        raise CheckInvalid(f"{where} is not a JSON object")
    return _judged(where, schema)


def _judged(where: str, schema: Mapping[str, Any]) -> str:
    if _is_deeper_than(MAX_DEPTH, schema):
        raise CheckInvalid(f"{where} is nested in more than {MAX_DEPTH} levels")
    text = json.dumps(schema, sort_keys=True)
    if len(text) > MAX_SCHEMA_BYTES:
        raise CheckInvalid(f"{where} is longer than {MAX_SCHEMA_BYTES // 1024} KiB")
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        raise CheckInvalid(
            f"{where}/$schema must be {DIALECT}, or absent: other drafts mean other things by the same keywords, such "
            "as an array in items, and definitions"
        )
    return text


def _value(check: Check, reference: ConfigMapKeyRef, data: ConfigMapData) -> str:
    found = data.get(reference.name)
    if found is None:
        raise CheckUnavailable(f"check {check.name}: the ConfigMap {reference.name} does not exist: create it")
    if reference.key not in found:
        raise CheckUnavailable(
            f"check {check.name}: the ConfigMap {reference.name} has no key {reference.key}: add it to its data"
        )
    return found[reference.key]


def _named(reference: ConfigMapKeyRef) -> str:
    return f"the key {reference.key} of the ConfigMap {reference.name}"


def _is_deeper_than(most: int, document: Json) -> bool:
    """Without recursion: it is for documents of any depth."""
    level = [document]
    for _ in range(most + 1):
        level = [part for each in level for part in _parts(each)]
        if not level:
            return False
    return True


def _parts(document: Json) -> Iterable[Json]:
    match document:
        case Mapping():
            return document.values()
        case list() | tuple():
            return document
        case _:
            return ()
