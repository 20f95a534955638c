"""The index of tags: it names candidates, all of which are looked at once more before anything is deleted.

A call that fails raises: an index that cannot be read is not an empty one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from ephemeral_endpoints.features.expiry.reaper.kinds import Aws, items

_SERVICE: Final = "resourcegroupstaggingapi"
_TOLERANCE_SECONDS: Final = 300
"""As much as AWS takes between the time of a signature and its own
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html)."""

VALUES_AT_ONCE: Final = 20
"""The most values that one filter takes
(https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_TagFilter.html)."""


def values(aws: Aws, key: str) -> tuple[list[str], datetime]:
    """All values of a tag in the account and region, and AWS's time. Raises ValueError if it is not this machine's."""
    found: list[str] = []
    date: datetime | None = None
    for page in aws.client(_SERVICE).get_paginator("get_tag_values").paginate(Key=key):
        date = date or parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
        found += page["TagValues"]
    if date is None or abs(date.timestamp() - aws.clock()) > _TOLERANCE_SECONDS:
        raise ValueError(f"AWS says that it is {date}, and this function's clock differs: nothing is deleted")
    return found, date


def tagged(aws: Aws, tags: Mapping[str, Sequence[str]], *types: str) -> dict[str, dict[str, str]]:
    """The tags of the resources that have one of the given values of each tag, by ARN; of these types, if any.

    A tag without values stands for all that have it.
    """
    return {
        each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        for each in _resources(aws, tags, *types)
    }


def is_any(aws: Aws, tags: Mapping[str, Sequence[str]]) -> bool:
    """Whether a resource has these tags, as for ``tagged``."""
    return any(True for _ in _resources(aws, tags))


def _resources(aws: Aws, tags: Mapping[str, Sequence[str]], *types: str) -> Iterator[Any]:
    filters: list[dict[str, Any]] = [{"Key": key, "Values": list(each)} for key, each in tags.items()]
    more: dict[str, Any] = {"ResourceTypeFilters": list(types)} if types else {}
    return items(
        aws, _SERVICE, "get_resources", "ResourceTagMappingList", TagFilters=filters, ResourcesPerPage=100, **more
    )


def chunks(values: Iterable[str]) -> list[list[str]]:
    """The values in parts that one filter takes."""
    listed = list(values)
    return [listed[start : start + VALUES_AT_ONCE] for start in range(0, len(listed), VALUES_AT_ONCE)]
