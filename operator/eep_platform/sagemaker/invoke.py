"""InvokeEndpoint: forwards a request to a model server and answers as the service does.

Source: InvokeEndpoint in the SageMaker runtime API reference.
"""

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from aiohttp import web

from eep_platform.sagemaker import errors
from eep_platform.sagemaker.calls import (
    CLOSED_SESSION_ID,
    CUSTOM_ATTRIBUTES,
    INFERENCE_ID,
    NEW_SESSION_ID,
    SESSION_ID,
    Answer,
    ModelCaller,
    model_error,
    serving,
)
from eep_platform.sagemaker.captures import Exchange
from eep_platform.sagemaker.hosting import Hosting
from eep_platform.sagemaker.parameters import parameters_of
from eep_platform.sagemaker.recorder import InvocationRecorder
from eep_platform.sagemaker.servers import VariantServer
from eep_platform.sagemaker.store import Store

MOST_BODY_BYTES = 6 * 1024 * 1024
MOST_SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
_VARIANT = "x-Amzn-Invoked-Production-Variant"
_PASSED_ON = ("Content-Type", "Accept", CUSTOM_ATTRIBUTES, INFERENCE_ID, SESSION_ID)
_PASSED_BACK = ("Content-Type", CUSTOM_ATTRIBUTES, NEW_SESSION_ID, CLOSED_SESSION_ID)
_UNSUPPORTED = ("TargetContainerHostname", "EnableExplanations", "InferenceComponentName")
"""Parameters of endpoints that cannot be made here."""


class Invoker:
    """Serves invocations."""

    def __init__(self, store: Store, hosting: Hosting, caller: ModelCaller, recorder: InvocationRecorder) -> None:
        self._store = store
        self._hosting = hosting
        self._caller = caller
        self._recorder = recorder

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer an InvokeEndpoint request; raises `ServiceError` for every error answer."""
        began = time.perf_counter()
        name = request.match_info["name"]
        body = await _body(request)
        parameters = parameters_of("InvokeEndpoint", request.headers, EndpointName=name, Body=body)
        # No await from here until the server is held: an update could retire the server in between.
        record, router = serving(self._store, self._hosting, name)
        if record.value.shown.async_inference is not None:
            raise errors.validation_error(
                f"Endpoint {name} is an asynchronous endpoint and does not support InvokeEndpoint: "
                "use InvokeEndpointAsync."
            )
        server = router.choose(parameters.get("TargetVariant"))
        _refuse_parameters(name, parameters)
        _refuse(server, body)
        passed = {header: request.headers[header] for header in _PASSED_ON if header in request.headers}
        async with server.held():
            limit = self._store.settings.now.invocation_timeout_seconds
            answer = await self._caller.call(server, passed, body, limit)
        exchange = Exchange(self._store.clock(), passed, body, answer)
        self._recorder.note(record, server, exchange, time.perf_counter() - began)
        return self._response(name, server, answer)

    def _response(self, name: str, server: VariantServer, answer: Answer) -> web.Response:
        if not answer.ok:
            raise model_error(self._store.account, name, answer)
        headers = {_VARIANT: server.spec.variant_name}
        headers |= {key: answer.headers[key] for key in _PASSED_BACK if key in answer.headers}
        return web.Response(body=answer.body, headers=headers)


def _refuse_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what needs another kind of endpoint; the container sees nothing of it, and no metric counts it."""
    if "TargetModel" in parameters:
        raise errors.no_multi_model(name)
    for member in _UNSUPPORTED:
        if member in parameters:
            raise errors.unsupported_header(name, member)


def _refuse(server: VariantServer, body: bytes) -> None:
    limit = server.spec.max_concurrency
    if limit is None:
        return
    if len(body) > MOST_SERVERLESS_BODY_BYTES:
        raise errors.oversize_body(str(uuid4()))
    if server.in_flight >= limit:
        raise errors.throttled()


async def _body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        limit = f"Member must have length less than or equal to {MOST_BODY_BYTES}"
        raise errors.validation_error(
            f"1 validation error detected: Value at 'body' failed to satisfy constraint: {limit}"
        ) from error
