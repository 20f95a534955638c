"""The control API under /_sagemaker/: settings, state, and the transitions that AWS alone can start."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from eep_platform.emulation.control import Control
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.describing import described
from eep_platform.sagemaker.jobs.describing import processing_job, training_job
from eep_platform.sagemaker.lifecycle import Lifecycle
from eep_platform.sagemaker.servers import Host
from eep_platform.sagemaker.settings import Settings
from eep_platform.sagemaker.store import Record, Store

PREFIX = "/_sagemaker"


class HostingControl(Control[Settings]):
    """The control API of SageMaker."""

    def __init__(
        self,
        store: Store,
        lifecycle: Lifecycle,
        host: Host,
        outboxes: list[Outbox[Any]],
        end_all: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(PREFIX, store.settings, end_all)
        self._store = store
        self._lifecycle = lifecycle
        self._host = host
        self._outboxes = outboxes

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve."""
        return [
            *super().routes(),
            web.get(f"{PREFIX}/state", self.state),
            web.delete(f"{PREFIX}/violations", self.forget_violations),
            web.post(f"{PREFIX}/flush", self.flush),
            web.post(f"{PREFIX}/endpoints/{{name}}/system-update", self.system_update),
            web.post(f"{PREFIX}/endpoints/{{name}}/out-of-service", self.out_of_service),
        ]

    async def state(self, _: web.Request) -> web.Response:
        """Answer all resources, running containers, violations and counts of the side channels."""
        store = self._store
        return web.json_response(
            {
                "models": [_resource(record) | {"body": record.value} for record in store.models],
                "endpointConfigs": [_resource(record) | {"body": record.value} for record in store.configs],
                "modelPackageGroups": [_resource(record) for record in store.groups],
                "modelPackages": [_resource(record) | {"body": record.value} for record in store.packages],
                "pipelines": [_resource(record) for record in store.pipelines],
                "endpoints": [_resource(record) | {"body": described(record.value)} for record in store.endpoints],
                "trainingJobs": [
                    _resource(record) | {"body": training_job(record.value)} for record in store.training_jobs
                ],
                "processingJobs": [
                    _resource(record) | {"body": processing_job(record.value)} for record in store.processing_jobs
                ],
                "containers": [
                    {"name": name, "baseUrl": container.base_url} for name, container in self._host.containers.items()
                ],
                "violations": [asdict(violation) for violation in store.violations],
                "sideChannels": {outbox.name: asdict(outbox.delivered) for outbox in self._outboxes},
            },
            dumps=_dumps,
        )

    async def forget_violations(self, _: web.Request) -> web.Response:
        """Delete the violations recorded so far."""
        self._store.violations.clear()
        return web.Response(status=204)

    async def flush(self, _: web.Request) -> web.Response:
        """Deliver the items in the side channels now."""
        for outbox in self._outboxes:
            await outbox.flush()
        return web.Response(status=204)

    async def system_update(self, request: web.Request) -> web.Response:
        """Start maintenance of an endpoint by the service; it takes as long as an update."""
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
