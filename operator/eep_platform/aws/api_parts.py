"""What ministack's HTTP APIs lack of API Gateway's in how their parts belong together, as patches of its functions.

- A route key and the name of a stage are there once: ``ConflictException`` of CreateRoute, UpdateRoute and CreateStage
  (https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-routes.html).
- An integration is not deleted while a route refers to it (https://github.com/milliHQ/terraform-aws-next-js/issues/247).
- What does not exist cannot be deleted: ``NotFoundException`` of each deletion in the API reference.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

Answer = tuple[int, dict[str, str], bytes]
Control = Callable[..., Answer]
Items = Callable[[str], Mapping[str, Mapping[str, Any]]]

_JSON: Final = {"Content-Type": "application/json"}


def _refused(code: str, message: str, status: HTTPStatus) -> Answer:
    return status, {**_JSON, "x-amzn-ErrorType": code}, json.dumps({"message": message}).encode()


def _conflict(message: str) -> Answer:
    return _refused("ConflictException", message, HTTPStatus.CONFLICT)


def with_a_key_of_its_own(change: Control, routes: Items) -> Control:
    """Create or update a route whose key no other route has."""

    def changed(api_id: str, *request: Any) -> Answer:  # noqa: ANN401 - ministack has no types
        *route, data = request
        key = data.get("routeKey")
        if any(each["routeKey"] == key and [id_] != route for id_, each in routes(api_id).items()):
            return _conflict(f"Route with key {key} already exists for this API")
        return change(api_id, *request)

    return changed


def creating_new(create: Control, stages: Items) -> Control:
    """Create a stage whose name no other stage has."""

    def created(api_id: str, data: Mapping[str, Any]) -> Answer:
        if data["stageName"] in stages(api_id):
            return _conflict("Stage already exists")
        return create(api_id, data)

    return created


def keeping_targets(delete: Control, routes: Items) -> Control:
    """Delete an integration to which no route refers."""

    def delete_unused(api_id: str, id_: str) -> Answer:
        users = [route for route, each in routes(api_id).items() if each.get("target") == f"integrations/{id_}"]
        if users:
            return _conflict(
                f"Cannot delete Integration because it is referenced by the following Routes with Ids: {users}"
            )
        return delete(api_id, id_)

    return delete_unused


def deleting_known(delete: Control, items: Items, kind: str) -> Control:
    """Delete what exists."""

    def delete_known(api_id: str, id_: str) -> Answer:
        if id_ not in items(api_id):
            message = f"Invalid {kind} identifier specified {id_}"
            return _refused("NotFoundException", message, HTTPStatus.NOT_FOUND)
        return delete(api_id, id_)

    return delete_known


def install(gateway: Any) -> None:  # noqa: ANN401 - ministack has no types
    """Patch the module with ministack's HTTP APIs."""
    parts: Mapping[str, Items] = {
        "authorizer": lambda api_id: gateway._authorizers.get(api_id) or {},  # noqa: SLF001 - no call does it
        "integration": lambda api_id: gateway._integrations.get(api_id) or {},  # noqa: SLF001 - likewise
        "route": lambda api_id: gateway._routes.get(api_id) or {},  # noqa: SLF001 - likewise
        "stage": lambda api_id: gateway._stages.get(api_id) or {},  # noqa: SLF001 - likewise
    }
    for name in ("_create_route", "_update_route"):
        setattr(gateway, name, with_a_key_of_its_own(getattr(gateway, name), parts["route"]))
    gateway._create_stage = creating_new(gateway._create_stage, parts["stage"])  # noqa: SLF001 - likewise
    gateway._delete_integration = keeping_targets(gateway._delete_integration, parts["route"])  # noqa: SLF001 - likewise
    for kind, items in parts.items():
        name = f"_delete_{kind}"
        setattr(gateway, name, deleting_known(getattr(gateway, name), items, kind.capitalize()))
