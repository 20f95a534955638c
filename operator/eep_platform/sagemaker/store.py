"""The resources of the service with their ARNs and tags, and the violations of its callers.

Everything is in memory and used from one event loop, so nothing locks.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from eep_platform.emulation.account import Account
from eep_platform.emulation.clock import Clock
from eep_platform.emulation.errors import ServiceError, validation_exception
from eep_platform.sagemaker.endpoints import Endpoint
from eep_platform.sagemaker.errors import already_exists, could_not_find, group_exists, registered_missing
from eep_platform.sagemaker.jobs.errors import name_taken
from eep_platform.sagemaker.jobs.states import Job
from eep_platform.sagemaker.pipelines.errors import pipeline_exists, pipeline_missing
from eep_platform.sagemaker.pipelines.pipeline import Pipeline
from eep_platform.sagemaker.registry.group import ModelPackageGroup
from eep_platform.sagemaker.settings import HostingSettings

Value = TypeVar("Value")


@dataclass(slots=True)
class Record(Generic[Value]):
    """One resource as stored."""

    name: str
    arn: str
    created: datetime
    tags: dict[str, str]
    value: Value


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A call that the documentation forbids and the API allows."""

    time: datetime
    rule: str
    resource: str
    detail: str


class Collection(Generic[Value]):
    """The resources of one kind. Names are case-insensitive, because ARNs are in lower case."""

    def __init__(self, kind: str, noun: str, account: Account, clock: Clock, settings: HostingSettings) -> None:
        self.kind = kind
        self.noun = noun
        self._account = account
        self._clock = clock
        self._settings = settings
        self._records: dict[str, Record[Value]] = {}

    def arn(self, name: str) -> str:
        """The ARN of a resource of this name, whether it exists or not; an ARN stays as it is."""
        if name.startswith("arn:"):
            return name
        return self._account.arn("sagemaker", f"{self.kind}/{name.lower()}")

    def refuse_duplicate(self, name: str) -> None:
        """Raise the service's error if the name is taken; this read is always consistent."""
        if name.lower() in self._records:
            raise self._taken(name)

    def add(self, name: str, value: Value, tags: Mapping[str, str]) -> Record[Value]:
        """Store a new resource; raises the service's error for a duplicate."""
        self.refuse_duplicate(name)
        record = Record(name, self.arn(name), self._clock(), dict(tags), value)
        self._records[name.lower()] = record
        return record

    def get(self, name: str) -> Record[Value]:
        """The resource, if requests find it already; raises the service's error otherwise."""
        record = self.find(name)
        if record is None or not self.is_settled(record.created):
            raise self._missing(name)
        return record

    def exactly(self, name: str) -> Record[Value]:
        """The resource whose name is written like that; raises as `get` does."""
        record = self.get(name)
        if record.name != name:
            raise self._missing(name)
        return record

    def named(self, name_or_arn: str) -> Record[Value]:
        """The resource of a name or an ARN; raises as `get` does, also for an ARN of another account or region."""
        if not name_or_arn.startswith("arn:"):
            return self.get(name_or_arn)
        name = name_or_arn.partition(f":{self.kind}/")[2]
        if self.arn(name) != name_or_arn.lower():
            raise self._missing(name_or_arn)
        return self.get(name)

    def find(self, name: str) -> Record[Value] | None:
        """The resource, however new; None if there is none."""
        return self._records.get(name.lower())

    def remove(self, name: str) -> None:
        """Delete a resource and free its name."""
        self._records.pop(name.lower(), None)

    def clear(self) -> None:
        """Delete all resources."""
        self._records.clear()

    def visible(self) -> Iterator[Record[Value]]:
        """The resources that list requests find."""
        return (record for record in self._records.values() if self.is_settled(record.created))

    def is_settled(self, change: datetime) -> bool:
        """Whether requests other than the one that made it find a change of this time."""
        return change <= self._clock() - timedelta(seconds=self._settings.now.consistency_lag_seconds)

    def _taken(self, name: str) -> ServiceError:
        return already_exists(self.noun, self.arn(name))

    def _missing(self, name: str) -> ServiceError:
        return could_not_find(self.noun, self.arn(name))

    def __iter__(self) -> Iterator[Record[Value]]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)


class TrainingJobs(Collection[Job]):
    """Training jobs, of which the service speaks in words of its own."""

    def _taken(self, name: str) -> ServiceError:
        return name_taken(self.noun, self.arn(name))

    def _missing(self, _: str) -> ServiceError:
        return validation_exception("Requested resource not found.")


class ProcessingJobs(Collection[Job]):
    """Processing and transform jobs, likewise."""

    def _taken(self, name: str) -> ServiceError:
        return name_taken(self.noun, self.arn(name))

    def _missing(self, name: str) -> ServiceError:
        return validation_exception(f"Could not find requested job with name: {name}")


Body = dict[str, Any]


class Groups(Collection[ModelPackageGroup]):
    """Groups of model packages, of which the service speaks in words of its own."""

    def _taken(self, name: str) -> ServiceError:
        return group_exists(self.arn(name))

    def _missing(self, name: str) -> ServiceError:
        return registered_missing(self.noun, self.arn(name))


class Packages(Collection[Body]):
    """The versions of groups, likewise. The name of one is `GROUP/VERSION`."""

    def _missing(self, name: str) -> ServiceError:
        return registered_missing(self.noun, self.arn(name))


class Pipelines(Collection[Pipeline]):
    """Pipelines, likewise."""

    def _taken(self, name: str) -> ServiceError:
        return pipeline_exists(name)

    def _missing(self, name: str) -> ServiceError:
        return pipeline_missing(self.arn(name))


@dataclass(slots=True)
class Store:
    """All state of the service."""

    account: Account
    clock: Clock
    settings: HostingSettings
    models: Collection[Body] = field(init=False)
    configs: Collection[Body] = field(init=False)
    endpoints: Collection[Endpoint] = field(init=False)
    groups: Groups = field(init=False)
    packages: Packages = field(init=False)
    pipelines: Pipelines = field(init=False)
    training_jobs: TrainingJobs = field(init=False)
    processing_jobs: ProcessingJobs = field(init=False)
    transform_jobs: ProcessingJobs = field(init=False)
    violations: list[RuleViolation] = field(default_factory=list)
    invocations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Invocations by the endpoint's ARN and the variant's name."""

    def __post_init__(self) -> None:
        shared = (self.account, self.clock, self.settings)
        self.models = Collection("model", "model", *shared)
        self.configs = Collection("endpoint-config", "endpoint configuration", *shared)
        self.endpoints = Collection("endpoint", "endpoint", *shared)
        self.training_jobs = TrainingJobs("training-job", "training job", *shared)
        self.processing_jobs = ProcessingJobs("processing-job", "processing job", *shared)
        self.transform_jobs = ProcessingJobs("transform-job", "transform job", *shared)
        self.groups = Groups("model-package-group", "ModelPackageGroup", *shared)
        self.packages = Packages("model-package", "ModelPackage", *shared)
        self.pipelines = Pipelines("pipeline", "pipeline", *shared)

    @property
    def collections(self) -> tuple[Collection[Any], ...]:
        """The resources of each kind that has tags."""
        jobs = (self.training_jobs, self.processing_jobs, self.transform_jobs)
        return self.models, self.configs, self.endpoints, *jobs, self.groups, self.pipelines

    def clear(self) -> None:
        """Delete everything except the settings."""
        for collection in (*self.collections, self.packages):
            collection.clear()
        self.violations.clear()
        self.invocations.clear()

    def remove_endpoint(self, record: Record[Endpoint]) -> None:
        """Delete an endpoint and its count of invocations."""
        self.endpoints.remove(record.name)
        for variant in record.value.shown.variants:
            del self.invocations[record.arn, variant.name]

    def note(self, rule: str, resource: str, detail: str) -> None:
        """Record a violation."""
        self.violations.append(RuleViolation(self.clock(), rule, resource, detail))
