"""Lists that are kept compressed read as the models that were given, whatever form they were given in."""

from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from pydantic import ValidationError

from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.checks import Check, ExpectedValue
from ephemeral_endpoints.api.v1alpha1.packed import Packed, PackedList


class _Item(ApiModel):
    long_name: str
    share: float | None = None


class _Holder(ApiModel):
    items: Annotated[Sequence[_Item], Packed()] = ()


WIRE: list[dict[str, Any]] = [{"longName": "a", "share": 1}, {"longName": "b"}]
MODELS = (_Item(long_name="a", share=1.0), _Item(long_name="b"))


def test_wire_and_models_are_kept_alike() -> None:
    read, made = _Holder.model_validate({"items": WIRE}), _Holder(items=MODELS)
    assert isinstance(read.items, PackedList)
    assert read == made
    assert hash(read.items) == hash(MODELS)
    assert list(read.items) == list(MODELS)
    assert (read.items[1], read.items[:1], len(read.items)) == (MODELS[1], MODELS[:1], 2)
    assert made.to_wire() == {"items": WIRE}


def test_another_item_makes_another_list() -> None:
    assert _Holder(items=MODELS) != _Holder(items=MODELS[:1])
    assert _Holder(items=MODELS).items != ()


def test_no_items_take_no_memory() -> None:
    assert _Holder(items=()).items == ()
    assert not isinstance(_Holder.model_validate({"items": []}).items, PackedList)


def test_items_are_validated_when_they_are_given() -> None:
    with pytest.raises(ValidationError, match=r"items\.1\.longName"):
        _Holder.model_validate({"items": [WIRE[0], {}]})


def test_a_null_that_is_a_value_survives() -> None:
    expected = {"pointer": "/error", "equals": None}
    read = _Checks.model_validate({"items": [{"name": "a", "sample": "s", "expect": {"values": [expected]}}]})
    again = _Checks(items=tuple(read.items))
    assert read.items[0].expect.values == again.items[0].expect.values == (ExpectedValue.model_validate(expected),)
    assert again.items[0].expect.values[0].has_equals


class _Checks(ApiModel):
    items: Annotated[Sequence[Check], Packed()] = ()


def test_a_list_takes_less_memory_than_its_text() -> None:
    wire = [{"longName": f"check {number}", "share": 0.5} for number in range(50)]
    items = _Holder.model_validate({"items": wire}).items
    assert isinstance(items, PackedList)
    assert len(items.data) < len(str(wire)) / 4
