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
from eep_platform.sagemaker.endpoints import Endpoint
from eep_platform.sagemaker.errors import already_exists, could_not_find
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
        """The ARN of a resource of this name, whether it exists or not."""
        return self._account.arn("sagemaker", f"{self.kind}/{name.lower()}")

    def refuse_duplicate(self, name: str) -> None:
        """Raise the service's error if the name is taken; this read is always consistent."""
        if name.lower() in self._records:
            raise already_exists(self.noun, self.arn(name))

    def add(self, name: str, value: Value, tags: Mapping[str, str]) -> Record[Value]:
        """Store a new resource; raises the service's error for a duplicate."""
        self.refuse_duplicate(name)
        record = Record(name, self.arn(name), self._clock(), dict(tags), value)
        self._records[name.lower()] = record
        return record

    def get(self, name: str) -> Record[Value]:
        """The resource, if requests find it already; raises the service's "Could not find" otherwise."""
        record = self.find(name)
        if record is None or record.created > self._newest():
            raise could_not_find(self.noun, self.arn(name))
        return record

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
        newest = self._newest()
        return (record for record in self._records.values() if record.created <= newest)

    def _newest(self) -> datetime:
        """The creation time of the newest resource that requests other than its creation find."""
        return self._clock() - timedelta(seconds=self._settings.now.consistency_lag_seconds)

    def __iter__(self) -> Iterator[Record[Value]]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)


Body = dict[str, Any]


@dataclass(slots=True)
class Store:
    """All state of the service."""

    account: Account
    clock: Clock
    settings: HostingSettings
    models: Collection[Body] = field(init=False)
    configs: Collection[Body] = field(init=False)
    endpoints: Collection[Endpoint] = field(init=False)
    violations: list[RuleViolation] = field(default_factory=list)
    invocations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Invocations by the endpoint's ARN and the variant's name."""

    def __post_init__(self) -> None:
        shared = (self.account, self.clock, self.settings)
        self.models = Collection("model", "model", *shared)
        self.configs = Collection("endpoint-config", "endpoint configuration", *shared)
        self.endpoints = Collection("endpoint", "endpoint", *shared)

    def clear(self) -> None:
        """Delete everything except the settings."""
        for collection in (self.models, self.configs, self.endpoints):
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
