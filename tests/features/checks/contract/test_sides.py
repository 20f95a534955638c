"""Which schemas are compared, and what is told of it."""

from typing import Any, cast

import pytest
from kubernetes.aio.client import ApiClient
from tests.engine.objects import CLUSTER, endpoint, make_class

from ephemeral_endpoints.api.v1alpha1.checks import CheckOutcome
from ephemeral_endpoints.aws.account import Account, Owner
from ephemeral_endpoints.features.checks.contract.sides import NAME, Contracts, Sides, verdict
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.routing.schemas import SchemasStep
from ephemeral_endpoints.features.subject import ApiSchemas, Subject
from ephemeral_endpoints.kube.cache import Store, endpoint_key
from ephemeral_endpoints.kube.configmaps import ConfigMaps

TEXT, NUMBER = {"inline": {"type": "string"}}, {"inline": {"type": "number"}}
SAMPLE = {"name": "a", "request": "1"}


class Desk:
    """Reads the schemas of objects as a reconciliation does. Nothing here has a ConfigMap."""

    def __init__(self) -> None:
        self.store = Store()
        maps = ConfigMaps(cast("ApiClient", None), ("nlp",), lambda _: None)
        self.schemas = SchemasStep(maps, lambda: 0.0)
        self.contracts = Contracts(self.store, maps, self.schemas)

    def sees(self, revision: str = "a" * 40, status: object = None, **spec: Any) -> Reconciliation:  # noqa: ANN401 - of a spec
        source = {"repository": "acme/nlp", "revision": revision}
        made = endpoint({"spec": {"source": source, **spec}, **({"status": status} if status else {})})
        subject = Subject(CLUSTER, made, make_class())
        uid = made.metadata.uid
        self.schemas.memory(uid).schemas = _texts(spec.get("api", {}))
        return Reconciliation(endpoint_key("nlp", "pr-42"), subject, cast("Account", None), Owner("o", uid), set())


def _texts(api: dict[str, Any]) -> ApiSchemas:
    return ApiSchemas(
        *(str(api[each]["inline"]) if each in api else None for each in ("requestSchema", "responseSchema"))
    )


PREVIOUS: dict[str, Any] = {"compare": {"with": {"previousRevision": True}}}


async def test_without_schemas_or_a_base_nothing_is_compared() -> None:
    desk = Desk()
    api = {"samples": [SAMPLE], "requestSchema": NUMBER}
    assert await desk.contracts.sides(desk.sees(api=api)) is None
    assert await desk.contracts.sides(desk.sees(api={"samples": [SAMPLE]}, **PREVIOUS)) is None
    other: dict[str, Any] = {"compare": {"with": {"endpoint": "main"}}}
    assert await desk.contracts.sides(desk.sees(api=api, **other)) is None, "there is no object main"


async def test_the_previous_revision_is_the_base_of_the_next_one_however_often_that_is_seen() -> None:
    desk = Desk()
    old, new = ({"samples": [SAMPLE], "requestSchema": each} for each in (NUMBER, TEXT))
    first = await desk.contracts.sides(desk.sees("a" * 40, api=old, **PREVIOUS))
    assert first
    assert first.is_first
    assert (await desk.contracts.result(first)).outcome is CheckOutcome.PASSED
    for _ in range(2):
        second = await desk.contracts.sides(desk.sees("b" * 40, api=new, **PREVIOUS))
        assert second
        assert (second.title, second.base) == ("revision aaaaaaa", ApiSchemas("{'type': 'number'}"))


async def test_as_long_as_the_schemas_cannot_be_used_the_base_stays_the_base() -> None:
    desk = Desk()
    api = {"samples": [SAMPLE], "requestSchema": NUMBER}
    await desk.contracts.sides(desk.sees("a" * 40, api=api, **PREVIOUS))
    broken = desk.sees("b" * 40, api=api, **PREVIOUS)
    desk.schemas.memory(broken.uid).schemas = None
    assert desk.contracts.waits(broken)
    corrected = desk.sees("b" * 40, api=api, **PREVIOUS)
    assert not desk.contracts.waits(corrected)
    sides = await desk.contracts.sides(corrected)
    assert sides
    assert sides.title == "revision aaaaaaa"


async def test_after_a_restart_the_previous_revision_is_said_to_be_unknown() -> None:
    run = {"checks": {"id": "x", "revision": "a" * 40, "finishedAt": "2026-11-30T00:00:00Z"}}
    desk = Desk()
    api = {"samples": [SAMPLE], "requestSchema": NUMBER}
    sides = await desk.contracts.sides(desk.sees("b" * 40, run, api=api, **PREVIOUS))
    assert sides
    result = await desk.contracts.result(sides)
    assert (result.name, result.outcome) == (NAME, CheckOutcome.INCONCLUSIVE)
    assert result.message == "the schemas of revision aaaaaaa are not known to the operator"


async def test_the_schemas_are_compared_in_a_process_of_its_own() -> None:
    sides = Sides("main", ApiSchemas('{"type":["number","null"]}'), ApiSchemas('{"type":"number"}'), "x")
    result = await Desk().contracts.result(sides)
    assert result.outcome is CheckOutcome.FAILED
    change = "breaks callers of main: requestSchema /type: no longer allows null"
    assert result.message == f"{change}; keep to its schemas, or agree on the change"


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        ({"breaks": [], "unclear": []}, CheckOutcome.PASSED, ""),
        ({"breaks": [], "unclear": ["x"]}, CheckOutcome.INCONCLUSIVE, "cannot be decided: x"),
        ({"breaks": list("abcdefg"), "unclear": ["x"]}, CheckOutcome.FAILED, "a, b, c, d, e, and 2 more"),
    ],
)
def test_a_break_is_a_failure_and_doubt_is_none(found: dict[str, list[str]], outcome: CheckOutcome, words: str) -> None:
    result = verdict("main", found)
    assert result.outcome is outcome
    assert words in result.message
