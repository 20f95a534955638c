"""The page says of every kind that a feature makes who deletes what is left of it."""

import re
from pathlib import Path

from tests.fixtures.platform import Aws

from eep_platform.aws.contents import by_kind
from ephemeral_endpoints.controllers.orphans import image_sweep, package_sweep, runaway_sweep, training_leftover_sweep
from ephemeral_endpoints.features.expiry.reaper.kinds import ITS_OWN, OF_CLASSES, OF_OBJECTS, UNTAGGED, WITH_ANOTHER
from ephemeral_endpoints.features.packages.specs import PACKAGE_GROUP
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.training.specs import PIPELINE

PAGE = Path(__file__).parents[3] / "docs" / "leftovers.md"
WITH_OTHERS = {"ScalingPolicy": "ScalableTarget", "ScheduledAction": "ScalableTarget"}
"""Kinds that AWS deletes with another one, and that are none of ours."""


def table() -> dict[str, list[str]]:
    """Of each kind on the page whether the operator, ``eep sweep`` and the reaper delete it."""
    text = PAGE.read_text(encoding="utf-8").partition("## Kinds")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return {kind: cells for names, *cells in rows[2:] for kind in re.findall(r"`(\w+)`", names)}


def those(column: int) -> set[str]:
    return {kind for kind, cells in table().items() if not cells[column].startswith("no")}


def test_the_page_has_every_kind_that_there_can_be(fresh_aws: Aws) -> None:
    assert table().keys() == by_kind(fresh_aws.client).keys() - WITH_OTHERS.keys()
    assert {kind.name for kind in KINDS} <= table().keys()


def test_the_operator_and_eep_sweep_know_what_every_feature_makes() -> None:
    modules = (image_sweep, package_sweep, runaway_sweep, training_leftover_sweep)
    assert len(modules) == len(list(Path(image_sweep.__file__).parent.glob("*_sweep.py"))), "another sweep"
    kinds = {kind.name for kind in KINDS}
    trained = {PIPELINE.name, PACKAGE_GROUP.name}
    assert those(0) >= kinds | trained | {"ModelPackage"}
    assert those(1) == kinds | trained


def test_the_reaper_knows_what_the_page_says() -> None:
    reaped = {each.name for each in (*OF_OBJECTS, *OF_CLASSES)} | {*UNTAGGED, *WITH_ANOTHER}
    assert those(2) == reaped
    assert {kind for kind, cells in table().items() if "the reaper's own" in cells[2]} == set(ITS_OWN)
