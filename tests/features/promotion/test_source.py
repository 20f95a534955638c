"""What the source of a stage offers, whatever people write and whatever the registry has become."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.api import APPROVED_VERSION_ANNOTATION
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.features.promotion.source import approved_by_hand, offer_of_group, offer_of_stage
from ephemeral_endpoints.features.promotion.versions import Version

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
V1, V2, V3 = (Version("wine", number) for number in range(1, 4))
OTHER = Version("beer", 3)
OK, PENDING, REJECTED = Approval.APPROVED, Approval.PENDING, Approval.REJECTED


def stage(source: Mapping[str, Any], mode: str = "Auto", by_hand: str = "", **status: Any) -> ModelStage:  # noqa: ANN401 - a status
    spec = {"className": "default", "repository": "acme/wine", "source": source, "promotion": mode}
    annotations = {APPROVED_VERSION_ANNOTATION: by_hand} if by_hand else {}
    metadata = {"name": "s", "namespace": "nlp", "uid": "u", "annotations": annotations}
    given_ = {"metadata": metadata, "spec": {**spec, "template": {"spec": {}}}, "status": status}
    return ModelStage.model_validate(given_)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wine/7", Version("wine", 7)),
        ("a/wine/7", Version("a/wine", 7)),
        ("", None),
        ("7", None),
        ("/7", None),
        ("wine/", None),
        ("wine/-7", None),
        ("wine/7 ", None),
        ("wine/seven", None),
        ("wine/\u0667", None),
        ("wine/\u00b2", None),
        ("wine/" + "9" * 5000, None),
    ],
)
def test_an_approval_names_a_version_or_counts_for_nothing(text: str, expected: Version | None) -> None:
    assert approved_by_hand(stage({"group": "wine"}, by_hand=text)) == expected


@given(st.text())
def test_whatever_an_annotation_holds_is_a_version_or_nothing(text: str) -> None:
    found = approved_by_hand(stage({"group": "wine"}, by_hand=text))
    assert found is None or text == f"{found.group}/{text.rpartition('/')[2]}"


@dataclass(frozen=True)
class Group:
    reason: str
    registry: Mapping[Version, Approval] | None
    approved: set[Version] = field(default_factory=set)
    newest: Version | None = None
    mode: str = "Auto"
    by_hand: str = ""

    def __str__(self) -> str:
        return self.reason


@pytest.mark.parametrize(
    "case",
    [
        Group("the approved ones", {V1: OK, V2: OK, V3: PENDING}, {V1, V2}, V2),
        Group("by hand too", {V1: OK, V2: PENDING}, {V1, V2}, V2, mode="Manual", by_hand="wine/2"),
        Group("by hand wherever it goes on by itself", {V1: OK, V2: PENDING}, {V1, V2}, V2, by_hand="wine/2"),
        Group("approved by hand and rejected in the registry", {V1: OK, V2: REJECTED}, {V1}, V1, by_hand="wine/2"),
        Group("approved by hand and gone", {V1: OK}, {V1}, V1, by_hand="wine/2"),
        Group("a version of another group is not the stage's", {V1: OK, OTHER: OK}, {V1}, V1, by_hand="beer/3"),
        Group("what waits for a person is a candidate", {V1: OK, V3: PENDING}, {V1}, V3, mode="Manual"),
        Group("all rejected", {V1: REJECTED}),
        Group("the group is gone", {}, by_hand="wine/1"),
        Group("the registry cannot be read: nothing is approved", None, by_hand="wine/1"),
    ],
    ids=str,
)
def test_a_group_offers_what_is_approved_and_still_there(case: Group) -> None:
    offer = offer_of_group(stage({"group": "wine"}, case.mode, case.by_hand), case.registry)
    assert (set(offer.approved), offer.newest) == (case.approved, case.newest)
    assert offer.registry is case.registry


def served(version: Version, ago: float, number: int, outcome: str = "Succeeded") -> dict[str, Any]:
    began, ended = NOW - timedelta(hours=ago), NOW - timedelta(hours=ago - 0.1)
    return {
        "promotion": f"p{number}",
        "version": str(version),
        "kind": "Promotion",
        "outcome": outcome,
        "startedAt": began.isoformat(),
        "finishedAt": ended.isoformat(),
        "number": number,
    }


STAGING = stage(
    {"group": "wine"},
    current={"version": "wine/2", "since": (NOW - timedelta(hours=1)).isoformat(), "promotion": "p2"},
    history=[served(V2, 1, 2), served(V1, 10, 1)],
)


@dataclass(frozen=True)
class From:
    reason: str
    approved: set[Version]
    newest: Version | None
    mode: str = "Auto"
    by_hand: str = ""
    hours: int = 2
    registry: Mapping[Version, Approval] | None = field(default_factory=lambda: {V1: OK, V2: OK, V3: OK})
    source: ModelStage | None = STAGING

    def __str__(self) -> str:
        return self.reason


@pytest.mark.parametrize(
    "case",
    [
        From("what served long enough; the newest soaks", {V1}, V2),
        From("both served long enough", {V1, V2}, V2, hours=0),
        From("a person has to name it", set(), V2, mode="Manual"),
        From("a person has named it", {V1}, V2, mode="Manual", by_hand="wine/1"),
        From("an approval does not shorten the time", set(), V2, mode="Manual", by_hand="wine/2"),
        From("nor does it skip the stage before", set(), V2, mode="Manual", by_hand="wine/3"),
        From("rejected since", {V1}, V1, registry={V1: OK, V2: REJECTED}),
        From("the stage before is gone", set(), None, source=None),
        From("the stage before has served nothing", set(), None, source=stage({"group": "wine"})),
        From(
            "the stage before took it back",
            {V1},
            V1,
            source=stage({"group": "wine"}, history=[served(V2, 1, 2, "RolledBack"), served(V1, 10, 1)]),
        ),
    ],
    ids=str,
)
def test_a_stage_offers_what_it_served_for_long_enough(case: From) -> None:
    source = {"from": {"stage": "staging", **({"verifiedFor": f"{case.hours}h"} if case.hours else {})}}
    offer = offer_of_stage(stage(source, case.mode, case.by_hand), case.source, case.registry, NOW)
    assert (set(offer.approved), offer.newest) == (case.approved, case.newest)
