"""What ministack's HTTP APIs lack of API Gateway's, as patches of its functions.

- Without CORS of the API's own, OPTIONS is a request like others
  (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html).
- Lambda takes events of 6 MB (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
- Settings of a route that does not exist are refused, and as long as a stage has such settings, every update of it
  (seen in https://github.com/terraform-aws-modules/terraform-aws-apigateway-v2/issues/78).
- Keys of API mappings have a form, and HTTP APIs are mapped to regional domains only
  (https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html).
- An update of a stage changes the settings of those routes that it names; only DeleteRouteSettings takes any away (as
  Terraform's provider does it, and https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/).
- APIs and stages are described with the tags that they have, not with those that they were made with
  (https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid.html).
"""

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote

MOST_EVENT_BYTES: Final = 6_291_556
"""Of an event as JSON."""

Answer = tuple[int, dict[str, str], bytes]
Execute = Callable[..., Awaitable[Answer]]
Match = Callable[[str, str, str], Any]
Create = Callable[[str, dict[str, Any]], Answer]
Update = Callable[[str, str, dict[str, Any]], Answer]
Change = Callable[[str, Any], Answer]

_JSON: Final = {"Content-Type": "application/json"}
MOST_KEY_CHARACTERS: Final = 300
"""Of the key of an API mapping."""

_KEY: Final = re.compile(r"([A-Za-z0-9$\-_.+!*'()]+(/[A-Za-z0-9$\-_.+!*'()]+)*)?")
_TAGGED: Final = re.compile(r"::/apis/([^/]+)(?:/stages/([^/]+))?$")
_SETTINGS: Final = re.compile(r"/v2/apis/([^/]+)/stages/([^/]+)/routesettings/(.+)")


def passing_options(execute: Execute, api_of: Callable[[str], Mapping[str, Any]]) -> Execute:
    """Pass OPTIONS on, in lower case so that it is not taken for a preflight, unless the API answers those itself."""

    async def execute_options(*request: Any, **options: object) -> Answer:  # noqa: ANN401 - ministack has no types
        api_id, stage, path, method, *rest = request
        if method == "OPTIONS" and not api_of(api_id).get("corsConfiguration"):
            method = method.lower()
        return await execute(api_id, stage, path, method, *rest, **options)

    return execute_options


def matching_options(match: Match) -> Match:
    """Match the route of an OPTIONS request that was passed on."""
    return lambda api_id, method, path: match(api_id, method.upper(), path)


def within_an_event(invoke: Execute, is_text: Callable[[str | None], bool]) -> Execute:
    """Invoke a function unless its event would be too large."""

    async def invoke_within(*request: Any, **options: object) -> Answer:  # noqa: ANN401 - ministack has no types
        integration, api_id, stage, path, method, headers, body, *rest = request
        content = body or b""
        text = content.decode(errors="replace")
        if not is_text(headers.get("content-type")):
            text = base64.b64encode(content).decode()
        if len(json.dumps({"headers": dict(headers), "body": text}, ensure_ascii=False).encode()) > MOST_EVENT_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, dict(_JSON), b'{"message":"Request Too Long"}'
        return await invoke(integration, api_id, stage, path, method.upper(), headers, body, *rest, **options)

    return invoke_within


def refusing_lost_settings(
    update: Update, keys_of: Callable[[str], set[str]], settings_of: Callable[[str, str], Mapping[str, Any]]
) -> Update:
    """Update a stage unless it has, or would have, settings of a route that does not exist."""

    def update_known(api_id: str, stage: str, data: dict[str, Any]) -> Answer:
        asked = {**settings_of(api_id, stage), **(data.get("routeSettings") or {})}
        lost = sorted(asked.keys() - keys_of(api_id))
        if lost:
            return not_found(f"Unable to find Route by key {lost[0]} within the provided RouteSettings")
        return update(api_id, stage, {**data, "routeSettings": asked} if "routeSettings" in data else data)

    return update_known


def deleting_settings(handle: Execute, stage_of: Callable[[str, str], dict[str, Any] | None]) -> Execute:
    """Handle control calls, and DeleteRouteSettings, which ministack does not have."""

    async def handle_too(method: str, path: str, *rest: Any) -> Answer:  # noqa: ANN401 - ministack has no types
        found = _SETTINGS.fullmatch(path) if method == "DELETE" else None
        if not found:
            return await handle(method, path, *rest)
        api_id, name, key = found[1], unquote(found[2]), unquote(found[3])
        stage = stage_of(api_id, name)
        if stage is None:
            return not_found(f"Invalid stage identifier specified {name}")
        if key not in stage.get("routeSettings", {}):
            return not_found(f"Unable to find Route by key {key} within the provided RouteSettings")
        del stage["routeSettings"][key]
        return HTTPStatus.NO_CONTENT, {}, b""

    return handle_too


def not_found(message: str) -> Answer:
    """API Gateway's answer about what does not exist."""
    body = json.dumps({"message": message}).encode()
    return HTTPStatus.NOT_FOUND, {**_JSON, "x-amzn-ErrorType": "NotFoundException"}, body


def mapping_well(create: Create, domain_of: Callable[[str], Mapping[str, Any] | None]) -> Create:
    """Create an API mapping if API Gateway takes its key, and the domain can lead to an HTTP API."""

    def create_well(name: str, data: dict[str, Any]) -> Answer:
        key, domain = data.get("apiMappingKey") or "", domain_of(name) or {}
        if len(key) > MOST_KEY_CHARACTERS or not _KEY.fullmatch(key):
            return bad_request("API mapping key should not contain characters other than [A-Za-z0-9$-_.+!*'()/]")
        if "REGIONAL" not in domain.get("endpointConfiguration", {}).get("types", ["REGIONAL"]):
            return bad_request("Only REGIONAL domain names can be managed through the API Gateway V2 API")
        return create(name, data)

    return create_well


def showing_tags(
    change: Change, record_of: Callable[..., dict[str, Any] | None], tags_of: Callable[[str], Mapping[str, str]]
) -> Change:
    """Change the tags of an API or a stage, and have descriptions show them. ``record_of`` takes their names."""

    def change_and_show(arn: str, changes: Any) -> Answer:  # noqa: ANN401 - tags, or keys
        answer = change(arn, changes)
        found = _TAGGED.search(arn)
        record = record_of(*found.groups()) if found else None
        if record is not None:
            record["tags"] = dict(tags_of(arn))
        return answer

    return change_and_show


def bad_request(message: str) -> Answer:
    """API Gateway's answer to what it does not take."""
    body = json.dumps({"message": message}).encode()
    return HTTPStatus.BAD_REQUEST, {**_JSON, "x-amzn-ErrorType": "BadRequestException"}, body
