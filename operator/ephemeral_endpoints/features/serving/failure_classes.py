"""What kind of failure SageMaker's words describe, and how long each kind is worth retrying.

SageMaker gives one text, the ``FailureReason`` of DescribeEndpoint, and documents no codes for it. The texts of the
table are those of AWS's knowledge center (https://repost.aws/knowledge-center/sagemaker-endpoint-creation-fail) and of
public reports of endpoints that failed.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final
from zlib import crc32


class FailureClass(StrEnum):
    """The kinds of failures, by who or what ends them."""

    CAPACITY = "capacity"
    """AWS has no such instances at the moment; shortages of GPUs last hours."""

    QUOTA = "quota"
    """A quota of the account is used up."""

    PERMISSION = "permission"
    """A role, or the policy of a repository, a bucket or a key, does not allow what SageMaker does for the endpoint."""

    SERVICE = "service"
    """SageMaker itself failed."""

    CONFIGURATION = "configuration"
    """What was asked for does not fit together, such as an image that is too large for a serverless endpoint."""

    START = "start"
    """The model's container cannot be run at all, as SageMaker runs it."""

    MODEL = "model"
    """The model's container failed; also every text that is not in the table."""

    UNKNOWN = "unknown"
    """SageMaker gave no reason."""

    @property
    def heals(self) -> bool:
        """Whether the same request can succeed later, without a change of the object."""
        return self in _LONGEST_PAUSES


_LONGEST_PAUSES: Final = {
    FailureClass.CAPACITY: timedelta(minutes=10),
    FailureClass.QUOTA: timedelta(minutes=10),
    FailureClass.PERMISSION: timedelta(minutes=5),
    FailureClass.SERVICE: timedelta(minutes=10),
}
"""Of the kinds that heal, which are retried for as long as the object lives, the longest pause between two attempts."""

_TEXTS: Final[tuple[tuple[FailureClass, re.Pattern[str]], ...]] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (
            FailureClass.CAPACITY,
            (
                r"Insufficient(Instance)?Capacity|CapacityError|Unable to provision requested ML compute capacity"
                r"|(does not|do not) have sufficient .{0,60}capacity|insufficient capacity"
            ),
        ),
        (FailureClass.QUOTA, r"service limit '|ResourceLimitExceeded|LimitExceeded\b|quota"),
        (
            FailureClass.PERMISSION,
            (
                r"does not have \S+ permission|does not grant |not authorized to perform|access ?denied"
                r"|Could not access model data|role \S+ (used|passed) .{0,40}has permissions|cannot be assumed"
                # The operator pins images by their digests, and model data is retried likewise: it may be uploaded yet.
                r"|make sure all images included in the model .{0,200}has permissions|Failed to download model data"
            ),
        ),
        (
            FailureClass.SERVICE,
            (
                r"Request to service failed|InternalServerError|InternalFailure|internal (server )?error"
                r"|ServiceUnavailable|throttl|Rate exceeded"
            ),
        ),
        (FailureClass.START, r"CannotStartContainer"),
        (
            FailureClass.CONFIGURATION,
            (
                r"Image size \d+ is greater than supported|is not supported|not a supported|unsupported"
                r"|ValidationException"
                r"|InvalidParameter|Unable to extract model data|Failed to extract model data|invalid image|manifest"
            ),
        ),
    )
)


def class_of(reason: str) -> FailureClass:
    """The kind of a failure, by SageMaker's reason for it."""
    if not reason:
        return FailureClass.UNKNOWN
    return next((kind for kind, text in _TEXTS if text.search(reason)), FailureClass.MODEL)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When failures are retried: those that heal for ever, the others up to ``most`` attempts.

    The pauses begin with ``first`` and double up to ``longest``, or up to the longest of their kind.
    """

    most: int = 5
    first: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(minutes=15)

    def pause(self, failures: int, kind: FailureClass = FailureClass.MODEL, *, of: str = "") -> timedelta | None:
        """The pause after so many failures of this kind in a row (at least 1); None after the last attempt.

        The pauses for what heals are shortened by up to a fifth, differently for each endpoint (``of``), so that
        endpoints that wait for the same do not all ask at the same moment.
        """
        if not kind.heals:
            return None if failures >= self.most else min(self.longest, self._doubled(failures))
        return min(_LONGEST_PAUSES[kind], self._doubled(failures)) * _jitter(f"{of} {failures}")

    def _doubled(self, failures: int) -> timedelta:
        return self.first * 2.0 ** min(failures - 1, 16)


def _jitter(seed: str) -> float:
    return 1 - 0.2 * crc32(seed.encode()) / 2**32
