"""One container of a Pod through its life: started, probed, started again, ended."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.kubelet.pods import Unstartable
from ephemeral_endpoints.local.kubelet.probes import Probe
from ephemeral_endpoints.local.kubelet.runner import Started
from ephemeral_endpoints.local.kubelet.status import Container, Running, State, Terminated, Waiting, is_restarted

_FIRST_PAUSE_SECONDS: Final = 10.0
_LONGEST_PAUSE_SECONDS: Final = 300.0
_PROBE_GRACE_SECONDS: Final = 30.0

Raw = Mapping[str, Any]


class Supervised:
    """A container. ``now`` is monotonic seconds, ``stamp`` the time of day as the API server has it.

    ``launch`` starts its process. ``pace`` divides all pauses between probes and before restarts.
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

    def view(self) -> Container:
        """What is known of it now."""
        is_started = isinstance(self._state, Running) and self._probes["startupProbe"].verdict is True
        return Container(
            name=self._spec["name"],
            image=self._spec.get("image", ""),
            state=self._state,
            last=self._last,
            is_started=is_started,
            is_ready=is_started and self._probes["readinessProbe"].verdict is True,
            restarts=self._restarts,
        )

    def tick(self, now: float, stamp: str) -> None:
        """Do what is due; blocks while a probe does, and while a container is ended that its liveness probe gave up."""
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
        """End it for good; blocks for the grace at most."""
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
        """Ask the probes that are due. Readiness and liveness wait for startup."""
        startup = self._probes["startupProbe"]
        if startup.verdict is not True:
            startup.tick(now)
            return startup.verdict is False
        self._probes["readinessProbe"].tick(now)
        self._probes["livenessProbe"].tick(now)
        return self._probes["livenessProbe"].verdict is False

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
        is_told = code and self._spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        return Terminated(code, since, stamp, self._process.last_lines() if is_told and self._process else "")
