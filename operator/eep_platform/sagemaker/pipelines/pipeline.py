"""A pipeline with its versions and executions, as stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eep_platform.sagemaker.pipelines.caching import Cache
from eep_platform.sagemaker.pipelines.definition import Definition
from eep_platform.sagemaker.pipelines.execution import Execution


@dataclass(slots=True)
class Version:
    """One definition of a pipeline; `last_execution` is the ARN of the latest that ran it."""

    number: int
    definition: Definition
    created: datetime
    last_execution: str | None = None


@dataclass(slots=True)
class Pipeline:
    """A pipeline. `tokens` are the ARNs of executions by the client tokens that started them."""

    display_name: str
    description: str | None
    role_arn: str
    parallelism: Mapping[str, Any] | None
    modified: datetime
    token: str
    versions: list[Version]
    executions: dict[str, Execution] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    cache: Cache = field(default_factory=Cache)

    @property
    def last_run(self) -> datetime | None:
        """When an execution was started last."""
        return max((each.created for each in self.executions.values()), default=None)
