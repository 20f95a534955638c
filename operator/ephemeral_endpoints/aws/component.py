"""What one kind of AWS resource is to the reconciler.

Adding a kind is adding one module with a ``Component`` and one line in ``aws.components``.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, TypeVar

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.core.names import prefix
from ephemeral_endpoints.core.resources import Have, Haves, Key, Kind, Spec, Want
from ephemeral_endpoints.core.tags import Tags

S = TypeVar("S")

_PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
"""Partitions by what the names of their regions begin with."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where the operator works: its cluster id, and the account and region of a class."""

    cluster_id: str
    account_id: str
    region: str

    @property
    def prefix(self) -> str:
        """What the names of all our things begin with."""
        return prefix(self.cluster_id)

    @property
    def partition(self) -> str:
        """What ARNs there begin with, after ``arn:``.

        Rule: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
        """
        return next((name for start, name in _PARTITIONS.items() if self.region.startswith(start)), "aws")


class Component(Protocol):
    """The contract that every kind keeps.

    All methods raise errors of the ``AwsError`` tree and wait for AWS's answer only, never for a state.
    """

    kind: ClassVar[Kind]
    actions: ClassVar[frozenset[str]]
    """The IAM actions that the component's calls need."""

    async def observe(self, calls: Calls, known: Haves) -> list[Have]:
        """All resources of the kind that carry our prefix, by paginated lists.

        Describes only what changed against ``known``. Never mutates.
        """
        ...

    async def look(self, calls: Calls, key: Key, known: Haves) -> Have | None:
        """The one resource as it is right now, None if it does not exist. Never mutates."""
        ...

    async def tags(self, calls: Calls, have: Have) -> Mapping[str, str] | None:
        """The resource's tags; None for kinds that AWS cannot tag."""
        ...

    async def mark(self, calls: Calls, have: Have, marks: Tags) -> None:
        """Add tags to the resource, or change the values of those that it has; nothing for kinds that AWS cannot tag.

        Idempotent.
        """
        ...

    async def apply(self, calls: Calls, want: Want, have: Have | None, known: Haves) -> Have:
        """Create the resource (``have`` None) or bring it one call nearer to ``want``.

        Returns what is known to be there afterwards.

        Idempotent: a repeated creation raises AlreadyExists or changes nothing.
        """
        ...

    async def delete(self, calls: Calls, have: Have, known: Haves) -> Have | None:
        """Trigger the deletion; None if the resource is gone, else what is left of it.

        Deleting what is not there succeeds.
        """
        ...


def expect(want: Want, kind: type[S]) -> S:
    """The want's specification, known to be of the component's own type."""
    if not isinstance(want.spec, kind):
        raise TypeError(f"{want.key} carries a {type(want.spec).__name__}, not a {kind.__name__}")
    return want.spec


def expect_spec(spec: Spec | None, kind: type[S]) -> S | None:
    """An observed specification of the component's own type, None if it is not known."""
    return spec if isinstance(spec, kind) else None


def tag_list(tags: Tags) -> list[Any]:
    """Tags as a list of Key and Value, as SageMaker and CloudWatch take them."""
    return [{"Key": key, "Value": value} for key, value in tags]


def tag_map(tags: list[Any]) -> dict[str, str]:
    """The reverse of ``tag_list``."""
    return {tag["Key"]: tag["Value"] for tag in tags}


async def pages(
    calls: Calls,
    method: Callable[..., Any],
    *,
    asks: str = "NextToken",
    answers: str | None = None,
    **arguments: Any,
) -> AsyncIterator[Any]:
    """The answers of a paginated operation; ``asks`` and ``answers`` name the paging members of request and answer."""
    more: dict[str, str] = {}
    while True:
        answer = await calls(method, **arguments, **more)
        yield answer
        following = answer.get(answers or asks)
        if not following:
            return
        more = {asks: following}
