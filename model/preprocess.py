"""Parts the data: `python -m model preprocess`, in a SageMaker processing job or on a laptop.

Reads the CSV files of `--input`; writes `train/train.csv`, `validation/validation.csv` and `test/test.csv`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from sklearn.model_selection import train_test_split

from model import jobs, paths, tables
from model.tables import Table

_SEED = 7
_VALIDATION, _TEST = 0.15, 0.25


@dataclass(frozen=True, slots=True)
class Split:
    """A table in three parts without a common row."""

    train: Table
    validation: Table
    test: Table

    @classmethod
    def of(cls, table: Table, seed: int = _SEED) -> Self:
        """Parts the table the same way for the same seed, stratified by label; of equal rows only the first counts.

        Raises:
            ValueError: a label has too few rows.
        """
        table = table.take(_first_of_equals(table))
        rest, test = _apart(np.arange(len(table)), table, _TEST, seed)
        train, validation = _apart(rest, table, _VALIDATION / (1 - _TEST), seed)
        return cls(table.take(train), table.take(validation), table.take(test))


def _apart(rows: np.ndarray, table: Table, share: float, seed: int) -> list[np.ndarray]:
    parts: list[np.ndarray] = train_test_split(rows, test_size=share, random_state=seed, stratify=table.labels[rows])
    return parts


def _first_of_equals(table: Table) -> np.ndarray:
    # A row that is both trained on and tested would make the model look better than it is.
    _, first = np.unique(table.features, axis=0, return_index=True)
    return np.sort(first)


def preprocess(source: Path, output: Path, seed: int) -> dict[str, object]:
    """Parts the files of `source` into folders of `output`; returns how many rows are where."""
    table = tables.read(source)
    split = Split.of(table, seed)
    parts = {paths.TRAIN: split.train, paths.VALIDATION: split.validation, paths.TEST: split.test}
    for name, part in parts.items():
        part.write(output / name, name)
    return {
        **{f"{name}Rows": len(part) for name, part in parts.items()},
        "incompleteRows": table.dropped,
        "repeatedRows": len(table) - sum(map(len, parts.values())),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Parts the data and prints the numbers of rows; 1 with the reason if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m model preprocess", description=__doc__)
    parser.add_argument("--input", type=Path, default=paths.processing_dir("input"), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=paths.processing_dir(""), help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=_SEED, help="of the parts (default: %(default)s)")
    arguments = parser.parse_args(argv)
    return jobs.run(lambda: preprocess(arguments.input, arguments.output, arguments.seed), paths.message_file())


if __name__ == "__main__":
    raise SystemExit(main())
