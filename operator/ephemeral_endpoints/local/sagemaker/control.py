"""The control API under /_sagemaker/: settings, state, and what on AWS only the service can do to an endpoint."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from ephemeral_endpoints.local.sagemaker.describing import described
from ephemeral_endpoints.local.sagemaker.lifecycle import Lifecycle
from ephemeral_endpoints.local.sagemaker.outbox import Outbox
from ephemeral_endpoints.local.sagemaker.servers import Host
from ephemeral_endpoints.local.sagemaker.settings import Settings
from ephemeral_endpoints.local.sagemaker.store import Record, Store

_PREFIX = "/_sagemaker"


class Control:
    """The handlers of the control API."""

    def __init__(
        self,
        store: Store,
        lifecycle: Lifecycle,
        host: Host,
        outboxes: list[Outbox[Any]],
        end_all: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._lifecycle = lifecycle
        self._host = host
        self._outboxes = outboxes
        self._end_all = end_all

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve."""
        return [
            web.get(f"{_PREFIX}/settings", self.settings),
            web.patch(f"{_PREFIX}/settings", self.patch_settings),
            web.get(f"{_PREFIX}/state", self.state),
            web.delete(f"{_PREFIX}/violations", self.forget_violations),
            web.post(f"{_PREFIX}/flush", self.flush),
            web.post(f"{_PREFIX}/reset", self.reset),
            web.post(f"{_PREFIX}/endpoints/{{name}}/system-update", self.system_update),
            web.post(f"{_PREFIX}/endpoints/{{name}}/out-of-service", self.out_of_service),
        ]

    async def settings(self, _: web.Request) -> web.Response:
        """The settings in force."""
        return web.Response(text=self._store.settings.now.model_dump_json(), content_type="application/json")

    async def patch_settings(self, request: web.Request) -> web.Response:
        """Apply a merge patch to the settings; 400 with the reasons if the result would not be valid."""
        try:
            settings = self._store.settings.patch(await request.json())
        except ValidationError as error:
            return web.Response(status=400, text=error.json(include_url=False), content_type="application/json")
        return web.Response(text=settings.model_dump_json(), content_type="application/json")

    async def state(self, _: web.Request) -> web.Response:
        """Everything that there is, the containers that run, violations, and what became of side channels' items."""
        store = self._store
        return web.json_response(
            {
                "models": [_resource(record) | {"body": record.value} for record in store.models],
                "endpointConfigs": [_resource(record) | {"body": record.value} for record in store.configs],
                "endpoints": [_resource(record) | {"body": described(record.value)} for record in store.endpoints],
                "containers": [
                    {"name": name, "baseUrl": container.base_url} for name, container in self._host.containers.items()
                ],
                "violations": [asdict(violation) for violation in store.violations],
                "sideChannels": {outbox.name: asdict(outbox.delivered) for outbox in self._outboxes},
            },
            dumps=_dumps,
        )

    async def forget_violations(self, _: web.Request) -> web.Response:
        """Forget the violations recorded so far."""
        self._store.violations.clear()
        return web.Response(status=204)

    async def flush(self, _: web.Request) -> web.Response:
        """Deliver what waits in the side channels, now."""
        for outbox in self._outboxes:
            await outbox.flush()
        return web.Response(status=204)

    async def reset(self, _: web.Request) -> web.Response:
        """End everything that runs and forget all resources, violations and settings: as just started."""
        await self._end_all()
        self._store.settings.replace(Settings())
        return web.Response(status=204)

    async def system_update(self, request: web.Request) -> web.Response:
        """Begin a maintenance of an endpoint by the service, as long as an update takes."""
        record = self._store.endpoints.get(request.match_info["name"])
        updating = record.value.system_update(self._store.clock())
        self._lifecycle.begin(record, updating, self._lifecycle.system_update(record))
        return web.Response(status=204)

    async def out_of_service(self, request: web.Request) -> web.Response:
        """Take an endpoint out of service."""
        record = self._store.endpoints.get(request.match_info["name"])
        self._lifecycle.enter(record, record.value.take_out_of_service(self._store.clock()))
        return web.Response(status=204)


def _resource(record: Record[Any]) -> dict[str, Any]:
    return {"name": record.name, "arn": record.arn, "created": record.created, "tags": record.tags}


def _dumps(value: object) -> str:
    return json.dumps(value, default=lambda instant: instant.isoformat())
