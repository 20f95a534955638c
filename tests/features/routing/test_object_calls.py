"""Use is of the time at which it was, whatever the clock of the API server or of a forwarder says."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.engine.objects import endpoint

from ephemeral_endpoints.engine.clocks import Clocks, Source
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.routing.forwarder.notices import USED
from ephemeral_endpoints.features.routing.object_calls import ObjectCalls
from ephemeral_endpoints.features.serving.notices import Notice
from ephemeral_endpoints.kube.cache import Store

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("api_server", "told", "used_at", "reason"),
    [
        (timedelta(), timedelta(minutes=-1), timedelta(minutes=-1), "all clocks agree"),
        (timedelta(days=-1), timedelta(minutes=-1), timedelta(minutes=-1), "the API server is a day behind"),
        (timedelta(days=2), timedelta(minutes=-1), timedelta(minutes=-1), "it is two days ahead"),
        (timedelta(), timedelta(hours=1), timedelta(), "the forwarder is ahead: nothing was used later than now"),
    ],
)
def test_use_is_of_the_time_that_most_clocks_tell(
    api_server: timedelta, told: timedelta, used_at: timedelta, reason: str
) -> None:
    clocks = Clocks(lambda: NOW, lambda: 0.0)
    clocks.note(Source.AWS, format_datetime(NOW, usegmt=True))
    clocks.note(Source.API_SERVER, format_datetime(NOW + api_server, usegmt=True))
    store, used = Store(), endpoint({"spec": {"className": "default"}})
    store.put(used.to_wire())
    calls = ObjectCalls(Activities(), store, lambda *_: None, clocks.likely, is_certain=lambda: True)
    calls.noticed("default", Notice(USED, used.metadata.uid, NOW + told))
    assert calls.of(used).used_at == NOW + used_at, reason


def test_a_status_that_tells_of_a_later_use_tells_of_one_now() -> None:
    end = datetime.max.replace(microsecond=0, tzinfo=UTC)
    forged = endpoint({"spec": {"className": "default"}, "status": {"lastUsedAt": end.isoformat()}})
    calls = ObjectCalls(Activities(), Store(), lambda *_: None, lambda: NOW, is_certain=lambda: True)
    assert calls.of(forged).used_at == NOW
