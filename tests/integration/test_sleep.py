"""Sleep on real parts: an endpoint goes by a command, and comes back by a request to its URL."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import TIMEOUT_SECONDS, eventually
from tests.integration.test_serving import ON_INSTANCES, ask

from eep_platform import bootstrap
from ephemeral_endpoints.api import GROUP, SLEEP_ANNOTATION, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.engine.tags import timestamp


@pytest.fixture
def notified(bench: Bench) -> Iterator[str]:
    """A class whose forwarders reach the operator."""
    bootstrap.event_queue(bench.aws("sqs"), bench.aws("events"))
    name = f"notified-{bench.namespace}"
    bench.make_class(name, events={"queueName": bootstrap.EVENT_QUEUE})
    yield name
    bench.delete_class(name)


def send_to_sleep(bench: Bench, name: str) -> None:
    annotation = {"metadata": {"annotations": {SLEEP_ANNOTATION: timestamp(datetime.now(UTC))}}}
    bench.objects.patch_namespaced_custom_object(
        GROUP, VERSION, bench.namespace, ENDPOINT.plural, name, annotation, _content_type="application/merge-patch+json"
    )


def test_an_endpoint_that_is_asleep_wakes_by_a_request_and_serves_as_before(bench: Bench, notified: str) -> None:
    spec: dict[str, Any] = {"className": notified, "serving": ON_INSTANCES, "model": bench.saying("good morning")}
    bench.apply("pr", bench.spec(**spec))
    before = bench.wait_ready("pr")
    assert ask(bench, before).text == "good morning"
    bench.wait_throttle()
    bench.control.reset_meter()

    send_to_sleep(bench, "pr")
    asleep = bench.wait_condition("pr", "Active", reason="Asleep")
    eventually(lambda: "Endpoint" not in bench.left(), "the endpoint gone")
    ready = next(each for each in asleep["status"]["conditions"] if each["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("True", "Asleep")
    assert bench.effects() == Counter({"DeleteEndpoint": 1})

    url = before["status"]["url"]
    assert requests.post(url, data=b"{}", timeout=TIMEOUT_SECONDS).status_code == 401
    refused = ask(bench, before)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "240")
    assert refused.json()["type"].endswith(":endpoint-asleep")
    bench.wait_condition("pr", "Active", reason="Awake")
    after = bench.wait_ready("pr")
    assert ask(bench, after).text == "good morning"
    assert after["status"]["url"] == url
    assert bench.effects() == Counter({"DeleteEndpoint": 1, "CreateEndpoint": 1})
