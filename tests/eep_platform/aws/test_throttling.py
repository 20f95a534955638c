"""The throttles of HTTP APIs: what API Gateway promises of a route's rate and burst."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
import requests
from tests.fixtures.platform import Aws

from eep_platform.aws.ledger import Outcome
from eep_platform.aws.throttling import RouteThrottle

STAGES = "/v2/apis/abc/stages"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def told(throttle: RouteThrottle, operation: str, path: str, settings: Mapping[str, Any]) -> bool:
    """Whether the throttle learns from a call."""
    learn = throttle.learner("apigatewayv2", operation, path)
    body = json.dumps({"stageName": "$default", "defaultRouteSettings": settings}).encode()
    assert learn is None or learn(body) == body
    return learn is not None


def admitted(throttle: RouteThrottle, path: str, times: int, api: str = "abc") -> int:
    """How many of several requests pass at once."""
    return sum(throttle.refusal(api, "POST", path) is None for _ in range(times))


def test_a_route_takes_its_burst_and_then_its_rate_and_others_have_their_own() -> None:
    clock = Clock()
    throttle = RouteThrottle(clock)
    assert admitted(throttle, "/a", 50) == 50, "without settings, only the account's limits apply"
    assert told(throttle, "UpdateStage", f"{STAGES}/$default", {"throttlingRateLimit": 2.0, "throttlingBurstLimit": 3})
    assert [admitted(throttle, path, 9) for path in ("/a", "/b")] == [3, 3]
    assert admitted(throttle, "/a", 9, api="another") == 9
    clock.now += 1
    assert admitted(throttle, "/a", 9) == 2
    clock.now += 100
    assert admitted(throttle, "/a", 9) == 3, "no more than the burst is saved up"
    refused = throttle.refusal("abc", "POST", "/a")
    assert refused is not None
    assert (refused.status, refused.text) == (429, '{"message": "Too Many Requests"}')


def test_all_that_a_greedy_route_takes_shares_its_limit() -> None:
    throttle = RouteThrottle(Clock())
    assert told(throttle, "UpdateStage", f"{STAGES}/$default", {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 3})
    learn = throttle.learner("apigatewayv2", "CreateRoute", "/v2/apis/abc/routes")
    assert learn is not None
    for key in ("ANY /a", "ANY /a/{proxy+}"):
        learn(json.dumps({"routeKey": key}).encode())
    assert [admitted(throttle, path, 2) for path in ("/a/b", "/a/c", "/a/b/d", "/a", "/ab")] == [2, 1, 0, 2, 2]


def test_settings_of_a_route_take_the_place_of_the_stage_s() -> None:
    throttle = RouteThrottle(Clock())
    of_routes = {
        "ANY /a": {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 5},
        "GET /a": {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 1},
        "ANY /b/{proxy+}": {"detailedMetricsEnabled": False},
    }
    for key in ("ANY /a", "ANY /a/{proxy+}", "ANY /b/{proxy+}"):
        learn = throttle.learner("apigatewayv2", "CreateRoute", "/v2/apis/abc/routes")
        assert learn is not None
        learn(json.dumps({"routeKey": key}).encode())
    learn = throttle.learner("apigatewayv2", "UpdateStage", f"{STAGES}/$default")
    assert learn is not None
    default = {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 2}
    learn(json.dumps({"defaultRouteSettings": default, "routeSettings": of_routes}).encode())
    assert [admitted(throttle, path, 9) for path in ("/a", "/a/x", "/b/x")] == [5, 2, 9]
    path = f"{STAGES}/%24default/routesettings/ANY%20%2Fa"
    learn = throttle.learner("apigatewayv2", "DeleteRouteSettings", path)
    assert learn is not None
    assert learn(b"") == b""
    assert admitted(throttle, "/a", 9) == 2, "those of the stage apply again"


def test_settings_can_be_changed_and_taken_back() -> None:
    throttle = RouteThrottle(Clock())
    limits = {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 1}
    assert told(throttle, "CreateStage", STAGES, limits)
    assert admitted(throttle, "/a", 9) == 1
    assert told(throttle, "UpdateStage", f"{STAGES}/%24default", {**limits, "throttlingBurstLimit": 4})
    assert admitted(throttle, "/a", 9) == 4
    assert told(throttle, "UpdateStage", f"{STAGES}/%24default", {"detailedMetricsEnabled": False})
    assert admitted(throttle, "/a", 9) == 9


@pytest.mark.parametrize(
    ("operation", "path", "reason"),
    [
        ("GetStages", STAGES, "it sets nothing"),
        ("GetRoutes", "/v2/apis/abc/routes", "it changes nothing"),
        ("UpdateStage", "/v2/apis/abc/stagesx", "no such path"),
    ],
)
def test_other_calls_teach_nothing(operation: str, path: str, reason: str) -> None:
    limits = {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 1}
    assert not told(RouteThrottle(Clock()), operation, path, limits), reason


def test_buckets_of_paths_that_callers_make_up_are_bounded() -> None:
    throttle = RouteThrottle(Clock())
    told(throttle, "UpdateStage", f"{STAGES}/$default", {"throttlingRateLimit": 1.0, "throttlingBurstLimit": 1})
    assert sum(admitted(throttle, f"/{number}", 1) for number in range(10_001)) == 10_001
    assert admitted(throttle, "/10000", 1) == 0
    assert admitted(throttle, "/0", 1) == 1, "the one that was not used for longest is forgotten"


def test_a_flood_is_answered_with_429_before_it_reaches_an_integration(fresh_aws: Aws) -> None:
    gateway = fresh_aws.client("apigatewayv2")
    made = gateway.create_api(Name="flooded", ProtocolType="HTTP")
    limits: Any = {"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 2}
    gateway.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    gateway.update_stage(ApiId=made["ApiId"], StageName="$default", DefaultRouteSettings=limits)
    answers = [requests.get(f"{made['ApiEndpoint']}/nlp/{path}", timeout=60) for path in ("a", "a", "a", "b")]
    assert [answer.status_code for answer in answers] == [404, 404, 429, 404], "no route exists"
    assert answers[2].json() == {"message": "Too Many Requests"}
    assert [call.outcome for call in fresh_aws.control.log(last=2)] == [Outcome.THROTTLED, Outcome.FORWARDED]
