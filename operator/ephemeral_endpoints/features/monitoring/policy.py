"""Which log stream of an endpoint tells why it failed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogStream:
    """A log stream of an endpoint: ``VARIANT/i-ID`` of an instance, or ``VARIANT/TIME-ID`` of a serverless container.

    https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """

    name: str
    created_at: datetime

    @property
    def variant(self) -> str:
        """The production variant that it is about."""
        return self.name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class JobStreams:
    """The log streams ``JOB/HOST`` of one job in a group of many; ARNs have its name in lower case only.

    ``prefix`` is as much of the name as is known in its own case.
    """

    job: str
    prefix: str

    def includes(self, stream: str) -> bool:
        """Whether a stream is one of the job's."""
        return stream.lower().startswith(f"{self.job.lower()}/")


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that failed: its beginning and end, None where they are not known, and SageMaker's reason."""

    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""

    def stream(self, streams: Iterable[LogStream]) -> LogStream | None:
        """The newest stream that began within the attempt, of the variant that the reason names if it names one.

        The containers that served before have streams of their own, which began earlier and may be written to later.
        None if there is none: the words of other containers would mislead.
        """
        own = [each for each in streams if self._includes(each.created_at)]
        named = [each for each in own if re.search(rf"\b{re.escape(each.variant)}(?![\w-])", self.reason)]
        return max(named or own, key=lambda each: each.created_at, default=None)

    def _includes(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment <= self.until)
