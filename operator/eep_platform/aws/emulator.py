"""ministack as a program, with patches that bring it closer to AWS.

Those of HTTP APIs are in `gateway`, `api_parts` and `authorizers`.

- ministack accepts event sources that begin with ``aws.`` only from its own services; our SageMaker is another process.
- It kills the busy workers of a function whose code changes; Lambda lets invocations in flight end
  (https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html).
- It drops the exclusions from a repository's tag immutability
  (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html).
- It deletes an image together with one of its tags; ECR removes only the tag
  (https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html).
- It evaluates alarms only when data arrives, over the data of all dimensions and without regard to missing data. How
  many seconds of their periods pass in one second can be set (``PUT /_ministack/alarms``).
- It serves an HTTP API that has no stage; API Gateway answers 404 until ``$default`` is created
  (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html).
- It reserves any concurrency for a function; Lambda keeps 100 executions of the account unreserved
  (https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html).
- It creates and deletes tables at once, see ``tables``, and writes records of Firehose one by one, see ``streams``.
- It deletes rules with targets, and lets rules run functions that do not permit it, see ``event_rules``.
- It says that layers are downloaded from AWS, where they are not.
- Its functions have the machine's clock; it can be ahead (``PUT /_ministack/clock``), as that of answers in ``clock``.
"""

import functools
import json
import os
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ministack import app
from ministack.core import lambda_runtime, responses
from ministack.core.responses import request_scope
from ministack.services import apigateway, apigateway_v1, cloudwatch, dynamodb, ecr, eventbridge, lambda_svc, ssm
from pydantic import ValidationError

from eep_platform.aws import api_parts, authorizers, gateway, ministack, streams
from eep_platform.aws.alarms import Pace, Rule, State, Windows
from eep_platform.aws.event_rules import RuleRefusals, if_permitted, with_permissions
from eep_platform.aws.parameters import Refusals
from eep_platform.aws.tables import ON_ITEMS, ON_TABLES, TableStates

_POLL_SECONDS = 0.05
_EVALUATION_SECONDS = 5
_ALARMS = "/_ministack/alarms"
_CLOCK = "/_ministack/clock"

_AHEAD = "clock-ahead"
"""The file, in the directory of temporary files, that tells functions by how many seconds their clock is ahead."""

_MOVED_CLOCK = f"""
import pathlib, tempfile, time

def _ahead(file=pathlib.Path(tempfile.gettempdir(), {_AHEAD!r}), machine=time.time):
    try:
        return machine() + float(file.read_text())
    except FileNotFoundError:
        return machine()

time.time = _ahead
"""

_LEAST_UNRESERVED = 100

_EXCLUSIONS = "imageTagMutabilityExclusionFilters"

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, Any]], Answer]
Kill = Callable[[Iterable[Any]], None]
Shape = Callable[[dict[str, Any]], dict[str, Any]]
Find = Callable[[str, dict[str, str]], dict[str, Any] | None]
Execute = Callable[..., Awaitable[Answer]]
Put = Callable[[str, dict[str, Any]], Answer]
Configure = Callable[[str, str, bytes], Awaitable[Answer | None]]


def sparing_busy(kill: Kill) -> Kill:
    """Kill idle workers at once, and each busy one as soon as it is idle."""

    def retire(worker: Any) -> None:  # noqa: ANN401 - ministack has no types
        while worker.in_use:
            time.sleep(_POLL_SECONDS)
        kill([worker])

    def kill_idle(workers: Iterable[Any]) -> None:
        listed = [worker for worker in workers if worker is not None]
        kill([worker for worker in listed if not worker.in_use])
        for worker in listed:
            if worker.in_use:
                threading.Thread(target=retire, args=(worker,), daemon=True).start()

    return kill_idle


def keeping_exclusions(handle: Handle, repositories: Mapping[str, dict[str, Any]]) -> Handle:
    """Handle a request that sets a repository's tag mutability, and keep its exclusions."""

    def handle_and_keep(data: dict[str, Any]) -> Answer:
        answer = handle(data)
        if answer[0] == HTTPStatus.OK:
            repositories[data["repositoryName"]][_EXCLUSIONS] = data.get(_EXCLUSIONS, [])
        return answer

    return handle_and_keep


def showing_exclusions(shape: Shape) -> Shape:
    """Show the exclusions with a repository."""

    def shown(repository: dict[str, Any]) -> dict[str, Any]:
        exclusions = repository.get(_EXCLUSIONS)
        return {**shape(repository), **({_EXCLUSIONS: exclusions} if exclusions else {})}

    return shown


def taking_off_tags(delete: Handle, find: Find) -> Handle:
    """Delete an image by tag only if it has no other tag."""

    def handle(data: dict[str, Any]) -> Answer:
        rest, taken = [], []
        for each in data.get("imageIds", []):
            image = None if "imageDigest" in each else find(data.get("repositoryName", ""), each)
            if image and len(image["imageTags"]) > 1:
                image["imageTags"].remove(each["imageTag"])
                taken.append({**each, "imageDigest": image["imageDigest"]})
            else:
                rest.append(each)
        status, headers, body = delete({**data, "imageIds": rest})
        if taken:
            answer = json.loads(body)
            body = json.dumps({**answer, "imageIds": [*taken, *answer["imageIds"]]}).encode()
        return status, headers, body

    return handle


def listing_tags(list_images: Handle, find: Find) -> Handle:
    """List an image once by each of its tags, and by its digest alone if it has none (any more)."""

    def handle(data: dict[str, Any]) -> Answer:
        status, headers, body = list_images(data)
        if status != HTTPStatus.OK:
            return status, headers, body
        ids: list[dict[str, str]] = []
        for digest in (each["imageDigest"] for each in json.loads(body)["imageIds"]):
            image = find(data["repositoryName"], {"imageDigest": digest}) or {}
            tagged = [{"imageDigest": digest, "imageTag": tag} for tag in image.get("imageTags", [])]
            ids += tagged or [{"imageDigest": digest}]
        return status, headers, json.dumps({"imageIds": ids}).encode()

    return handle


def evaluate(alarm: dict[str, Any], pace: Pace) -> None:
    """Put an alarm into the state that its metric asks for, with all that follows from a change of it."""
    rule = Rule.of(alarm)
    if rule is None:
        return
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm["Dimensions"]))  # noqa: SLF001 - no call does it
    points = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions), [])  # noqa: SLF001 - likewise
    unit = alarm.get("Unit")
    of_unit = [(pace.at(each["Timestamp"]), each) for each in points if unit in (None, each["Unit"])]
    windows: Windows[dict[str, Any]] = Windows.of(rule, pace.at(time.time()))
    name = alarm.get("ExtendedStatistic") or alarm["Statistic"]
    values = [_statistic(name, each) for each in windows.fill(of_unit)]
    state, reason = rule.state(State(alarm["StateValue"]), values)
    if state != alarm["StateValue"]:
        change = {"AlarmName": alarm["AlarmName"], "StateValue": str(state), "StateReason": reason}
        cloudwatch._set_alarm_state({}, change, is_cbor=False, is_json=True)  # noqa: SLF001 - likewise


def _statistic(name: str, points: Sequence[dict[str, Any]]) -> float | None:
    """A statistic of one period; None without data, and for those that ministack cannot compute."""
    statistics = cloudwatch._calc_stats(points)  # noqa: SLF001 - no call does it
    computed = name in statistics or cloudwatch._is_percentile_stat(name)  # noqa: SLF001 - likewise
    return cloudwatch._stat_value(statistics, name, points) if computed else None  # noqa: SLF001 - likewise


def taking_pace(configure: Configure, pace: Pace) -> Configure:
    """Set the pace of alarms: the body is the number of seconds that pass in one."""

    async def configure_alarms(path: str, method: str, body: bytes) -> Answer | None:
        if (path, method) != (_ALARMS, "PUT"):
            return await configure(path, method, body)
        try:
            pace.set(body)
        except ValidationError as error:
            return HTTPStatus.BAD_REQUEST, {}, str(error).encode()
        return HTTPStatus.OK, {"Content-Type": "application/json"}, body

    return configure_alarms


def _keep(seconds: float, file: Path) -> None:
    """Keep how far a clock is ahead, where a function may read it at any moment; no file means that it is not."""
    if not seconds:
        file.unlink(missing_ok=True)
        return
    written = file.with_suffix(".new")
    written.write_text(str(seconds), encoding="utf-8")
    written.replace(file)


def taking_clock(configure: Configure, file: Path) -> Configure:
    """Set by how many seconds the clock of functions is ahead: the body, which is kept in ``file``."""

    async def configure_clock(path: str, method: str, body: bytes) -> Answer | None:
        if (path, method) != (_CLOCK, "PUT"):
            return await configure(path, method, body)
        try:
            seconds = float(body)
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, {}, str(error).encode()
        _keep(seconds, file)
        return HTTPStatus.OK, {"Content-Type": "application/json"}, body

    return configure_clock


def keeping_unreserved(put: Put, reserved: Callable[[str], int], quota: int) -> Put:
    """Refuse to reserve so much concurrency for a function that the account has too little left.

    ``reserved`` returns what is reserved for the other functions.
    """

    def put_within(name: str, data: dict[str, Any]) -> Answer:
        if quota - reserved(name) - data.get("ReservedConcurrentExecutions", 0) < _LEAST_UNRESERVED:
            message = (
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
                f"below its minimum value of [{_LEAST_UNRESERVED}]."
            )
            refused: Answer = responses.error_response_json("InvalidParameterValueException", message)
            return refused
        return put(name, data)

    return put_within


def _reserved_for_others(name: str) -> int:
    functions = lambda_svc._functions  # noqa: SLF001 - no call does it
    return sum(functions[each].get("concurrency") or 0 for each in functions if each != name)


def _evaluate_everywhere() -> None:
    for scope in {key[:2] for key, _ in cloudwatch._alarms.all_items()}:  # noqa: SLF001 - no call does it
        with request_scope(*scope):
            cloudwatch._evaluate_all_alarms()  # noqa: SLF001 - likewise


def _evaluate_regularly() -> None:
    """Evaluate all alarms every few seconds, in the loop that serves: an alarm ends when nothing arrives any more."""
    while True:
        time.sleep(_EVALUATION_SECONDS)
        if app._MAIN_LOOP is not None:  # noqa: SLF001 - likewise
            app._MAIN_LOOP.call_soon_threadsafe(_evaluate_everywhere)  # noqa: SLF001 - likewise


def with_a_stage(execute: Execute, stages: Callable[[str], Mapping[str, Any]], refusal: Answer) -> Execute:
    """Serve only stages that exist."""

    async def serve(api_id: str, stage: str, *request: object, **options: object) -> Answer:
        if stage not in stages(api_id):
            return refusal
        return await execute(api_id, stage, *request, **options)

    return serve


def downloading_here(handle: Handle, port: str) -> Handle:
    """Have layers downloaded from this machine."""

    def handle_here(data: dict[str, Any]) -> Answer:
        status, headers, body = handle(data)
        answer = json.loads(body)
        if status == HTTPStatus.OK:
            path = urlsplit(answer["downloadUrl"]).path
            body = json.dumps({**answer, "downloadUrl": f"http://127.0.0.1:{port}{path}"}).encode()
        return status, headers, body

    return handle_here


if __name__ == "__main__":
    publish = eventbridge._put_events  # noqa: SLF001 - no setting does it
    eventbridge._put_events = functools.partial(publish, allow_aws_source=True)  # noqa: SLF001 - likewise
    lambda_runtime.kill_workers = sparing_busy(lambda_runtime.kill_workers)
    repositories = ecr._repositories  # noqa: SLF001 - likewise
    ecr._create_repository = keeping_exclusions(ecr._create_repository, repositories)  # noqa: SLF001 - likewise
    ecr._put_image_tag_mutability = keeping_exclusions(  # noqa: SLF001 - likewise
        ecr._put_image_tag_mutability,  # noqa: SLF001 - likewise
        repositories,
    )
    ecr._batch_delete_image = taking_off_tags(  # noqa: SLF001 - likewise
        ecr._batch_delete_image,  # noqa: SLF001 - likewise
        ecr._find_image,  # noqa: SLF001 - likewise
    )
    ecr._list_images = listing_tags(ecr._list_images, ecr._find_image)  # noqa: SLF001 - likewise
    ecr._get_download_url_for_layer = downloading_here(  # noqa: SLF001 - likewise
        ecr._get_download_url_for_layer,  # noqa: SLF001 - likewise
        os.environ["GATEWAY_PORT"],
    )
    ecr._repo_shape = showing_exclusions(ecr._repo_shape)  # noqa: SLF001 - likewise
    lambda_svc._put_function_concurrency = keeping_unreserved(  # noqa: SLF001 - likewise
        lambda_svc._put_function_concurrency,  # noqa: SLF001 - likewise
        _reserved_for_others,
        ministack.CONCURRENT_EXECUTIONS,
    )
    alarm_pace = Pace()
    cloudwatch._evaluate_alarm = functools.partial(evaluate, pace=alarm_pace)  # noqa: SLF001 - likewise
    app._handle_admin_config_request = taking_clock(  # noqa: SLF001 - likewise
        taking_pace(app._handle_admin_config_request, alarm_pace),  # noqa: SLF001 - likewise
        Path(tempfile.gettempdir(), _AHEAD),
    )
    lambda_runtime._PYTHON_WORKER_SCRIPT = _MOVED_CLOCK + lambda_runtime._PYTHON_WORKER_SCRIPT  # noqa: SLF001 - likewise
    threading.Thread(target=_evaluate_regularly, daemon=True).start()
    not_found = apigateway._http_api_not_found()  # noqa: SLF001 - likewise
    apigateway.handle_execute = with_a_stage(apigateway.handle_execute, apigateway.stages_for_api, not_found)
    states = TableStates(
        dynamodb._tables,  # noqa: SLF001 - likewise
        dynamodb._delete_table,  # noqa: SLF001 - likewise
        functools.partial(responses.error_response_json, status=HTTPStatus.BAD_REQUEST),
        time.monotonic,
    )
    for name in (*ON_TABLES, *ON_ITEMS):
        setattr(dynamodb, name, states.over(name, getattr(dynamodb, name)))
    streams.install()
    authorizers.install(apigateway)
    api_parts.install(apigateway)
    refusals = Refusals(
        ssm._parameters,  # noqa: SLF001 - likewise
        functools.partial(responses.error_response_json, status=HTTPStatus.BAD_REQUEST),
    )
    ssm._put_parameter = refusals.of_puts(ssm._put_parameter)  # noqa: SLF001 - likewise
    ssm._describe_parameters = refusals.of_lists(ssm._describe_parameters)  # noqa: SLF001 - likewise
    for name in ("_add_tags_to_resource", "_list_tags_for_resource", "_remove_tags_from_resource"):
        setattr(ssm, name, refusals.of_tags(getattr(ssm, name)))
    rules = RuleRefusals(
        lambda name: (
            eventbridge._targets.get(f"default|{name}", ())  # noqa: SLF001 - likewise
            if f"default|{name}" in eventbridge._rules  # noqa: SLF001 - likewise
            else None
        ),
        responses.error_response_json,
    )
    eventbridge._put_rule = rules.of_puts(eventbridge._put_rule)  # noqa: SLF001 - likewise
    eventbridge._delete_rule = rules.of_deletions(eventbridge._delete_rule)  # noqa: SLF001 - likewise
    eventbridge._put_targets = rules.of_more_targets(eventbridge._put_targets)  # noqa: SLF001 - likewise
    for name in ("_list_targets_by_rule", "_put_targets", "_remove_targets"):
        setattr(eventbridge, name, rules.of_targets(getattr(eventbridge, name)))
    eventbridge._invoke_target = if_permitted(  # noqa: SLF001 - likewise
        eventbridge._invoke_target,  # noqa: SLF001 - likewise
        lambda_svc.function_policy_for_arn,
    )
    lambda_svc._get_policy = with_permissions(  # noqa: SLF001 - likewise
        lambda_svc._get_policy,  # noqa: SLF001 - likewise
        responses.error_response_json,
    )
    apis, routes, stages = apigateway._apis, apigateway._routes, apigateway._stages  # noqa: SLF001 - likewise
    apigateway._handle_execute_in_scope = gateway.passing_options(  # noqa: SLF001 - likewise
        apigateway._handle_execute_in_scope,  # noqa: SLF001 - likewise
        lambda api_id: apis.get(api_id) or {},
    )
    apigateway._match_route = gateway.matching_options(apigateway._match_route)  # noqa: SLF001 - likewise
    apigateway._invoke_lambda_proxy = gateway.within_an_event(  # noqa: SLF001 - likewise
        apigateway._invoke_lambda_proxy,  # noqa: SLF001 - likewise
        apigateway._v2_request_body_is_text,  # noqa: SLF001 - likewise
    )
    apigateway._update_stage = gateway.refusing_lost_settings(  # noqa: SLF001 - likewise
        apigateway._update_stage,  # noqa: SLF001 - likewise
        lambda api_id: {each["routeKey"] for each in routes.get(api_id, {}).values()},
        lambda api_id, stage: (stages.get(api_id, {}).get(stage) or {}).get("routeSettings") or {},
    )
    for name in ("_tag_resource", "_untag_resource"):
        shown = gateway.showing_tags(
            getattr(apigateway, name),
            lambda api_id, stage: stages.get(api_id, {}).get(stage) if stage else apis.get(api_id),
            lambda arn: apigateway._api_tags.get(arn, {}),  # noqa: SLF001 - likewise
        )
        setattr(apigateway, name, shown)
    apigateway.handle_request = gateway.deleting_settings(
        apigateway.handle_request, lambda api_id, name: stages.get(api_id, {}).get(name)
    )
    apigateway._create_api_mapping = gateway.mapping_well(  # noqa: SLF001 - likewise
        apigateway._create_api_mapping,  # noqa: SLF001 - likewise
        apigateway_v1._domain_names.get,  # noqa: SLF001 - likewise
    )
    app.main()
