# ruff: noqa: INP001 - a program for `python -c` in a Job of the chart, not a module
"""Waits until the API server has told of the chart's kinds for a moment."""

import json
import sys
import time
from http import HTTPStatus
from typing import Final

from kubernetes import client, config
from urllib3.exceptions import HTTPError

GROUP: Final = "ephemeral-endpoints.io"
# What Helm looks kinds up in: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
DISCOVERY: Final = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
LOOKS: Final = 240
PAUSE_SECONDS: Final = 0.5
# API servers do not learn of a kind at the same time, and each request may reach another one.
TIMES: Final = 3


def is_known(api: client.ApiClient) -> bool:
    """Whether the API server tells of the group with all of its resources."""
    request = api.param_serialize("GET", "/apis", header_params={"Accept": DISCOVERY}, auth_settings=["BearerToken"])
    try:
        answer = api.call_api(*request, _request_timeout=5)
        if answer.status != HTTPStatus.OK:
            return False
        groups = json.loads(answer.read())["items"]
    except HTTPError:
        return False
    versions = [version for group in groups if group["metadata"]["name"] == GROUP for version in group["versions"]]
    return any(each.get("freshness") == "Current" and len(each.get("resources", [])) > 1 for each in versions)


def main() -> str | None:
    """Wait; return what is wrong, None if nothing is."""
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
