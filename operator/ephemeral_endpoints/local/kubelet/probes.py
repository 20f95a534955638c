"""HTTP probes of a container: when one is due, and what its answers add up to."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from math import ceil
from typing import Any, Final, Self

import requests

from ephemeral_endpoints.local.kubelet.pods import LOOPBACK, Unstartable, port_number

_PERIOD_SECONDS: Final = 10
_FAILURES: Final = 3


@dataclass(slots=True)
class Probe:
    """One probe of a running container. Times are seconds of one monotonic clock.

    ``verdict`` is None until so many answers agree as the thresholds ask for.
    """

    ask: Callable[[], bool]
    due: float
    period: float
    successes: int = 1
    failures: int = _FAILURES
    verdict: bool | None = None
    _last: bool | None = None
    _row: int = 0

    @classmethod
    def of(cls, container: Mapping[str, Any], name: str, ports: Mapping[int, int], *, now: float, pace: float) -> Self:
        """The probe ``name`` of a container that starts now, one that always succeeds where it has none.

        ``pace`` divides its delay and its period, and it may fail so much more often: it gives up no sooner. Raises
        Unstartable for other probes than by HTTP.
        """
        spec = container.get(name)
        if spec is None:
            return cls(lambda: True, due=now, period=0, verdict=True)
        if "httpGet" not in spec:
            raise Unstartable(f"{name} of {container['name']}: only httpGet is known here")
        return cls(
            _request(container, spec, ports),
            due=now + spec.get("initialDelaySeconds", 0) / pace,
            period=spec.get("periodSeconds", _PERIOD_SECONDS) / pace,
            successes=spec.get("successThreshold", 1),
            failures=ceil(spec.get("failureThreshold", _FAILURES) * pace),
        )

    def tick(self, now: float) -> None:
        """Ask if it is due; blocks for the probe's timeout at most."""
        if not self.period or now < self.due:
            return
        answer = self.ask()
        self.due = now + self.period
        self._row = self._row + 1 if answer is self._last else 1
        self._last = answer
        if self._row >= (self.successes if answer else self.failures):
            self.verdict = answer


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
