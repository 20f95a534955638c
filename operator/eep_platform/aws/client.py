"""A client of the control APIs behind the front, for tests, benchmarks and the demo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from eep_platform.aws.faults import Fault, FiredFault
from eep_platform.aws.guard.record import Denial, Permissions, Use
from eep_platform.aws.ledger import Call, Outcome
from eep_platform.aws.limits import Limit
from eep_platform.errors import PlatformError

_TIMEOUT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ControlClient:
    """Controls the embedded AWS at `endpoint`. All methods block, and raise PlatformError if the request fails."""

    endpoint: str

    def calls(self, *outcomes: Outcome) -> dict[str, dict[str, int]]:
        """AWS calls with the given outcomes (default: all) since the last reset, by service and operation."""
        counts: dict[str, dict[str, int]] = self._call("GET", "/_meter/calls", params={"outcome": outcomes})
        return counts

    def log(self, last: int | None = None) -> list[Call]:
        """The latest calls in order of arrival."""
        rows = self._call("GET", "/_meter/log", params={} if last is None else {"last": last})
        return [
            Call(**{**row, "time": datetime.fromisoformat(row["time"]), "outcome": Outcome(row["outcome"])})
            for row in rows
        ]

    def limits(self) -> list[Limit]:
        """The request rates in force."""
        return [Limit.model_validate(row) for row in self._call("GET", "/_meter/limits")]

    def set_limits(self, limits: Sequence[Limit]) -> None:
        """Put exactly these request rates in force."""
        self._call("PUT", "/_meter/limits", json=_dumped(limits))

    def set_documented_limits(self) -> list[Limit]:
        """Put the rates that AWS documents in force, and return them."""
        return [Limit.model_validate(row) for row in self._call("PUT", "/_meter/limits/documented")]

    def add_faults(self, *faults: Fault) -> None:
        """Put faults in force, after the present ones."""
        self._call("POST", "/_meter/faults", json=_dumped(faults))

    def faults(self) -> list[FiredFault]:
        """The faults in force, and how often each has fired."""
        return [FiredFault.model_validate(row) for row in self._call("GET", "/_meter/faults")]

    def clear_faults(self) -> list[FiredFault]:
        """End all faults, and return how often each had fired by then; calls that are held go on."""
        return [FiredFault.model_validate(row) for row in self._call("DELETE", "/_meter/faults")]

    def clear_fired_faults(self) -> list[FiredFault]:
        """End the faults that have fired, of which calls that are held go on; return all as they were."""
        return [
            FiredFault.model_validate(row) for row in self._call("DELETE", "/_meter/faults", params={"fired": ["true"]})
        ]

    def hold_to(self, name: str, policies: Sequence[Mapping[str, Any]]) -> None:
        """Restrict an access key, or a role by its ARN, to IAM policy documents; replaces earlier ones.

        Forwarders sign with the account ID as their key.
        """
        self._call("PUT", "/_meter/policies", json={name: list(policies)})

    def release(self, name: str | None = None) -> None:
        """Lift the restriction of a key or role, or all restrictions."""
        self._call("DELETE", "/_meter/policies", params={} if name is None else {"name": [name]})

    def permissions(self, name: str) -> Permissions:
        """The permissions that a key or role used and was denied since `hold_to` or `forget_permissions`."""
        answer = self._call("GET", "/_meter/permissions", params={"name": [name]})
        return Permissions({Use(**each) for each in answer["used"]}, [Denial(**each) for each in answer["denied"]])

    def forget_permissions(self) -> None:
        """Delete the records of used and denied permissions."""
        self._call("DELETE", "/_meter/permissions")

    def hold_tag_index(self, *, is_held: bool = True) -> None:
        """Let the index of tags lag behind the services, or follow them again; see `aws.tagging`."""
        self._call("PUT", "/_meter/tag-index", json=is_held)

    def set_ahead(self, seconds: float) -> None:
        """Have answers and functions tell a time that is so far ahead of the machine's; see `aws.clock`."""
        self.set_date_ahead(seconds)
        self._call("PUT", "/_ministack/clock", json=seconds)

    def set_date_ahead(self, seconds: float) -> None:
        """Have only answers do so, as from behind a proxy whose clock is off."""
        self._call("PUT", "/_meter/clock", json=seconds)

    def set_alarm_pace(self, seconds_per_second: float = 1.0) -> None:
        """Let so many seconds of the periods of alarms pass in one second."""
        self._call("PUT", "/_ministack/alarms", json=seconds_per_second)

    def reset_meter(self) -> None:
        """Delete counts and log, and lift all limits and faults; policies stay in force."""
        self._call("POST", "/_meter/reset")

    def sagemaker_settings(self) -> dict[str, Any]:
        """SageMaker's settings: delays, failures, quotas."""
        settings: dict[str, Any] = self._call("GET", "/_sagemaker/settings")
        return settings

    def patch_sagemaker_settings(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change SageMaker's settings by a JSON merge patch (RFC 7396); returns all of them."""
        settings: dict[str, Any] = self._call("PATCH", "/_sagemaker/settings", json=patch)
        return settings

    def sagemaker_state(self) -> dict[str, Any]:
        """SageMaker's resources, running containers, and violations of its rules."""
        state: dict[str, Any] = self._call("GET", "/_sagemaker/state")
        return state

    def flush_sagemaker(self) -> None:
        """Deliver SageMaker's pending logs, metrics, events and captured data now."""
        self._call("POST", "/_sagemaker/flush")

    def codebuild_settings(self) -> dict[str, Any]:
        """CodeBuild's settings: delays, failures, limits."""
        settings: dict[str, Any] = self._call("GET", "/_codebuild/settings")
        return settings

    def patch_codebuild_settings(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change CodeBuild's settings by a JSON merge patch (RFC 7396); returns all of them."""
        settings: dict[str, Any] = self._call("PATCH", "/_codebuild/settings", json=patch)
        return settings

    def reset(self) -> None:
        """Return to the state after the start: an empty account, the machine's time, no counts, limits or policies."""
        self._call("POST", "/_codebuild/reset")
        self._call("POST", "/_sagemaker/reset")
        self._call("POST", "/_ministack/reset")
        self.set_alarm_pace()
        self.set_ahead(0)
        self._call("DELETE", "/_meter/tag-index")
        self.release()
        self.reset_meter()

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, int | Sequence[str]] | None = None,
        json: object = None,
    ) -> Any:  # noqa: ANN401 - JSON, whose shape the callers declare
        try:
            answer = requests.request(method, self.endpoint + path, params=params, json=json, timeout=_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise PlatformError(f"the embedded AWS at {self.endpoint} does not answer: {error}") from error
        if not answer.ok:
            raise PlatformError(f"{method} {path} failed ({answer.status_code}): {answer.text}")
        return answer.json() if answer.content else None


def _dumped(models: Sequence[Limit] | Sequence[Fault]) -> list[dict[str, Any]]:
    return [model.model_dump(mode="json") for model in models]
