"""The protocol JSON 1.1: the header `X-Amz-Target` names the operation."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from botocore import xform_name

from eep_platform.emulation.errors import serialization_exception, unknown_operation, validation_exception
from eep_platform.emulation.validation import ErrorOf, input_shape, parsed, serialised, service_model

Operation = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class JsonApi:
    """One service. It serves the operations that have a method of their name (in snake case) in one of `groups`.

    `error_of` makes the error for requests that violate the service model.
    """

    def __init__(self, service: str, *groups: object, error_of: ErrorOf = validation_exception) -> None:
        self._service = service
        self._error_of = error_of
        self._prefix = f"{service_model(service).metadata['targetPrefix']}."
        self._operations: dict[str, Operation] = {
            self._prefix + name: getattr(group, xform_name(name))
            for group in groups
            for name in operations_of(service, group)
        }

    def serves(self, target: str) -> bool:
        """Whether the service serves the operation that `X-Amz-Target` names."""
        return target in self._operations

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; raises `ServiceError` for every answer that is an error."""
        target = request.headers["X-Amz-Target"]
        name = target.removeprefix(self._prefix)
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError as error:
            raise serialization_exception("The request body is not JSON.") from error
        answer = await self._operations[target](parsed(input_shape(self._service, name), body, self._error_of))
        output = service_model(self._service).operation_model(name).output_shape
        return web.Response(body=json.dumps(serialised(output, answer)), content_type="application/x-amz-json-1.1")


class JsonApis:
    """Several services at one URL."""

    def __init__(self, *apis: JsonApi) -> None:
        self._apis = apis

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; raises `ServiceError` for every answer that is an error."""
        target = request.headers.get("X-Amz-Target", "")
        for api in self._apis:
            if api.serves(target):
                return await api.handle(request)
        raise unknown_operation()


def operations_of(service: str, group: object) -> list[str]:
    """The operations of a service that `group`, an object or a class, has a method for."""
    return [name for name in service_model(service).operation_names if hasattr(group, xform_name(name))]
