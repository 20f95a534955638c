from pathlib import Path

import numpy as np
import pytest
from model.datasets import NAMES, load
from model.preprocess import Split, preprocess
from model.tables import Table, read


@pytest.mark.parametrize("name", NAMES)
def test_no_row_is_in_two_parts_and_none_is_lost(name: str) -> None:
    table = load(name)
    split = Split.of(table)
    parts = [{tuple(row) for row in part.features.tolist()} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len({tuple(row) for row in table.features.tolist()})
    assert len(split.train) > len(split.test) > len(split.validation)


def test_every_part_has_every_label_as_often_as_the_whole() -> None:
    table = load("breast_cancer")
    split = Split.of(table)
    shares = [(part.labels == "benign").mean() for part in (table, split.train, split.validation, split.test)]
    assert max(shares) - min(shares) < 0.01


def test_the_same_seed_parts_alike() -> None:
    first, again, other = (Split.of(load("wine"), seed) for seed in (7, 7, 8))
    assert np.array_equal(first.test.features, again.test.features)
    assert not np.array_equal(first.test.features, other.test.features)


def test_of_equal_rows_the_first_counts(tmp_path: Path) -> None:
    rows = [f"{number % 40},{'xy'[number % 2]}" for number in range(80)]
    (tmp_path / "rows.csv").write_text("\n".join(["length,label", *rows, "7,"]))
    counts = preprocess(tmp_path, tmp_path / "parts", seed=7)
    assert (counts["repeatedRows"], counts["incompleteRows"]) == (40, 1)
    assert sum(len(read(tmp_path / "parts" / part)) for part in ("train", "validation", "test")) == 40


def test_a_label_with_too_few_rows_for_the_parts_is_refused() -> None:
    table = Table(("length",), np.arange(9.0).reshape(-1, 1), np.array(["x"] * 8 + ["y"]))
    with pytest.raises(ValueError, match="least populated class"):
        Split.of(table)
