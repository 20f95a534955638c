from contextlib import suppress

import pytest
from tests.controllers.endpoint.test_controls import DENIED
from tests.controllers.environment import Environment
from tests.fixtures.issuer import Issuer
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.features.serving.specs import ENDPOINT
from ephemeral_endpoints.kube.cache import class_key

CLASS = class_key("default")


def events_of_class(env: Environment) -> list[tuple[str, str]]:
    return [(each.kind, each.reason) for each in env.api.events if each.of == CLASS.name]


async def snapshot(env: Environment) -> None:
    with suppress(AwsError):
        await env.snapshot()


async def test_a_class_reports_a_list_that_fails_and_its_recovery_while_its_objects_stay_ready(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="ListFunctions", error=DENIED))
    await snapshot(env)
    await env.reason(CLASS, "AccessDenied", saying="ListFunctions: not you")
    assert env.condition(key)["status"] == "True"

    writes, events = env.api.writes, events_of_class(env)
    assert events[-1] == ("Warning", "AccessDenied")
    await snapshot(env)
    await env.rest()
    assert env.api.writes == writes, "it is reported once"
    assert events_of_class(env) == events

    fresh_aws.control.clear_faults()
    await snapshot(env)
    await env.reason(CLASS, "Connected")
    assert events_of_class(env) == [*events, ("Normal", "Connected")]


async def test_a_list_that_fails_once_is_not_reported_by_the_class(env: Environment, fresh_aws: Aws) -> None:
    key = env.make()
    await env.ready(key)
    away = FaultError(code="InternalFailure", message="away", status=500)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="ListFunctions", error=away))
    writes = env.api.writes
    await snapshot(env)
    await env.rest()
    assert env.api.writes == writes
    assert env.condition(CLASS)["reason"] == "Connected"


def throttles(aws: Aws) -> list[tuple[float | None, int | None]]:
    """The rates and bursts of the routes of all APIs."""
    client = aws.client("apigatewayv2")
    stages = [stage for api in client.get_apis()["Items"] for stage in client.get_stages(ApiId=api["ApiId"])["Items"]]
    settings = [stage.get("DefaultRouteSettings", {}) for stage in stages]
    return [(each.get("ThrottlingRateLimit"), each.get("ThrottlingBurstLimit")) for each in settings]


async def test_every_url_is_throttled_as_the_class_says_and_by_default(env: Environment, fresh_aws: Aws) -> None:
    await env.ready(env.make())
    await env.until(lambda: throttles(fresh_aws) == [(100, 200)], "the default")
    env.api.change(CLASS, {"spec": {"routing": {"throttle": {"rateLimit": 5, "burstLimit": 7}}}})
    await env.until(lambda: throttles(fresh_aws) == [(5, 7)], "the limits of the class")
    await env.rest()
    fresh_aws.control.reset_meter()
    await env.refresh(CLASS)
    assert fresh_aws.control.log() == []


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("BadRequestException", 400, "InvalidRequest"),
        ("NotFoundException", 404, "Connected"),
        ("AccessDeniedException", 403, "AccessDenied"),
    ],
)
async def test_a_throttle_that_aws_refuses_keeps_no_object_from_being_served(
    env: Environment, fresh_aws: Aws, code: str, status: int, reason: str
) -> None:
    refused = FaultError(code=code, message="Unable to find Route by key ANY /gone", status=status)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="UpdateStage", error=refused))
    one, other = env.make("one"), env.make("other")
    await env.ready(one)
    await env.ready(other)
    assert throttles(fresh_aws) == [(None, None)]
    if reason != "Connected":
        await env.reason(CLASS, reason, saying="UpdateStage: Unable to find Route")
    fresh_aws.control.clear_faults()
    env.operator.enqueue(CLASS)
    await env.until(lambda: throttles(fresh_aws) == [(100, 200)], "the throttle, once AWS takes it")


async def test_a_class_is_enqueued_when_another_client_removes_the_finalizer_of_a_terminating_object(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make()
    await env.ready(key)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteIntegration", held=True))
    env.api.remove(key)
    await env.until(lambda: fresh_aws.control.faults()[0].fired == 1, "its integration is being deleted")
    # What waits for the end of the endpoint would be the sweep's.
    [account] = env.operator.accounts.connected
    await env.until(lambda: not any(each.kind is ENDPOINT for each in account.inventory.all), "its endpoint is gone")
    env.api.vanish(key)
    fresh_aws.control.clear_faults()
    await env.until(lambda: not contents(fresh_aws.client), "nothing is left")


async def test_a_class_says_nothing_new_after_a_start_before_its_queue_was_tried(
    env: Environment, fresh_aws: Aws
) -> None:
    env.api.change(CLASS, {"spec": {"events": {"queueName": "late"}}})
    await env.reason(CLASS, "EventsUnavailable")
    await env.stop()
    fresh_aws.control.add_faults(Fault(service="sqs", operation="GetQueueUrl", held=True))
    await env.start()
    await env.refresh(CLASS)
    assert env.condition(CLASS)["reason"] == "EventsUnavailable"
    fresh_aws.client("sqs").create_queue(QueueName="late")
    fresh_aws.control.clear_faults()
    await env.reason(CLASS, "Connected")


async def test_a_class_is_connected_once_its_roles_can_be_assumed(env: Environment, fresh_aws: Aws) -> None:
    missing = env.make_class("late", executionRoleArn=f"arn:aws:iam::{ministack.ACCOUNT}:role/late")
    message = await env.reason(missing, "RoleUnusable")
    assert "executionRoleArn names arn:aws:iam::000000000000:role/late, which does not exist: create" in message
    fresh_aws.make_role("late")
    env.clock.advance(300)
    await env.refresh(missing)
    assert (
        env.condition(missing)["message"] == "the operator can use the class's account and region, and its roles exist"
    )
    writes = env.api.writes
    fresh_aws.control.reset_meter()
    await env.refresh(missing)
    assert (env.api.writes, fresh_aws.control.calls()) == (writes, {}), "roles are not read at every reconciliation"


async def test_a_class_whose_roles_the_operator_may_not_read_is_connected_and_says_so(
    env: Environment, fresh_aws: Aws
) -> None:
    refused = FaultError(code="AccessDenied", message="not you", status=403)
    fresh_aws.control.add_faults(Fault(service="iam", operation="GetRole", error=refused))
    unread = env.make_class("unread")
    message = await env.reason(unread, "Connected")
    assert (
        "it is not known whether its roles exist: GetRole: not you (AccessDenied): a platform engineer must" in message
    )
    assert env.condition(unread)["status"] == "True"


async def test_an_issuer_that_does_not_answer_holds_up_only_those_who_take_its_jwts(
    env: Environment, fresh_aws: Aws, issuer: Issuer
) -> None:
    place = f"{issuer.url}/late-{CLASS.name}"
    auth = {"jwt": {"issuer": place, "audiences": ["https://previews.example.com"]}}
    env.api.change(CLASS, {"spec": {"routing": {"auth": auth}}})
    by_token, by_jwt = env.make("token"), env.make("jwt", api={"auth": {"type": "JWT"}})
    await env.ready(by_token)
    await env.reason(CLASS, "InvalidRequest", saying="Caught exception when connecting to")
    gateway = fresh_aws.session.client("apigatewayv2", endpoint_url=fresh_aws.endpoint)
    [api] = gateway.get_apis()["Items"]
    routes = {each["RouteKey"] for each in gateway.get_routes(ApiId=api["ApiId"])["Items"]}
    assert "ANY /nlp/jwt" not in routes, "nothing leads to it that does not ask for a JWT"
    issuer.documents[f"/late-{CLASS.name}/.well-known/openid-configuration"] = {"jwks_uri": f"{place}/keys"}
    env.operator.enqueue(CLASS)
    await env.ready(by_jwt)
    env.api.change(CLASS, {"spec": {"routing": {"auth": {"jwt": None}}}})
    await env.until(lambda: not gateway.get_authorizers(ApiId=api["ApiId"])["Items"], "the end of the authorizer")
    await env.reason(by_jwt, "IssuerMissing", "Stalled", saying="names no issuer of JWTs")
