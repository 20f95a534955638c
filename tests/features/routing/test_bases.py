from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.engine.objects import CLASS, ENDPOINT, merged, subject

from ephemeral_endpoints.features.routing.bases import Unfit, base_of, named_second, second_of
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import Store

NOW = datetime(2026, 11, 1, 13, tzinfo=UTC)
SAMPLES = {"samples": [{"name": "a", "request": "{}"}]}
COMPARED: Mapping[str, Any] = {
    "compare": {"with": {"endpoint": "main"}},
    "className": "default",
    "api": SAMPLES,
}
OPEN = {**COMPARED, "api": {**SAMPLES, "auth": {"type": "None"}}}
QUEUED = {
    "instances": {"type": "ml.m5.large"},
    "asynchronous": {"s3Uri": "s3://bucket/x"},
}


def base(store: Store, own: Mapping[str, Any], spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    """The name of the base that is found for an object with that spec, where one called main is as given."""
    named = {"name": "main", "uid": "the-base", **metadata}
    store.put(merged(ENDPOINT, {"metadata": named, "spec": {"className": "default", **spec}}))
    found = base_of(subject(own), store, NOW)
    return found.endpoint.metadata.name if found else None


@pytest.fixture
def store() -> Store:
    store = Store()
    store.put(CLASS)
    return store


@pytest.mark.parametrize(
    ("own", "spec", "metadata", "found", "reason"),
    [
        (COMPARED, {}, {}, True, "it lives, and is of the same class"),
        ({}, {}, {}, False, "nothing is compared"),
        ({**COMPARED, "compare": {"with": {"previousRevision": True}}}, {}, {}, False, "the base is no object"),
        (COMPARED, {}, {"name": "other"}, False, "there is none of that name"),
        (COMPARED, {}, {"namespace": "vision"}, False, "objects of other namespaces are none of its business"),
        (COMPARED, {"className": "other"}, {}, False, "it may be in another account or region"),
        (COMPARED, {"serving": QUEUED}, {}, False, "it does not answer at once"),
        (COMPARED, {}, {"deletionTimestamp": "2026-11-01T12:30:00Z"}, False, "it is being deleted"),
        (COMPARED, {"lifecycle": {"ttl": "30m"}}, {}, False, "it has expired"),
        (COMPARED, {"api": {"auth": {"type": "None"}}}, {}, True, "it admits everybody"),
        (OPEN, {}, {}, False, "its token would be asked for by nobody"),
        (OPEN, {"api": {"auth": {"type": "None"}}}, {}, True, "neither asks for a token"),
    ],
)
def test_a_base_answers_where_it_can_and_may(  # noqa: PLR0917 - a table
    store: Store,
    own: Mapping[str, Any],
    spec: Mapping[str, Any],
    metadata: Mapping[str, Any],
    found: bool,  # noqa: FBT001 - likewise
    reason: str,
) -> None:
    assert (base(store, own, spec, metadata) == "main") is found, reason


CHAINED: Mapping[str, Any] = {"className": "default", "api": {"postprocess": {"endpoint": "main"}}}
OPEN_CHAIN = {**CHAINED, "api": {**CHAINED["api"], "auth": {"type": "None"}}}


@pytest.mark.parametrize(
    ("own", "spec", "metadata", "unfit", "reason"),
    [
        (CHAINED, {}, {}, None, "it lives, and is of the same class"),
        (
            CHAINED,
            {"api": {"postprocess": {"endpoint": "pr-42"}}},
            {},
            None,
            "only its model is asked: there is no circle",
        ),
        (CHAINED, {"suspend": True}, {}, None, "it serves all the same"),
        (CHAINED, {}, {"name": "other"}, Unfit.MISSING, "there is none of that name"),
        (CHAINED, {}, {"namespace": "vision"}, Unfit.MISSING, "objects of other namespaces are none of its business"),
        (CHAINED, {"className": "other"}, {}, Unfit.OTHER_CLASS, "it may be in another account or region"),
        (CHAINED, {"serving": QUEUED}, {}, Unfit.ASYNCHRONOUS, "it does not answer at once"),
        (CHAINED, {}, {"deletionTimestamp": "2026-11-01T12:30:00Z"}, Unfit.ENDED, "it is being deleted"),
        (CHAINED, {"lifecycle": {"ttl": "30m"}}, {}, Unfit.ENDED, "it has expired"),
        (OPEN_CHAIN, {}, {}, Unfit.NEEDS_TOKEN, "everybody could use it"),
        (OPEN_CHAIN, {"api": {"auth": {"type": "None"}}}, {}, None, "neither asks for a token"),
    ],
)
def test_a_second_model_is_asked_where_it_can_and_may_be(  # noqa: PLR0917 - a table
    store: Store,
    own: Mapping[str, Any],
    spec: Mapping[str, Any],
    metadata: Mapping[str, Any],
    unfit: Unfit | None,
    reason: str,
) -> None:
    named = {"name": "main", "uid": "the-second", **metadata}
    store.put(merged(ENDPOINT, {"metadata": named, "spec": {"className": "default", **spec}}))
    found = named_second(subject(own), store, NOW)
    assert (None if isinstance(found, Subject) else found) is unfit, reason
    assert second_of(subject(own), store, NOW) == (None if unfit else found)


def test_no_object_is_looked_for_where_none_is_named(store: Store) -> None:
    chain = {"postprocess": {"sageMakerEndpoint": "shared"}}
    assert named_second(subject({"api": chain}), store, NOW) is None
    assert named_second(subject(), store, NOW) is None
