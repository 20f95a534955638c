"""Of parts that are given alike there is one copy, and none once the last object with it is gone."""

import gc
from typing import Annotated, Any

import pytest

from ephemeral_endpoints.api.v1alpha1 import shared
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.checks import Checks, ExpectedValue
from ephemeral_endpoints.api.v1alpha1.shared import Shared


class _Holder(ApiModel):
    part: Annotated[ExpectedValue, Shared()] | None = None
    checks: Annotated[Checks, Shared()] = ()


def part(**given: object) -> dict[str, Any]:
    return {"part": {"pointer": "/score", **given}}


def checks(sample: str) -> dict[str, Any]:
    return {"checks": [{"name": "a", "sample": sample, "expect": {"status": 200}}]}


@pytest.mark.parametrize(
    ("one", "other", "is_shared", "reason"),
    [
        (part(min=1), part(min=1), True, "the same is given"),
        (part(equals={"a": [1]}), part(equals={"a": [1]}), True, "it may be any JSON, which has no hash"),
        (part(min=1), part(min=2), False, "another value"),
        (part(equals=1), part(equals=True), False, "Python calls them equal, JSON does not"),
        (part(equals=0), part(equals=0.0), False, "likewise"),
        (part(min=1), part(min=1, equals=None), False, "a null that is given is a value"),
        (checks("s"), checks("s"), True, "lists that are kept compressed too"),
        (checks("s"), checks("t"), False, "another list"),
    ],
)
def test_what_is_shared(one: dict[str, Any], other: dict[str, Any], is_shared: bool, reason: str) -> None:  # noqa: FBT001 - a table's column
    (name,) = one
    first, second = (getattr(_Holder.model_validate(each), name) for each in (one, other))
    assert (first is second) is is_shared, reason
    assert _Holder.model_validate(other).to_wire() == _Holder(**{name: second}).to_wire()


def test_an_absent_part_stays_absent() -> None:
    assert _Holder.model_validate({"part": None, "checks": []}).to_wire() == {"checks": []}


def test_a_part_goes_with_the_last_object_that_has_it() -> None:
    def count() -> int:
        gc.collect()
        return len(shared._KNOWN)  # noqa: SLF001 - nothing else shows it

    before = count()
    holders = [_Holder.model_validate(part(equals="a part of no other test")) for _ in range(2)]
    assert count() == before + 1
    holders.clear()
    assert count() == before
