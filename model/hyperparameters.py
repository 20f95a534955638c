"""What can be tuned in training, and how SageMaker hands it over."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """Validated hyperparameters.

    Attributes:
        inverse_regularization: logistic regression's C, greater than 0; smaller regularizes more.
        max_iterations: upper bound of solver iterations, at least 1.
        seed: makes the solver, and the parts of a data set, repeatable, at least 0.

    Raises:
        ValueError: a value is out of its range.
    """

    inverse_regularization: float = 1.0
    max_iterations: int = 1000
    seed: int = 7

    def __post_init__(self) -> None:
        ranges = {
            "inverse_regularization": (0 < self.inverse_regularization < float("inf"), "greater than 0 and finite"),
            "max_iterations": (self.max_iterations >= 1, "at least 1"),
            "seed": (0 <= self.seed < 2**32, "within 0..2^32-1"),
        }
        for name, (fits, rule) in ranges.items():
            if not fits:
                raise ValueError(f"hyperparameter {name} is {getattr(self, name)!r}; it must be {rule}")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads SageMaker's hyperparameters.json; a missing file means the defaults.

        SageMaker writes one flat object whose values are all strings, in /opt/ml/input/config
        (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html).

        Raises:
            ValueError: the file is no JSON object, names an unknown hyperparameter or holds an unfit value.
        """
        if not path.exists():
            return cls()
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            what = type(document).__name__
            raise ValueError(f"{path} must hold a JSON object, not a {what}")  # noqa: TRY004 (of a file, not a caller)
        return cls().override(document)

    def override(self, values: Mapping[str, object]) -> Self:
        """Returns a copy with `values`, given as SageMaker does as strings (or as numbers), in place of its own.

        Raises:
            ValueError: a name is unknown or a value unfit.
        """
        types = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        if unknown := sorted(values.keys() - types.keys()):
            raise ValueError(f"unknown hyperparameters {unknown}; there are {sorted(types)}")
        numbers: dict[str, Any] = {name: _number(name, types[name], value) for name, value in values.items()}
        return replace(self, **numbers)


def _number(name: str, kind: type[int | float], value: object) -> int | float:
    try:
        return kind(str(value))
    except ValueError as error:
        raise ValueError(f"hyperparameter {name} is {value!r}; it must be of type {kind.__name__}") from error
