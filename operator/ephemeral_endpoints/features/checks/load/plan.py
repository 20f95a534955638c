"""What the generator is to do, as the operator tells its Job. Pure."""

import base64
import json
import math
from dataclasses import dataclass
from typing import Any, Final, Self

from ephemeral_endpoints.features.checks.requests import ModelRequest

REQUEST_SECONDS: Final = 30.0
"""The time limit of a request, which is API Gateway's own:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""

FIRST_ANSWER_SECONDS: Final = 120.0
"""For so long the first request of the warm-up is repeated: a serverless endpoint may have to start."""

WARM_UP_SECONDS: Final = 60.0
"""For so long the other requests of the warm-up are sent."""

MOST_SECONDS_BESIDE: Final = FIRST_ANSWER_SECONDS + WARM_UP_SECONDS + 4 * REQUEST_SECONDS
"""The longest that all takes beside the load itself: the warm-up, and the last request of each of its parts and of the
load."""

MOST_BODY_BYTES: Final = 64 * 1024
"""The largest request: in base64 it fits into a variable of a process, which Linux limits to 128 KiB (MAX_ARG_STRLEN,
https://man7.org/linux/man-pages/man2/execve.2.html)."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Requests at a constant ``rate`` per second, for so many seconds, after ``warm_up`` requests that do not count.

    ``concurrency`` is how many requests at once the endpoint takes; None: nobody knows.
    """

    url: str
    request: ModelRequest
    rate: float
    seconds: float
    warm_up: int
    concurrency: float | None = None

    @property
    def requests(self) -> int:
        """How many requests count; at least one."""
        return max(1, round(self.rate * self.seconds))

    def starts(self) -> list[float]:
        """When the requests are due, in seconds from the beginning."""
        return [index / self.rate for index in range(self.requests)]

    def exceeds(self, median_seconds: float) -> bool:
        """Whether it is more than the endpoint takes, where a request takes so long."""
        return self.concurrency is not None and needed(self.rate, median_seconds) > self.concurrency

    def lanes(self, median_seconds: float) -> int:
        """How many requests will be under way at once, and are known to be taken."""
        if self.concurrency is None:
            return 1
        return max(1, min(math.ceil(needed(self.rate, median_seconds)), math.floor(self.concurrency)))

    def to_json(self) -> str:
        """The plan as text, without characters that Kubernetes replaces in variables."""
        return json.dumps(
            {
                "url": self.url,
                "body": base64.b64encode(self.request.body).decode(),
                "contentType": self.request.content_type,
                "rate": self.rate,
                "seconds": self.seconds,
                "warmUp": self.warm_up,
                "concurrency": self.concurrency,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote. Raises ValueError or KeyError for anything else."""
        raw: dict[str, Any] = json.loads(text)
        request = ModelRequest(base64.b64decode(raw["body"]), raw["contentType"])
        return cls(raw["url"], request, raw["rate"], raw["seconds"], raw["warmUp"], raw["concurrency"])


def needed(rate: float, seconds: float) -> float:
    """How many requests are under way at once on average, by Little's law."""
    return rate * seconds
