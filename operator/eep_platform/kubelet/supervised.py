"""Starts, probes, restarts and ends a container of a Pod."""

from collections.abc import Callable, Mapping
from typing import Final

from eep_platform.errors import PlatformError
from eep_platform.kubelet.pods import Raw, Unstartable
from eep_platform.kubelet.probes import Probe
from eep_platform.kubelet.runner import Started
from eep_platform.kubelet.status import ContainerStatus, Running, State, Terminated, Waiting, is_restarted

_FIRST_PAUSE_SECONDS: Final = 10.0
_LONGEST_PAUSE_SECONDS: Final = 300.0
_PROBE_GRACE_SECONDS: Final = 30.0


class Supervised:
    """A container. ``now`` is monotonic seconds, ``stamp`` the time of day in the API server's format.

    ``launch`` starts its process. ``pace`` divides the periods of probes and the delays before restarts.
    """

    def __init__(
        self, spec: Raw, *, policy: str, ports: Mapping[int, int], launch: Callable[[Raw], Started], pace: float
    ) -> None:
        self._spec = spec
        self._policy = policy
        self._ports = ports
        self._launch = launch
        self._pace = pace
        self._process: Started | None = None
        self._probes: dict[str, Probe] = {}
        self._state: State = Waiting()
        self._last: Terminated | None = None
        self._restarts = 0
        self._again_at = 0.0

    def view(self) -> ContainerStatus:
        """The present status."""
        is_started = isinstance(self._state, Running) and self._probes["startupProbe"].outcome is True
        return ContainerStatus(
            name=self._spec["name"],
            image=self._spec.get("image", ""),
            state=self._state,
            last=self._last,
            is_started=is_started,
            is_ready=is_started and self._probes["readinessProbe"].outcome is True,
            restarts=self._restarts,
        )

    def tick(self, now: float, stamp: str) -> None:
        """Do what is due; blocks during probes, and while ending a container whose liveness probe failed."""
        if self._process is None:
            if self._is_due(now):
                self._start(now, stamp)
            return
        code = self._process.exit_code()
        if code is None and self._is_given_up(now):
            code = self._process.end(self._spec.get("terminationGracePeriodSeconds", _PROBE_GRACE_SECONDS))
        if code is not None:
            self._ended(code, now, stamp)

    def end(self, grace_seconds: float, stamp: str) -> None:
        """End the container for good; blocks for at most the grace period."""
        if self._process is not None and isinstance(self._state, Running):
            code = self._process.end(grace_seconds)
            self._state = self._terminated(code, self._state.since, stamp)
        elif not isinstance(self._state, Terminated):
            self._state = self._last or Terminated(0, stamp, stamp)
        self._process = None

    def _is_due(self, now: float) -> bool:
        return not isinstance(self._state, Terminated) and now >= self._again_at

    def _start(self, now: float, stamp: str) -> None:
        try:
            self._probes = {
                name: Probe.of(self._spec, name, self._ports, now=now, pace=self._pace)
                for name in ("startupProbe", "readinessProbe", "livenessProbe")
            }
            self._process = self._launch(self._spec)
        except Unstartable as error:
            self._state = Waiting("CreateContainerConfigError", str(error))
        except PlatformError as error:
            self._state = Waiting("RunContainerError", str(error))
        else:
            self._state = Running(stamp)
            return
        self._again_at = now + _FIRST_PAUSE_SECONDS / self._pace

    def _is_given_up(self, now: float) -> bool:
        """Send the probes that are due, after startup the other two; returns whether the container must be ended."""
        startup = self._probes["startupProbe"]
        if startup.outcome is not True:
            startup.tick(now)
            return startup.outcome is False
        self._probes["readinessProbe"].tick(now)
        self._probes["livenessProbe"].tick(now)
        return self._probes["livenessProbe"].outcome is False

    def _ended(self, code: int, now: float, stamp: str) -> None:
        since = self._state.since if isinstance(self._state, Running) else stamp
        terminated = self._terminated(code, since, stamp)
        self._process = None
        if not is_restarted(self._policy, code):
            self._state = terminated
            return
        pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(self._restarts, 16), _LONGEST_PAUSE_SECONDS)
        self._last, self._again_at = terminated, now + pause / self._pace
        self._restarts += 1
        self._state = Waiting("CrashLoopBackOff", f"it ended with {code}")

    def _terminated(self, code: int, since: str, stamp: str) -> Terminated:
        return Terminated(code, since, stamp, self._message(code))

    def _message(self, code: int) -> str:
        if self._process is None:
            return ""
        falls_back = code and self._spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        return self._process.written() or (self._process.last_lines() if falls_back else "")
