"""Rows of measurements with the label of each, as CSV files with a header."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

LABEL = "label"
"""The column with the class of a row; all others are measurements."""

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Table:
    """Measurements and labels.

    Attributes:
        columns: names of the measurements.
        features: shape (n, len(columns)), all finite.
        labels: shape (n,).
        dropped: rows of the files that are not here, for a cell of theirs is empty.
    """

    columns: tuple[str, ...]
    features: Array
    labels: Labels
    dropped: int = 0

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.intp]) -> Self:
        """Returns the rows of these numbers, in their order."""
        return type(self)(self.columns, self.features[rows], self.labels[rows])

    def write(self, folder: Path, name: str) -> None:
        """Writes `<name>.csv` into the folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow((*self.columns, LABEL))
            rows = zip(self.features.tolist(), self.labels.tolist(), strict=True)
            writer.writerows([*features, label] for features, label in rows)


def read(folder: Path) -> Table:
    """Reads all CSV files below the folder, in the order of their paths.

    Raises:
        ValueError: there is no row, the files have different columns, or a cell is no finite number.
    """
    files = sorted(folder.rglob("*.csv"))
    if not files:
        raise ValueError(f"{folder} has no CSV file; does the data's prefix in S3 have one, and end with a slash?")
    header: list[str] = []
    rows: list[list[float]] = []
    labels: list[str] = []
    dropped = 0
    for path in files:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            found = next(reader, [])
            header = header or _checked(path, found)
            if found != header:
                raise ValueError(f"{path.name} has other columns than {files[0].name}")
            position = header.index(LABEL)
            for cells in filter(None, reader):
                if len(cells) == len(header) and not all(cells):
                    dropped += 1
                    continue
                rows.append(_numbers(path, reader.line_num, header, cells))
                labels.append(cells[position])
    if not rows:
        raise ValueError(f"the CSV files in {folder} have no row without an empty cell")
    columns = tuple(name for name in header if name != LABEL)
    return Table(columns, np.array(rows, dtype=np.float64), np.array(labels), dropped)


def _checked(path: Path, header: list[str]) -> list[str]:
    if header.count(LABEL) != 1 or len(header) < 2 or len(set(header)) != len(header):  # noqa: PLR2004 (a label and a measurement)
        raise ValueError(
            f"{path.name} has the columns {', '.join(header) or '(none)'}; its first line must name each column once, "
            f"one of them {LABEL!r} and the others measurements"
        )
    return header


def _numbers(path: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> list[float]:
    if len(cells) != len(header):
        raise ValueError(f"{path.name}, line {line}: there are {len(cells)} cells for {len(header)} columns")
    numbers = []
    for name, cell in zip(header, cells, strict=True):
        if name != LABEL:
            number = _number(cell)
            if not math.isfinite(number):
                raise ValueError(f"{path.name}, line {line}: {name} is {cell[:40]!r}; it must be a finite number")
            numbers.append(number)
    return numbers


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
