# ruff: noqa: INP001 - a program for `python -c` in a Job of the chart, not a module
"""Waits until the API server has served the chart's kinds several times in a row."""

import json
import sys
import time
from http import HTTPStatus
from typing import Final

from kubernetes import client, config
from urllib3.exceptions import HTTPError

GROUP: Final = "ephemeral-endpoints.io"
KINDS: Final = {"ephemeralendpoints", "ephemeralendpointclasses", "modelstages", "modelpromotions"}
# Helm looks kinds up in this document: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
LOOKS: Final = 240
PAUSE_SECONDS: Final = 0.5
# API servers do not learn of a kind at the same time, and each request may reach another server.
TIMES: Final = 3


def is_known(api: client.ApiClient) -> bool:
    """Whether the API server serves the group with all its kinds."""
    request = api.param_serialize("GET", "/apis", header_params={"Accept": DISCOVERY}, auth_settings=["BearerToken"])
    try:
        answer = api.call_api(*request, _request_timeout=5)
        if answer.status != HTTPStatus.OK:
            return False
        groups = json.loads(answer.read())["items"]
    except HTTPError:
        return False
    versions = [version for group in groups if group["metadata"]["name"] == GROUP for version in group["versions"]]
    current = [version.get("resources", []) for version in versions if version.get("freshness") == "Current"]
    return any({each["resource"] for each in resources} >= KINDS for resources in current)


def main() -> str | None:
    """Wait; return an error message, None on success."""
    config.load_config()
    times = 0
    with client.ApiClient() as api:
        for _ in range(LOOKS):
            times = times + 1 if is_known(api) else 0
            if times == TIMES:
                return None
            time.sleep(PAUSE_SECONDS)
    return f"the API server does not serve {GROUP}: are its CRDs installed (crds.install)?"


sys.exit(main())
