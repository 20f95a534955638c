"""Services that are called in JSON 1.1, the operation named by the header `X-Amz-Target`."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web
from botocore import xform_name

from ephemeral_endpoints.local.sagemaker.errors import serialization_exception, unknown_operation
from ephemeral_endpoints.local.sagemaker.validation import input_shape, parsed, serialised, service_model

Operation = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class JsonApi:
    """One service: the operations that it serves, which are methods of `groups`, named in snake case."""

    def __init__(self, service: str, operations: Sequence[str], *groups: object) -> None:
        self._service = service
        self._prefix = f"{service_model(service).metadata['targetPrefix']}."
        self._operations = {self._prefix + name: _handler(groups, xform_name(name)) for name in operations}

    def serves(self, target: str) -> bool:
        """Whether an operation is one of the service's."""
        return target in self._operations

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; raises `ServiceError` for every answer that is an error."""
        target = request.headers["X-Amz-Target"]
        name = target.removeprefix(self._prefix)
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError as error:
            raise serialization_exception("The request body is not JSON.") from error
        answer = await self._operations[target](parsed(input_shape(self._service, name), body))
        output = service_model(self._service).operation_model(name).output_shape
        return web.Response(body=json.dumps(serialised(output, answer)), content_type="application/x-amz-json-1.1")


class ControlPlane:
    """The services that are called at `/`."""

    def __init__(self, *apis: JsonApi) -> None:
        self._apis = apis

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; raises `ServiceError` for every answer that is an error."""
        target = request.headers.get("X-Amz-Target", "")
        for api in self._apis:
            if api.serves(target):
                return await api.handle(request)
        raise unknown_operation()


def _handler(groups: tuple[object, ...], method: str) -> Operation:
    handlers = [getattr(group, method) for group in groups if hasattr(group, method)]
    handler: Operation = handlers[0]
    return handler
