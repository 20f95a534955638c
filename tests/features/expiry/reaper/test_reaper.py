"""The reaper against the embedded AWS, as the role that is generated for it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import ClientError
from tests.features.expiry.reaper.conftest import CLASS, DAY, ENDS_AT, KEY, TOPIC, Killed, Preview, Reaper
from tests.fixtures.waiting import eventually

from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.deploy.policies import Principal, of
from ephemeral_endpoints.engine.names import endpoint_logs, owner_of
from ephemeral_endpoints.engine.tags import CLUSTER, EXPIRES_AT, RETAINED_TAGS, UID, timestamp
from ephemeral_endpoints.features.expiry.reaper.kinds import ITS_OWN, WITH_ANOTHER
from ephemeral_endpoints.features.images.specs import REPOSITORY
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.routing.feedback.specs import FEEDBACK_TABLE
from ephemeral_endpoints.features.routing.specs import API_MAPPING, FUNCTION
from ephemeral_endpoints.features.serving.specs import ENDPOINT, MODEL
from ephemeral_endpoints.iam.statement import granted

LATER = timestamp(ENDS_AT + 9 * DAY)
WRITTEN_BY_LAMBDA = {"logs:CreateLogStream", "logs:PutLogEvents"}


async def test_all_that_an_expired_object_left_goes_in_order_by_no_more_than_the_generated_rights(
    preview: Preview, reaper: Reaper
) -> None:
    await preview.make_all()
    preview.make_route_of_somebody()
    lasting = {"Pipeline": [preview.make_pipeline()], "Repository": [preview.key(REPOSITORY).name]}
    sns = preview.aws.client("sns")
    sns.create_topic(Name=TOPIC.rpartition(":")[2])
    reaper.environment["TOPIC_ARN"] = TOPIC

    deleted = await asyncio.to_thread(reaper.run_until_done)
    assert contents(preview.aws.client) == lasting
    order = [kind for kind, _ in deleted]
    assert {*order} == {kind.name for kind in KINDS} - {"Repository", *WITH_ANOTHER, *ITS_OWN}
    for earlier, later in [
        ("RouteThrottle", "Route"),
        ("Route", "Integration"),
        ("Integration", "Function"),
        ("ScalableTarget", "Endpoint"),
        ("Endpoint", "EndpointConfig"),
        ("EndpointConfig", "Model"),
        ("Function", "LogGroup"),
        ("Integration", "HttpApi"),
    ]:
        assert order.index(earlier) < order.index(later), (earlier, later)
    assert order.index("ApiMapping") < max(at for at, kind in enumerate(order) if kind == "HttpApi"), "the class's"

    logs, late = preview.aws.client("logs"), endpoint_logs(preview.names.base)
    logs.create_log_group(logGroupName=late)
    reaper.move_to((ENDS_AT + 40 * DAY).replace(hour=0, minute=5, second=0))
    await asyncio.to_thread(reaper.run_until_done)
    assert contents(preview.aws.client) == {}

    permissions = preview.aws.control.permissions(KEY)
    assert permissions.denied == []
    used = {use.action for use in permissions.used}
    assert granted(row for each in of(Principal.REAPER) for row in each.statements) - used == WRITTEN_BY_LAMBDA
    sids = {row.sid for each in of(Principal.REAPER) for row in each.statements}
    assert sids - {use.sid for use in permissions.used} == {"WriteLogs", "DeleteAlarmsOfScaling"}


async def test_an_object_within_the_grace_stays(preview: Preview, reaper: Reaper) -> None:
    await preview.make_all()
    before = contents(preview.aws.client)
    reaper.move_to(ENDS_AT + DAY - timedelta(minutes=5))
    report = await asyncio.to_thread(reaper.run)
    assert (report["deleted"], report["complete"]) == ([], True)
    assert contents(preview.aws.client) == before


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (((EXPIRES_AT, LATER),), "extended: the index may not know yet"),
        (RETAINED_TAGS, "retained"),
    ],
    ids=["extended", "retained"],
)
async def test_one_resource_with_a_later_end_keeps_the_whole_object(
    preview: Preview, reaper: Reaper, tags: tuple[tuple[str, str], ...], reason: str
) -> None:
    """The index lags: what is decided is what the service of the resource says."""
    await preview.make_all()
    await asyncio.to_thread(reaper.run, GRACE_HOURS="9999")
    preview.aws.control.hold_tag_index()
    await preview.components[FUNCTION].add_tags(preview.calls, preview.observed(FUNCTION), tags)
    before = contents(preview.aws.client)
    assert (await asyncio.to_thread(reaper.run))["deleted"] == [], reason
    assert contents(preview.aws.client) == before
    preview.aws.control.hold_tag_index(is_held=False)
    assert (await asyncio.to_thread(reaper.run))["deleted"] == [], reason


async def test_an_object_that_is_extended_while_it_goes_keeps_what_is_dear(preview: Preview, reaper: Reaper) -> None:
    """The operator makes the rest again: whoever extends an object has one."""
    await preview.make_all()
    preview.make_route_of_somebody()
    reaper.before = once("DeleteFunction", partial(extend, preview))
    report = await asyncio.to_thread(reaper.run)
    left = contents(preview.aws.client)
    assert {"Endpoint", "EndpointConfig", "Model", "FeedbackTable", "LogGroup"} <= left.keys()
    assert preview.names.base in left["HttpApi"], "its URL stays"
    assert {"Function", "Route", "ScalableTarget"} <= report["deleted_by_kind"].keys(), "they went before"
    assert await asyncio.to_thread(reaper.run_until_done) == []
    assert contents(preview.aws.client) == left


async def test_an_object_that_is_extended_too_late_keeps_what_its_next_endpoint_needs(
    preview: Preview, reaper: Reaper
) -> None:
    await preview.make_all()
    reaper.before = once("DeleteEndpoint", partial(extend_hosting, preview))
    report = await asyncio.to_thread(reaper.run)
    assert report["deleted_by_kind"]["Endpoint"] == 1
    await asyncio.to_thread(reaper.run_until_done)
    assert {"EndpointConfig", "Model", "LogGroup"} <= contents(preview.aws.client).keys()


def once(operation: str, act: Callable[[], object]) -> Callable[[str, object], None]:
    """Does something once: right before the first call of an operation is sent."""
    turn = iter([act])

    def before(sent: str, _: object) -> None:
        if sent == operation and (first := next(turn, None)):
            first()

    return before


def extend_hosting(preview: Preview) -> None:
    """As the operator does, but of no more than is needed: one resource with a later end keeps its object."""
    tags = [{"Key": EXPIRES_AT, "Value": LATER}]
    for kind in (ENDPOINT, MODEL):
        preview.aws.client("sagemaker").add_tags(ResourceArn=preview.observed(kind).arn, Tags=tags)


def extend(preview: Preview) -> None:
    """Likewise, and the table and the object's own API."""
    extend_hosting(preview)
    table = preview.observed(FEEDBACK_TABLE).arn
    preview.aws.client("dynamodb").tag_resource(ResourceArn=table, Tags=[{"Key": EXPIRES_AT, "Value": LATER}])
    gateway = preview.aws.client("apigatewayv2")
    [own] = [each["ApiId"] for each in gateway.get_apis()["Items"] if each["Name"] == preview.names.base]
    arn = f"arn:aws:apigateway:{preview.scope.region}::/apis/{own}"
    gateway.tag_resource(ResourceArn=arn, Tags={EXPIRES_AT: LATER})


@pytest.mark.parametrize("operation", ["ListTags", "DeleteRoute", "DeleteFunction", "DeleteEndpoint"])
async def test_a_role_that_is_denied_halfway_deletes_no_more_and_the_next_run_goes_on(
    preview: Preview, reaper: Reaper, operation: str
) -> None:
    await preview.make_all()
    preview.make_route_of_somebody()
    reaper.before = once(operation, partial(reaper.aws.control.hold_to, KEY, []))
    with pytest.raises(ClientError, match="AccessDenied"):
        await asyncio.to_thread(reaper.run)
    assert not reaper.report["complete"]
    left = contents(preview.aws.client)
    assert {"Endpoint", "EndpointConfig", "Model", "LogGroup"} <= left.keys()
    assert ("Function" in left) or ("Integration" not in left), "nothing goes before what leads to it"
    reaper.hold()
    await asyncio.to_thread(reaper.run_until_done)
    assert reaper.report["failures"] == {}
    assert contents(preview.aws.client).keys() == {"Repository"}


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_function_whose_clock_is_off_is_refused_and_deletes_nothing(
    preview: Preview, reaper: Reaper, hours: int
) -> None:
    """What has ended it knows from AWS's time, and AWS takes no call that was signed at another one."""
    await preview.make_all()
    before = contents(preview.aws.client)

    def sign_at_another_time(_: str, request: AWSPreparedRequest) -> None:
        request.headers["X-Amz-Date"] = f"{datetime.now(UTC) + timedelta(hours=hours):%Y%m%dT%H%M%SZ}"

    reaper.before = sign_at_another_time
    with pytest.raises(ClientError, match="Signature"):
        await asyncio.to_thread(reaper.run)
    assert (reaper.report["complete"], contents(preview.aws.client)) == (False, before)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_date_of_aws_that_the_clock_of_the_function_does_not_tell_deletes_nothing(
    preview: Preview, reaper: Reaper, hours: int
) -> None:
    await preview.make(await preview.prepare(ALARM))
    before = contents(preview.aws.client)
    reaper.off = timedelta(hours=hours)
    with pytest.raises(ValueError, match="this function's clock differs: nothing is deleted"):
        await asyncio.to_thread(reaper.run)
    assert (reaper.report["complete"], [*reaper.report["failures"]], contents(preview.aws.client)) == (
        False,
        ["run"],
        before,
    )
    reaper.off = timedelta(minutes=4)
    assert (await asyncio.to_thread(reaper.run))["deleted"]


async def test_the_api_of_an_object_that_has_the_name_of_its_class_stays_with_the_object(
    preview: Preview, reaper: Reaper
) -> None:
    live = replace(preview, uid="uid-2", object_name=CLASS, ends_at=ENDS_AT + 9 * DAY, known={})
    await live.make_own_api()
    report = await asyncio.to_thread(reaper.run)
    assert (report["deleted"], report["left"]) == ([], [])
    assert contents(preview.aws.client)["HttpApi"] == [live.names.base]


async def test_what_a_class_shares_stays_while_it_has_an_object(preview: Preview, reaper: Reaper) -> None:
    live = replace(preview, uid="uid-2", ends_at=ENDS_AT + 9 * DAY, known={})
    await preview.make_all()
    await live.make(live.resources[LOG_GROUP])
    await asyncio.to_thread(reaper.run_until_done)
    left = contents(preview.aws.client)
    assert left.keys() == {"Alarm", "ApiMapping", "Authorizer", "DeliveryStream", "HttpApi", "LogGroup", "Repository"}
    assert (len(left["HttpApi"]), [name.rpartition(":")[2] for name in left["Alarm"]]) == (1, ["lost"])


async def test_only_the_own_cluster_and_class_are_touched(preview: Preview, reaper: Reaper) -> None:
    other_class = replace(preview, uid="uid-2", class_name="gpu", known={})
    other_cluster = replace(preview, uid="uid-3", known={}, scope=replace(preview.scope, cluster_id="c2"))
    for each in (preview, other_class, other_cluster):
        await each.make(await each.prepare(ENDPOINT))
    await asyncio.to_thread(reaper.run_until_done)
    names = {each.key(ENDPOINT).name for each in (other_class, other_cluster)}
    assert {*contents(preview.aws.client)["Endpoint"]} == names
    preview.aws.control.hold_to(KEY, [])
    reaper.hold()
    reaper.aws.control.forget_permissions()
    report = await asyncio.to_thread(reaper.run, CLASS_NAME="gpu")
    assert report["failures"].keys() == {"Endpoint"}, "the role is that of the first class"
    assert {*contents(preview.aws.client)["Endpoint"]} == names


async def test_of_two_reapers_in_an_account_each_takes_what_is_of_its_class(preview: Preview, reaper: Reaper) -> None:
    other = replace(preview, uid="uid-2", class_name="gpu", known={})
    for each in (preview, other):
        for kind in (ENDPOINT, FUNCTION, ALARM):
            await each.make(await each.prepare(kind))
        await each.make_own_api()
    second = reaper.of_class("gpu")
    await asyncio.to_thread(second.run_until_done)
    left = contents(preview.aws.client)
    assert left.keys() == {"Alarm", "Endpoint", "EndpointConfig", "Function", "HttpApi", "Model"}
    owners = {owner_of(preview.scope.cluster_id, name) for names in left.values() for name in names}
    assert owners == {preview.names.owner}
    await asyncio.to_thread(reaper.run_until_done)
    assert contents(preview.aws.client) == {}
    for run in (reaper, second):
        assert (run.report["failures"], preview.aws.control.permissions(run.key).denied) == ({}, [])


async def test_a_reaper_that_dies_at_some_call_goes_on_where_it_was(preview: Preview, reaper: Reaper) -> None:
    """Each run gets a few calls further than the one before, before it dies."""
    await preview.make_all()
    preview.make_route_of_somebody()
    for most in range(1, 400, 6):
        with suppress(Killed):
            await asyncio.to_thread(reaper.run_until_killed, most)
        if contents(preview.aws.client).keys() == {"Repository"}:
            break
    assert contents(preview.aws.client).keys() == {"Repository"}


async def test_a_resource_without_the_owner_tags_is_left_and_named(preview: Preview, reaper: Reaper) -> None:
    """Tags that were removed by hand from a running endpoint, and a stranger's model with a name like ours."""
    sagemaker = preview.aws.client("sagemaker")
    await preview.make_all()
    sagemaker.delete_tags(ResourceArn=preview.observed(ENDPOINT).arn, TagKeys=[CLUSTER, UID])
    reaper.move_to(ENDS_AT + 3 * DAY)
    report = await asyncio.to_thread(reaper.run)
    [stranger] = [each for each in report["left"] if each["kind"] == "Endpoint"]
    assert stranger["name"] == preview.key(ENDPOINT).name
    assert "restore them" in stranger["why"]
    assert contents(preview.aws.client)["Endpoint"] == [preview.key(ENDPOINT).name]


async def test_a_stranger_with_our_name_and_an_old_end_is_left(preview: Preview, reaper: Reaper) -> None:
    model = await preview.make(await preview.prepare(MODEL))
    forged = dict(preview.tags) | {UID: "forged"}
    preview.aws.client("sagemaker").add_tags(
        ResourceArn=model.arn, Tags=[{"Key": key, "Value": value} for key, value in forged.items()]
    )
    report = await asyncio.to_thread(reaper.run)
    assert report["deleted"] == []
    assert [each["name"] for each in report["left"]] == [model.key.name]


async def test_an_index_that_cannot_be_read_is_not_an_empty_one(preview: Preview, reaper: Reaper) -> None:
    await preview.make(await preview.prepare(ENDPOINT))
    before = contents(preview.aws.client)
    for operation in ("GetTagValues", "GetResources"):
        preview.aws.control.add_faults(denial("resourcegroupstaggingapi", operation))
        with pytest.raises(ClientError, match="AccessDenied"):
            await asyncio.to_thread(reaper.run)
        assert (reaper.report["complete"], [*reaper.report["failures"]]) == (False, ["run"])
        assert runs_of(preview) == 0, "the alarm on silence counts complete runs only"
        preview.aws.control.clear_faults()
    assert contents(preview.aws.client) == before
    await asyncio.to_thread(reaper.run)
    assert runs_of(preview) == 1


def runs_of(preview: Preview) -> float:
    """How many runs the alarm on silence counts."""
    cloudwatch = preview.aws.client("cloudwatch")
    dimensions = [{"Name": "Cluster", "Value": "c1"}, {"Name": "Class", "Value": "default"}]
    answer = cloudwatch.get_metric_statistics(
        Namespace="EphemeralEndpoints/Reaper",
        MetricName="Runs",
        Dimensions=dimensions,
        StartTime=ENDS_AT - DAY,
        EndTime=ENDS_AT + 9 * DAY,
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(each["Sum"] for each in answer["Datapoints"]))


def denial(service: str, operation: str) -> Fault:
    return Fault(service=service, operation=operation, error=FaultError(code="AccessDeniedException", status=400))


async def test_a_kind_that_is_denied_or_hangs_stops_nothing_else(preview: Preview, reaper: Reaper) -> None:
    await preview.make_all()
    reaper.impatient_with = "ListTagsForResource"
    preview.aws.control.add_faults(
        denial("sagemaker", "DeleteEndpoint"),
        Fault(service="cloudwatch", operation="ListTagsForResource", delay_seconds=5),
    )
    report = await asyncio.to_thread(reaper.run)
    assert report["failures"].keys() == {"Endpoint", "Alarm"}
    assert {each["kind"] for each in report["left"]} == {"Alarm"}
    left = contents(preview.aws.client)
    assert {"Endpoint", "EndpointConfig", "Model", "Alarm"} <= left.keys()
    assert "Function" not in left

    preview.aws.control.clear_faults()
    reaper.impatient_with = ""
    await asyncio.to_thread(reaper.run_until_done)
    assert reaper.report["failures"] == {}
    assert contents(preview.aws.client).keys() == {"Repository"}


async def test_an_endpoint_that_is_changing_goes_by_a_later_run(preview: Preview, reaper: Reaper) -> None:
    await preview.make_all()
    preview.aws.control.patch_sagemaker_settings({"behaviour": {"delete_seconds": 3600}})
    await asyncio.to_thread(reaper.run)
    report = await asyncio.to_thread(reaper.run)
    assert report["failures"] == {}
    assert contents(preview.aws.client).keys() >= {"Endpoint", "EndpointConfig", "Model", "LogGroup"}


async def test_an_api_of_which_nothing_stays_goes_with_all_its_routes_by_one_call(
    preview: Preview, reaper: Reaper
) -> None:
    """What leads to it goes before, and what it leads to after it."""
    await preview.make_all(API_MAPPING)
    preview.aws.control.reset_meter()
    report = await asyncio.to_thread(reaper.run)
    deleted = [name for name in preview.aws.control.calls()["apigatewayv2"] if name.startswith("Delete")]
    assert deleted == ["DeleteApi"]
    assert {"Function", "Endpoint"} <= {each["kind"] for each in report["deleted"]}
    assert contents(preview.aws.client).keys() & {"HttpApi", "Integration", "Route", "RouteThrottle"} == set()


@pytest.mark.parametrize("why", ["young", "denied"])
async def test_an_api_that_may_not_go_yet_loses_its_routes_one_by_one(
    preview: Preview, reaper: Reaper, why: str
) -> None:
    ended = replace(preview, ends_at=ENDS_AT - 3 * DAY, known={}) if why == "young" else preview
    await ended.make_all(API_MAPPING)
    if why == "young":
        preview.aws.control.set_ahead(0)
    else:
        preview.aws.control.add_faults(denial("apigatewayv2", "DeleteApi"))
    await asyncio.to_thread(reaper.run)
    left = contents(preview.aws.client)
    assert left.keys() & {"HttpApi", "Integration", "Route", "RouteThrottle", "Function"} == {"HttpApi"}


async def test_what_is_left_behind_an_endpoint_takes_no_turn(preview: Preview, reaper: Reaper) -> None:
    """Else every second run would be about what the one before has deleted."""
    previews = [replace(preview, uid=f"uid-{number}", known={}) for number in range(3)]
    for each in previews:
        await each.make(await each.prepare(ENDPOINT))
    turns = []
    for _ in range(4):
        report = await asyncio.to_thread(reaper.run, MOST_OBJECTS="1")
        turns.append((report["deleted_by_kind"].get("Endpoint", 0), report["waiting"]))
        await asyncio.to_thread(eventually, lambda: not reaper.is_ending(), "the end of what is being deleted")
    assert turns == [(1, 2), (1, 1), (1, 0), (0, 0)]
    assert contents(preview.aws.client) == {}


async def test_so_many_at_once_are_held_for_another_grace(preview: Preview, reaper: Reaper) -> None:
    previews = [replace(preview, uid=f"uid-{number}", known={}) for number in range(6)]
    for each in previews:
        await each.make(each.resources[ALARM])
    reaper.move_to(ENDS_AT + 2 * DAY - timedelta(minutes=30))
    report = await asyncio.to_thread(reaper.run)
    assert (report["held"], report["deleted"]) == (6, [])
    reaper.move_to(ENDS_AT + 3 * DAY)
    report = await asyncio.to_thread(reaper.run, MOST_OBJECTS="4")
    assert (report["held"], report["waiting"], len(report["deleted"])) == (0, 2, 4)


async def ended_alike(preview: Preview, count: int) -> list[Preview]:
    """Objects with an alarm and a log group each, and neither an endpoint nor a function."""
    previews = [replace(preview, uid=f"uid-{number}", known={}) for number in range(count)]
    for each in previews:
        await each.make(each.resources[LOG_GROUP])
        await each.make(each.resources[ALARM])
    return previews


async def test_what_is_gone_and_still_in_the_index_takes_no_turn(preview: Preview, reaper: Reaper) -> None:
    await ended_alike(preview, 6)
    reaper.move_to(ENDS_AT + 5 * DAY)
    await asyncio.to_thread(reaper.run, GRACE_HOURS="9999")
    preview.aws.control.hold_tag_index()
    report = await asyncio.to_thread(reaper.run, MOST_OBJECTS="4")
    assert (report["deleted_by_kind"], report["waiting"]) == ({"Alarm": 4, "LogGroup": 4}, 2)
    report = await asyncio.to_thread(reaper.run, MOST_OBJECTS="4")
    assert (report["deleted_by_kind"], report["waiting"], report["left"]) == ({"Alarm": 2, "LogGroup": 2}, 0, [])


async def test_the_objects_of_a_run_are_found_by_few_calls_and_their_alarms_go_by_one(
    preview: Preview, reaper: Reaper
) -> None:
    """An alarm more would go by the same call, and an object more be found by the same calls."""
    await ended_alike(preview, 6)
    reaper.move_to(ENDS_AT + 5 * DAY)
    preview.aws.control.reset_meter()
    report = await asyncio.to_thread(reaper.run)
    assert (report["deleted_by_kind"], report["failures"]) == ({"Alarm": 6, "LogGroup": 6}, {})
    calls = preview.aws.control.calls()
    assert calls["resourcegroupstaggingapi"] == {"GetTagValues": 1, "GetResources": 5}
    assert (calls["sagemaker"], calls["application-autoscaling"]) == (
        {"ListEndpoints": 1},
        {"DescribeScalableTargets": 1},
    )
    assert calls["cloudwatch"]["DeleteAlarms"] == 1


async def test_alarms_of_which_one_cannot_be_deleted_go_one_by_one(preview: Preview, reaper: Reaper) -> None:
    """AWS deletes all of a call or none."""
    previews = await ended_alike(preview, 3)
    stays = previews[1].key(ALARM).name
    preview.aws.control.reset_meter()
    refused = FaultError(code="ValidationError", status=400)
    preview.aws.control.add_faults(Fault(service="cloudwatch", operation="DeleteAlarms", resource=stays, error=refused))
    report = await asyncio.to_thread(reaper.run)
    assert contents(preview.aws.client)["Alarm"] == [stays]
    assert (report["deleted_by_kind"]["Alarm"], report["failures"].keys()) == (2, {"Alarm"})
    assert preview.aws.control.calls()["cloudwatch"]["DeleteAlarms"] == 1 + 3


async def test_at_rest_a_run_takes_few_calls(preview: Preview, reaper: Reaper) -> None:
    await preview.make_all()
    preview.aws.control.set_ahead(0)
    preview.aws.control.reset_meter()
    report = await asyncio.to_thread(reaper.run)
    assert report["calls"] == sum(sum(each.values()) for each in preview.aws.control.calls().values()) <= 12
