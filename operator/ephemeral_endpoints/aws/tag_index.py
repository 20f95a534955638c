"""The tags of many resources by one call, from the index that the Resource Groups Tagging API searches.

The services limit the calls that read tags one by one (CloudWatch Logs to five a second), which after a restart would
bound a burst of deletions to half of what they allow otherwise.

The index follows the services with a delay that AWS does not document, and at times shows what is gone already:
"tagged or previously tagged resources" (https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html).
Therefore it can prove that a resource is an object's, and nothing else:

- The owner tags on a resource with the object's name are accepted. Only this operator gives the two together: the name
  contains the hash of the UID that the tag must have. If they were removed since, they were there shortly before; the
  operator trusts its memory of what it created or verified itself for longer than that.
- No tags, other tags and no answer prove nothing: the resource's own service is asked, and decides.
- Where a wrong yes is likely or final, the service alone is asked: for a name that is taken already, possibly by what
  replaced a deleted resource, and for orphans, which nobody asks for any more.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from ephemeral_endpoints.aws.batches import Batches, Fill
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import tag_map
from ephemeral_endpoints.engine.errors import AwsError, Transient
from ephemeral_endpoints.iam.statement import Statement

if TYPE_CHECKING:
    from types_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient

logger = logging.getLogger(__name__)

STATEMENTS: Final = (
    Statement(
        "ReadTagIndex",
        ("tag:GetResources",),
        ("*",),
        "The owner tags of up to a hundred resources a call. The action knows no resources and no conditions; without "
        "it the operator reads tags one by one, which bounds bursts of deletions.",
    ),
)

MOST: Final = 100
"""ARNs a call; a call with ARNs has no pages (see the reference above)."""

PAUSE_SECONDS: Final = 30.0
"""After a call that failed, doubled by every further failure: each may take a timeout, for which deletions wait."""

LONGEST_PAUSE_SECONDS: Final = 300.0
"""The longest pause, and that after a refusal, in most cases by policies that do not allow the call yet."""


class TagIndex:
    """The index of one account and region."""

    def __init__(self, client: "ResourceGroupsTaggingAPIClient", clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._asked: Batches[str, Mapping[str, str] | None] = Batches(self._ask, most=MOST)
        self._resumes_at = float("-inf")
        self._pause_seconds = 0.0

    async def tags(self, calls: Calls, arns: Collection[str]) -> dict[str, Mapping[str, str]]:
        """The tags that the index shows for these resources, which may be old; without those that it does not know.

        Empty while the index cannot be read. Raises nothing.
        """
        found = await asyncio.gather(*(self._asked.ask(calls, arn) for arn in arns))
        return {arn: tags for arn, tags in zip(arns, found, strict=True) if tags is not None}

    async def _ask(self, calls: Calls, fill: Fill[str]) -> dict[str, Mapping[str, str] | None]:
        if self._clock() < self._resumes_at:
            return dict.fromkeys(fill())
        asked: list[str] = []

        def arguments() -> dict[str, Any]:
            asked[:] = fill()
            return {"ResourceARNList": asked}

        try:
            answer = await calls.deferred(self._client.get_resources, arguments)
        except AwsError as error:
            self._pause(error)
            return dict.fromkeys(fill())
        self._pause_seconds = 0.0
        found = {each["ResourceARN"]: tag_map(list(each["Tags"])) for each in answer["ResourceTagMappingList"]}
        return {arn: found.get(arn) for arn in asked}

    def _pause(self, error: AwsError) -> None:
        if not self._pause_seconds:
            logger.warning(
                "the operator cannot read the tags of many resources at once; it reads them one by one, which slows "
                "down bursts of deletions, and tries again within five minutes",
                extra={"error": str(error)},
            )
        doubled = self._pause_seconds * 2 or PAUSE_SECONDS
        is_refused = not isinstance(error, Transient)
        self._pause_seconds = LONGEST_PAUSE_SECONDS if is_refused else min(doubled, LONGEST_PAUSE_SECONDS)
        self._resumes_at = self._clock() + self._pause_seconds
