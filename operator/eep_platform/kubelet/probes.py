"""HTTP probes of a container: when they are due, and their results."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any, Final, Self

import requests

from eep_platform.kubelet.pods import LOOPBACK, Unstartable, port_number

_PERIOD_SECONDS: Final = 10
_FAILURES: Final = 3


@dataclass(slots=True)
class Probe:
    """A probe of a running container. Times are seconds of a monotonic clock.

    ``outcome`` is None until as many answers agree as the thresholds require.
    """

    ask: Callable[[], bool]
    due: float
    period: float
    successes: int = 1
    failures: int = _FAILURES
    outcome: bool | None = None
    _last: bool | None = None
    _row: int = 0

    @classmethod
    def of(cls, container: Mapping[str, Any], name: str, ports: Mapping[int, int], *, now: float, pace: float) -> Self:
        """The probe ``name`` of a container that starts now; if it has none, one that always succeeds.

        ``pace`` divides the delay and the period and multiplies the failure threshold, so that the probe gives up no
        sooner. Raises Unstartable for probes other than httpGet.
        """
        spec = container.get(name)
        if spec is None:
            return cls(lambda: True, due=now, period=0, outcome=True)
        if "httpGet" not in spec:
            raise Unstartable(f"{name} of {container['name']}: only httpGet is supported")
        return cls(
            _request(container, spec, ports),
            due=now + spec.get("initialDelaySeconds", 0) / pace,
            period=spec.get("periodSeconds", _PERIOD_SECONDS) / pace,
            successes=spec.get("successThreshold", 1),
            failures=ceil(spec.get("failureThreshold", _FAILURES) * pace),
        )

    def tick(self, now: float) -> None:
        """Send the request if it is due; blocks for at most the probe's timeout."""
        if not self.period or now < self.due:
            return
        answer = self.ask()
        self.due = now + self.period
        self._row = self._row + 1 if answer is self._last else 1
        self._last = answer
        if self._row >= (self.successes if answer else self.failures):
            self.outcome = answer


def _request(container: Mapping[str, Any], spec: Mapping[str, Any], ports: Mapping[int, int]) -> Callable[[], bool]:
    get = spec["httpGet"]
    number = port_number(container, get["port"])
    url = f"{get.get('scheme', 'HTTP').lower()}://{LOOPBACK}:{ports.get(number, number)}{get.get('path', '/')}"
    headers = {each["name"]: each["value"] for each in get.get("httpHeaders", [])}
    timeout = spec.get("timeoutSeconds", 1)

    def ask() -> bool:
        try:
            answer = requests.get(url, headers=headers, timeout=timeout, allow_redirects=False)
        except requests.RequestException:
            return False
        return HTTPStatus.OK <= answer.status_code < HTTPStatus.BAD_REQUEST

    return ask
