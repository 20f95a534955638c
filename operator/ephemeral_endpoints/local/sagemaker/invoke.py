"""InvokeEndpoint: a request to a model server, answered as the service does.

Source: InvokeEndpoint in the SageMaker runtime API reference.
"""

import time
from uuid import uuid4

from aiohttp import web

from ephemeral_endpoints.local.sagemaker import errors
from ephemeral_endpoints.local.sagemaker.calls import (
    CUSTOM_ATTRIBUTES,
    INFERENCE_ID,
    Answer,
    ModelCaller,
    model_error,
    serving,
)
from ephemeral_endpoints.local.sagemaker.captures import Exchange
from ephemeral_endpoints.local.sagemaker.hosting import Hosting
from ephemeral_endpoints.local.sagemaker.observer import Observer
from ephemeral_endpoints.local.sagemaker.parameters import parameters_of
from ephemeral_endpoints.local.sagemaker.servers import VariantServer
from ephemeral_endpoints.local.sagemaker.store import Store

MOST_BODY_BYTES = 6 * 1024 * 1024
MOST_SERVERLESS_BODY_BYTES = 4 * 1024 * 1024
_VARIANT = "x-Amzn-Invoked-Production-Variant"
_PASSED_ON = ("Content-Type", "Accept", CUSTOM_ATTRIBUTES, INFERENCE_ID)


class Invoker:
    """Serves invocations."""

    def __init__(self, store: Store, hosting: Hosting, caller: ModelCaller, observer: Observer) -> None:
        self._store = store
        self._hosting = hosting
        self._caller = caller
        self._observer = observer

    async def invoke(self, request: web.Request) -> web.Response:
        """Answer one InvokeEndpoint request; raises `ServiceError` for every answer that is an error."""
        began = time.perf_counter()
        name = request.match_info["name"]
        body = await _body(request)
        parameters = parameters_of("InvokeEndpoint", request.headers, EndpointName=name, Body=body)
        # From here to the server being held nothing may wait: an update must not retire the server in between.
        record, router = serving(self._store, self._hosting, name)
        if record.value.shown.async_inference is not None:
            raise errors.validation_error(
                f"Endpoint {name} is an asynchronous endpoint and does not support InvokeEndpoint: "
                "use InvokeEndpointAsync."
            )
        server = router.choose(parameters.get("TargetVariant"))
        _refuse(server, body)
        passed = {header: request.headers[header] for header in _PASSED_ON if header in request.headers}
        async with server.held():
            limit = self._store.settings.now.invocation_timeout_seconds
            answer = await self._caller.call(server, passed, body, limit)
        exchange = Exchange(self._store.clock(), passed, body, answer)
        self._observer.note(record, server, exchange, time.perf_counter() - began)
        return self._response(name, server, answer)

    def _response(self, name: str, server: VariantServer, answer: Answer) -> web.Response:
        if not answer.ok:
            raise model_error(self._store.account, name, answer)
        headers = {_VARIANT: server.spec.variant_name}
        headers |= {key: answer.headers[key] for key in ("Content-Type", CUSTOM_ATTRIBUTES) if key in answer.headers}
        return web.Response(body=answer.body, headers=headers)


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
