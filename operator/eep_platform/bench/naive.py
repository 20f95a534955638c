"""The reconciler for comparison: a timer for every object, with one Describe and one status PATCH each time.

It is the least that an operator with a timer does: it reads one of the object's ten resources and repairs nothing.
"""

import threading
import time
from typing import TYPE_CHECKING, Final

from eep_platform.bench.counting import cost
from eep_platform.bench.results import Naive
from eep_platform.workbench import Object, Workbench
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

INTERVAL_SECONDS: Final = 30.0


def measure(bench: Workbench, objects: list[Object], *, rounds: int = 2, interval: float = INTERVAL_SECONDS) -> Naive:
    """Reconcile the objects for so many rounds in place of the operator, which must not run. Blocks."""
    client: SageMakerClient = bench.aws("sagemaker")
    before, began, over = cost(bench), time.monotonic(), threading.Event()
    for number in range(rounds):
        for each in objects:
            _reconcile(bench, client, each)
        over.wait(max(0.0, began + (number + 1) * interval - time.monotonic()))
    seconds = time.monotonic() - began
    found = cost(bench).since(before)
    return Naive(len(objects), interval, seconds, found.mutating | found.reading, dict(found.writes))


def _reconcile(bench: Workbench, client: "SageMakerClient", obj: Object) -> None:
    found = client.describe_endpoint(EndpointName=obj["status"]["endpointName"])
    bench.objects.patch_namespaced_custom_object_status(
        *(GROUP, VERSION, bench.namespace, ENDPOINT.plural, obj["metadata"]["name"]),
        {"status": {"endpointName": found["EndpointName"]}},
        _content_type="application/merge-patch+json",
    )
