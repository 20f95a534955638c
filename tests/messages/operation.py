"""What the operator says when it starts and when it is uninstalled."""

from collections.abc import Iterator

import pytest

from ephemeral_endpoints.kube.rest import Raw
from ephemeral_endpoints.settings import Settings, SettingsError
from ephemeral_endpoints.uninstall import Left, delay, refusal

_WRONG = {
    "EEP_CLUSTER_ID": "ninechars",
    "EEP_NAMESPACES": "Bad_Name",
    "EEP_SHARD": "2/2",
    "EEP_POLL_SECONDS": "soon",
    "EEP_SNAPSHOT_SECONDS": "0",
    "EEP_SWEEP": "yes",
    "EEP_SWEEP_MOST_OWNERS": "0",
    "EEP_HTTP_PORT": "http",
    "EEP_LEADER_ELECTION": "true",
    "EEP_OWN_NAMESPACE": "MLOps",
    "EEP_LOG_LEVEL": "verbose",
}
_READY = {"type": "Ready", "reason": "AccessDenied", "message": "DeleteEndpoint: User is not authorized"}
_DELETED = {"deletionTimestamp": "2026-11-21T12:00:00Z"}


def settings() -> Iterator[tuple[str, str]]:
    for name, value in _WRONG.items():
        with pytest.raises(SettingsError) as caught:
            Settings.from_environment({name: value})
        yield "SettingsError", str(caught.value)


def uninstallation() -> Iterator[tuple[str, str]]:
    endpoints: list[Raw] = [
        {"kind": "EphemeralEndpoint", "metadata": {"namespace": "nlp", "name": "pr-41"}},
        {"kind": "EphemeralEndpoint", "metadata": {"namespace": "nlp", "name": "pr-42", **_DELETED}},
        {
            "kind": "EphemeralEndpoint",
            "metadata": {"namespace": "nlp", "name": "pr-43", **_DELETED},
            "status": {"conditions": [_READY]},
        },
    ]
    classes: list[Raw] = [{"kind": "EphemeralEndpointClass", "metadata": {"name": "default"}}]
    left = Left([*endpoints, *classes])
    for text in (refusal(left), refusal(Left(endpoints[:1])), refusal(Left(classes)), delay(left, 600)):
        for line in text.splitlines():
            yield "uninstall", line.strip()
