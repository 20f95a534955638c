"""``python -m ephemeral_endpoints check``: tells whether an installation works, as `helm test` asks. Changes nothing.

It runs with the operator's own rights, and asks the API server alone: that the operator renews its Leases and keeps the
conditions of classes proves that it runs and reaches AWS.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS, KINDS
from ephemeral_endpoints.engine.conditions import ConditionType
from ephemeral_endpoints.kube.client import listed
from ephemeral_endpoints.kube.errors import Gone, KubernetesError
from ephemeral_endpoints.kube.lease import Lease
from ephemeral_endpoints.kube.rest import Raw, Rest

_LOOK_SECONDS: Final = 1.0


class Installation:
    """An installation: the Leases of its shards, and the namespaces that it watches, all if there are none."""

    def __init__(self, api: ApiClient, namespace: str, leases: Sequence[str], namespaces: Sequence[str]) -> None:
        self._rest = Rest(api)
        self._namespaces = namespaces
        self._leases = {name: Lease(api, namespace, name) for name in leases}
        self._renewed: dict[str, str | None] = {}
        self._led: set[str] = set()

    async def faults(self) -> list[str]:
        """What does not work, each with a remedy; empty if all does. A leader shows itself from the second look on."""
        try:
            found = [each async for each in self._of_kinds()]
            # Classes of a kind that is not served cannot be listed.
            return found or [each async for each in self._of_parts()]
        except KubernetesError as error:
            return [f"the API server did not answer as expected: {error}"]

    async def _of_kinds(self) -> AsyncIterator[str]:
        for kind in KINDS:
            try:
                for folder in kind.folders(self._namespaces):
                    await self._rest("GET", f"{folder}?limit=1")
            except Gone:
                yield f"the API server does not serve {kind.plural}: install the CRDs (crds.install)"

    async def _of_parts(self) -> AsyncIterator[str]:
        for name, lease in self._leases.items():
            record, _ = await lease.read()
            renewed = record.renewed if record and record.holder else None
            if renewed and renewed != self._renewed.setdefault(name, renewed):
                self._led.add(name)
            if name not in self._led:
                yield f"no replica renews the Lease {name}: look at the operator's pods and their logs"
        async for each in listed(self._rest, ENDPOINT_CLASS.folder()):
            if fault := class_fault(each):
                yield fault


def class_fault(raw: Raw) -> str | None:
    """What is wrong with a class; None for one that is ready, or being deleted."""
    metadata, status = raw["metadata"], raw.get("status", {})
    name = f"EphemeralEndpointClass {metadata['name']}"
    if "deletionTimestamp" in metadata:
        return None
    if status.get("observedGeneration") != metadata["generation"]:
        return f"the operator has not looked at {name} yet: look at its logs"
    ready = next((each for each in status["conditions"] if each["type"] == ConditionType.READY), None)
    if ready and ready["status"] == "True":
        return None
    return f"{name} is not ready: {ready['reason']}: {ready['message']}" if ready else f"{name} has no condition Ready"


async def check(faults: Callable[[], Awaitable[list[str]]], seconds: float) -> list[str]:
    """Look until nothing is wrong, for at most so long; returns what is wrong at the end."""
    found = [f"the API server did not answer within {seconds:g} s"]
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while found := await faults():  # noqa: ASYNC110 - nothing tells of a change
                await asyncio.sleep(_LOOK_SECONDS)
    return found


def main(arguments: Sequence[str], load_config: Callable[[], Awaitable[None]]) -> int:
    """Check an installation; returns the exit code: 0 if it works.

    ``load_config`` finds the API server. Ends the process with 2 for arguments that it does not know.
    """
    parser = argparse.ArgumentParser(prog="ephemeral-endpoints check", description=__doc__)
    parser.add_argument("--namespace", default="default", help="the namespace of the operator")
    parser.add_argument("--lease", action="append", default=[], help="the Lease of a shard; may be repeated")
    parser.add_argument("--namespaces", default="", metavar="A,B", help="the namespaces that the operator watches")
    parser.add_argument("--timeout", type=float, default=90.0, metavar="SECONDS", help="how long it may take")
    return asyncio.run(_check(parser.parse_args(arguments), load_config))


async def _check(options: argparse.Namespace, load_config: Callable[[], Awaitable[None]]) -> int:
    await load_config()
    namespaces = [name for name in options.namespaces.split(",") if name]
    async with ApiClient() as api:
        installation = Installation(api, options.namespace, options.lease, namespaces)
        found = await check(installation.faults, options.timeout)
    for each in found or ["The API server serves the kinds, every shard has a leader, and every class is ready."]:
        print(each, file=sys.stderr if found else sys.stdout, flush=True)
    return 1 if found else 0
