"""What the service remembers: named resources with ARNs and tags, and the mistakes it saw callers make.

All of it is in memory and used from one event loop, so nothing here locks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from ephemeral_endpoints.local.sagemaker.endpoints import Endpoint
from ephemeral_endpoints.local.sagemaker.errors import already_exists, could_not_find
from ephemeral_endpoints.local.sagemaker.settings import SettingsHolder

Clock = Callable[[], datetime]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose resources these are."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The ARN partition of the region."""
        return "aws-cn" if self.region.startswith("cn-") else "aws"

    def arn(self, resource: str, service: str = "sagemaker") -> str:
        """The ARN of a resource of this account and region."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(slots=True)
class Record(Generic[Value]):
    """One resource as stored; `visible_from` is when requests other than its creation begin to find it."""

    name: str
    arn: str
    created: datetime
    visible_from: datetime
    tags: dict[str, str]
    value: Value


@dataclass(frozen=True, slots=True)
class Violation:
    """A call that the documentation forbids and the API lets pass, with what it broke."""

    time: datetime
    rule: str
    resource: str
    detail: str


class Collection(Generic[Value]):
    """The resources of one kind. Names are unique without regard to case, as their ARNs are in lower case."""

    def __init__(self, kind: str, noun: str, account: Account, clock: Clock, settings: SettingsHolder) -> None:
        self.kind = kind
        self.noun = noun
        self._account = account
        self._clock = clock
        self._settings = settings
        self._records: dict[str, Record[Value]] = {}

    def arn(self, name: str) -> str:
        """The ARN that a resource of this name has or would have."""
        return self._account.arn(f"{self.kind}/{name.lower()}")

    def refuse_duplicate(self, name: str) -> None:
        """Raise the service's refusal if the name is taken; this read is always consistent."""
        if name.lower() in self._records:
            raise already_exists(self.noun, self.arn(name))

    def add(self, name: str, value: Value, tags: Mapping[str, str]) -> Record[Value]:
        """Store a new resource; raises the service's refusal of a duplicate."""
        self.refuse_duplicate(name)
        now = self._clock()
        lag = timedelta(seconds=self._settings.now.consistency_lag_seconds)
        record = Record(name, self.arn(name), now, now + lag, dict(tags), value)
        self._records[name.lower()] = record
        return record

    def get(self, name: str) -> Record[Value]:
        """The resource as a request finds it; raises the service's "Could not find"."""
        record = self.find(name)
        if record is None or record.visible_from > self._clock():
            raise could_not_find(self.noun, self.arn(name))
        return record

    def find(self, name: str) -> Record[Value] | None:
        """The resource as the service itself knows it, however new."""
        return self._records.get(name.lower())

    def remove(self, name: str) -> None:
        """Forget a resource; its name is free again."""
        self._records.pop(name.lower(), None)

    def clear(self) -> None:
        """Forget all resources."""
        self._records.clear()

    def visible(self) -> Iterator[Record[Value]]:
        """The resources as a list request finds them."""
        now = self._clock()
        return (record for record in self._records.values() if record.visible_from <= now)

    def __iter__(self) -> Iterator[Record[Value]]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)


Body = dict[str, Any]


@dataclass(slots=True)
class Store:
    """Everything that the service remembers."""

    account: Account
    clock: Clock
    settings: SettingsHolder
    models: Collection[Body] = field(init=False)
    configs: Collection[Body] = field(init=False)
    endpoints: Collection[Endpoint] = field(init=False)
    violations: list[Violation] = field(default_factory=list)
    invocations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each variant was invoked, by the endpoint's ARN and the variant's name."""

    def __post_init__(self) -> None:
        shared = (self.account, self.clock, self.settings)
        self.models = Collection("model", "model", *shared)
        self.configs = Collection("endpoint-config", "endpoint configuration", *shared)
        self.endpoints = Collection("endpoint", "endpoint", *shared)

    def clear(self) -> None:
        """Forget everything but the settings."""
        for collection in (self.models, self.configs, self.endpoints):
            collection.clear()
        self.violations.clear()
        self.invocations.clear()

    def remove_endpoint(self, record: Record[Endpoint]) -> None:
        """Forget an endpoint and how often it was invoked."""
        self.endpoints.remove(record.name)
        for variant in record.value.shown.variants:
            del self.invocations[record.arn, variant.name]

    def note(self, rule: str, resource: str, detail: str) -> None:
        """Record a violation."""
        self.violations.append(Violation(self.clock(), rule, resource, detail))
