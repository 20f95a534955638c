"""Metrics that a training job prints: MetricDefinitions find them in its output.

Source: "Define Metrics" in the SageMaker developer guide, and `MetricDefinition` in the API reference.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from eep_platform.emulation.errors import validation_exception

NAMESPACE: Final = "/aws/sagemaker/TrainingJobs"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A metric: the first group of the pattern is its value."""

    name: str
    pattern: re.Pattern[str]

    @classmethod
    def of(cls, definition: Mapping[str, Any]) -> Self:
        """The definition in a request; raises `ValidationException` for a pattern without a group."""
        try:
            pattern = re.compile(definition["Regex"])
        except re.error as error:
            raise validation_exception(f"Invalid regular expression {definition['Regex']!r}: {error}.") from error
        if not pattern.groups:
            raise validation_exception(f"The regular expression {definition['Regex']!r} has no group for the value.")
        return cls(definition["Name"], pattern)


def values(definitions: Sequence[MetricDefinition], line: str) -> Iterator[tuple[str, float]]:
    """The metrics that a line of output has, with their values; what is no finite number has none."""
    for definition in definitions:
        found = definition.pattern.search(line)
        number = _number(found[1]) if found else None
        if number is not None:
            yield definition.name, number


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


@dataclass(frozen=True, slots=True)
class Printed:
    """A value that a job printed."""

    job_name: str
    metric: str
    value: float

    def dimensions(self) -> Iterator[dict[str, str]]:
        """The job."""
        yield {"TrainingJobName": self.job_name}

    def samples(self) -> Iterator[tuple[str, str, float]]:
        """The value."""
        yield self.metric, "None", self.value
