"""Data to train with: `python -m model.datasets NAME DIR` writes a data set that scikit-learn contains as NAME.csv."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from model.tables import Table

NAMES: Final[Mapping[str, Callable[[], Any]]] = {
    "wine": load_wine,
    "breast_cancer": load_breast_cancer,
    "digits": load_digits,
}
"""178 rows of 13 measurements in three classes, 569 of 30 in two, and 1797 of 64 in ten."""


def load(name: str) -> Table:
    """Returns one of `NAMES`."""
    found = NAMES[name]()
    columns = tuple(column.replace(" ", "_") for column in found.feature_names)
    return Table(columns, found.data, np.array([str(each) for each in found.target_names])[found.target])


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the file."""
    parser = argparse.ArgumentParser(prog="python -m model.datasets", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args(argv)
    table = load(arguments.name)
    table.write(arguments.folder, arguments.name)
    sys.stdout.write(f"{arguments.folder / arguments.name}.csv: {len(table)} rows\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
