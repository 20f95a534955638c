from collections import Counter
from datetime import UTC, datetime
from unittest.mock import create_autospec

import pytest

from eep_platform.aws.client import ControlClient
from eep_platform.aws.ledger import Call, Outcome
from eep_platform.bench.counting import CallTimes, Cost, writes
from eep_platform.workbench import Workbench
from ephemeral_endpoints.engine.names import Names, endpoint_logs

METRICS = """\
# HELP apiserver_request_total [STABLE] Counter of apiserver requests
# TYPE apiserver_request_total counter
"""


def _line(verb: str, resource: str, count: int, *, subresource: str = "", code: int = 200) -> str:
    labels = f'code="{code}",component="apiserver",group="g",resource="{resource}",subresource="{subresource}"'
    return f'apiserver_request_total{{{labels},verb="{verb}",version="v1"}} {count}\n'


@pytest.mark.parametrize(
    ("lines", "expected", "why"),
    [
        (_line("PATCH", "ephemeralendpoints", 3), {"PATCH ephemeralendpoints": 3}, "the finalizer"),
        (
            _line("PATCH", "ephemeralendpoints", 3, subresource="status"),
            {"PATCH ephemeralendpoints/status": 3},
            "the status is a resource of its own",
        ),
        (
            _line("PATCH", "ephemeralendpoints", 3) + _line("PATCH", "ephemeralendpoints", 2, code=409),
            {"PATCH ephemeralendpoints": 5},
            "a request that was refused was made all the same",
        ),
        (_line("APPLY", "ephemeralendpoints", 1), {"PATCH ephemeralendpoints": 1}, "the metrics' word for a PATCH"),
        (_line("POST", "events", 4) + _line("POST", "secrets", 1), {"POST events": 4, "POST secrets": 1}, ""),
        (_line("POST", "ephemeralendpoints", 9), {}, "the bench creates"),
        (_line("PUT", "ephemeralendpoints", 9), {}, "the bench updates"),
        (_line("DELETE", "ephemeralendpoints", 9), {}, "the bench deletes"),
        (_line("WATCH", "ephemeralendpoints", 9) + _line("GET", "secrets", 9), {}, "reading is not writing"),
        (_line("DELETE", "secrets", 9), {}, "the garbage collector's"),
        (_line("PATCH", "configmaps", 9) + _line("PUT", "leases", 9), {}, "the control plane's own"),
        (_line("PATCH", "ephemeralendpointclasses", 1), {"PATCH ephemeralendpointclasses": 1}, ""),
        ("", {}, "a server that has served nothing yet"),
    ],
)
def test_only_the_operators_writes_count(lines: str, expected: dict[str, int], why: str) -> None:
    assert writes(METRICS + lines) == Counter(expected), why


def test_cost_between_two_moments_separates_changes_and_reads() -> None:
    before = Cost(Counter({("sagemaker", "CreateModel"): 1}), 1, Counter({"POST events": 2}))
    after = Cost(
        Counter({("sagemaker", "CreateModel"): 3, ("sagemaker", "ListModels"): 2, ("execute-api", "Invoke"): 9}),
        4,
        Counter({"POST events": 2}),
    )
    found = after.since(before)
    assert (found.mutating, found.reading) == ({"CreateModel": 2}, {"ListModels": 2})
    assert (found.throttled, found.writes) == (3, Counter())


NAMES = Names("bench", "burst-0001", "a-uid")


def _call(number: int, operation: str, resource: str | None, *, status: int | None = 200) -> Call:
    at = datetime.fromtimestamp(1000 + number, UTC)
    service = "sagemaker-runtime" if operation == "InvokeEndpoint" else "sagemaker"
    return Call(number, at, service, operation, resource, Outcome.FORWARDED, status)


@pytest.mark.parametrize(
    ("calls", "changed_at", "why"),
    [
        ([_call(1, "CreateModel", NAMES.immutable("m" * 6, "c" * 26))], 1001, "models carry the owner in their names"),
        ([_call(1, "PutMetricAlarm", NAMES.alarm("latency"))], 1001, "so do alarms"),
        ([_call(1, "DeleteAlarms", f"x,{NAMES.alarm('errors')}")], 1001, "of several alarms each counts"),
        (
            [_call(1, "DeleteLogGroup", endpoint_logs(NAMES.base)), _call(2, "DeleteModel", NAMES.base)],
            1002,
            "the latest",
        ),
        ([_call(1, "DeleteModel", NAMES.base), _call(2, "ListModels", NAMES.base)], 1001, "reading changes nothing"),
        ([_call(1, "DeleteModel", NAMES.base), _call(2, "InvokeEndpoint", NAMES.base)], 1001, "nor does asking"),
        ([_call(1, "DeleteModel", NAMES.base), _call(2, "DeleteModel", NAMES.base, status=400)], 1001, "nor a refusal"),
        ([_call(1, "CreateRoute", "api-id")], None, "what carries no owner is nobody's"),
        ([_call(1, "CreateRoute", None)], None, "likewise"),
    ],
)
def test_the_last_change_of_an_owner_is_known(calls: list[Call], changed_at: float | None, why: str) -> None:
    times = CallTimes(_bench(calls, calls), "bench")
    times.read()
    assert times.changes.get(NAMES.owner, [None])[-1] == changed_at, why


def test_calls_are_taken_in_once_and_what_the_short_log_lacks_is_read_from_the_long_one() -> None:
    calls = [_call(number, "CreateModel", NAMES.base) for number in (1, 2, 3)]
    times = CallTimes(_bench(calls[2:], calls), "bench")
    times.read()
    assert times.changes == {NAMES.owner: [1001, 1002, 1003]}
    times.changes.clear()
    times.read()
    assert times.changes == {}


def _bench(latest: list[Call], whole: list[Call]) -> Workbench:
    control = create_autospec(ControlClient, instance=True)
    control.log.side_effect = lambda last=None: whole if last is None else latest
    bench = create_autospec(Workbench, instance=True)
    bench.control = control
    return bench  # type: ignore[no-any-return]  # of the shape of its spec


def test_the_first_change_after_a_moment_and_the_last_of_all_are_found() -> None:
    times = CallTimes(_bench([], []), "c1", changes={"owner": [1001.0, 1003.0, 1005.0]})
    assert times.first_change("owner", since=1002.0) == 1003.0
    assert times.last_change("owner") == 1005.0
    with pytest.raises(ValueError, match="empty"):
        times.first_change("owner", since=1006.0)


def test_operations_of_one_name_are_added_up() -> None:
    found = Cost(Counter({("lambda", "ListTags"): 1, ("sagemaker", "ListTags"): 3}), 0, Counter())
    assert (found.reading, found.mutating) == ({"ListTags": 4}, {})
