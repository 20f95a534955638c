"""Deployments made real: from a configuration's variants to servers that answer, and their upkeep."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from ephemeral_endpoints.local.sagemaker.endpoints import Deployment, Variant
from ephemeral_endpoints.local.sagemaker.errors import DeploymentFailedError, image_missing
from ephemeral_endpoints.local.sagemaker.fleets import Fleet, Router, Shift
from ephemeral_endpoints.local.sagemaker.images import image_name, resolved_digest
from ephemeral_endpoints.local.sagemaker.models import primary_container
from ephemeral_endpoints.local.sagemaker.servers import Host, ServerSpec, VariantServer, stop_all
from ephemeral_endpoints.local.sagemaker.store import Account

_log = logging.getLogger(__name__)
_WATCH_SECONDS = 0.25


class Hosting:
    """The fleets that serve, by endpoint ARN, and those that are on their way in or out.

    `shifting` are the endpoints whose traffic is on its way from the fleet that serves to another.
    """

    def __init__(self, host: Host, account: Account) -> None:
        self.serving: dict[str, Fleet] = {}
        self.shifting: dict[str, Shift] = {}
        self._host = host
        self._account = account
        self._registry = urlsplit(host.aws.endpoint_url).netloc

    def router(self, arn: str) -> Router | None:
        """What takes the requests of an endpoint now."""
        return self.shifting.get(arn) or self.serving.get(arn)

    async def resolved(self, deployment: Deployment, models: Mapping[str, Mapping[str, Any]]) -> Deployment:
        """The deployment with each variant's image resolved to a digest.

        Raises:
            DeploymentFailedError: ECR has no such image, or does not answer.
        """
        variants = [await self._with_image(variant, models[variant.name]) for variant in deployment.variants]
        return replace(deployment, variants=tuple(variants))

    async def start(self, endpoint_name: str, deployment: Deployment, models: Mapping[str, Mapping[str, Any]]) -> Fleet:
        """Start a resolved deployment's servers, which serve when this returns.

        Raises:
            DeploymentFailedError: One of them does not; all are stopped again.
        """
        servers = {
            variant.name: VariantServer(
                self._spec(endpoint_name, deployment, variant, models[variant.name]), self._host
            )
            for variant in deployment.variants
        }
        try:
            async with asyncio.TaskGroup() as group:
                for server in servers.values():
                    group.create_task(server.ensure())
        except BaseExceptionGroup as errors:
            await self.retire(servers.values(), seconds=0)
            failures, rest = errors.split(DeploymentFailedError)
            if failures is None or rest is not None:
                raise
            raise DeploymentFailedError(str(next(_leaves(failures)))) from errors
        except asyncio.CancelledError:
            await self.retire(servers.values(), seconds=0)
            raise
        return Fleet(servers, deployment)

    async def retire(self, servers: Iterable[VariantServer], seconds: float) -> None:
        """Stop servers after their requests in flight, or after `seconds`."""
        await asyncio.gather(*(server.retire(seconds) for server in servers))

    async def close(self) -> None:
        """Stop every server now."""
        fleets = list(self.serving.values())
        self.serving.clear()
        await self.retire([server for fleet in fleets for server in fleet.every()], seconds=0)
        await stop_all(self._host)

    async def watch(self) -> None:
        """Restart what ended and is kept up, and stop what is idle where scaling to zero is set; until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            routers: dict[str, Router] = {**self.serving, **self.shifting}
            for server in [server for router in routers.values() for server in router.every()]:
                await self._tend(server)

    async def _tend(self, server: VariantServer) -> None:
        if server.retired:
            return
        if server.spec.always_up:
            if not server.is_up():
                _log.warning("restarting the server of %s", server.spec.endpoint_name)
                server.begin()
            return
        idle_limit = self._host.settings.now.scale_to_zero_seconds
        idle = asyncio.get_running_loop().time() - server.last_used
        if idle_limit is not None and not server.in_flight and idle > idle_limit and server.is_up():
            await server.stop()

    async def _with_image(self, variant: Variant, model: Mapping[str, Any]) -> Variant:
        name = image_name(primary_container(model)["Image"], self._account.region)
        try:
            digest = await resolved_digest(name, self._host.aws)
        except (BotoCoreError, ClientError) as error:
            raise image_missing(variant.name) from error
        if digest is None:
            raise image_missing(variant.name)
        deployed = {
            "SpecifiedImage": name.uri,
            "ResolvedImage": f"{name.base}@{digest}",
            "ResolutionTime": self._host.clock(),
        }
        return replace(variant, images=(deployed,))

    def _spec(
        self, endpoint_name: str, deployment: Deployment, variant: Variant, model: Mapping[str, Any]
    ) -> ServerSpec:
        container = primary_container(model)
        name = image_name(container["Image"], self._account.region)
        digest = str(variant.images[0]["ResolvedImage"]).rpartition("@")[2]
        region = self._account.region
        service = {"AWS_REGION": region, "AWS_DEFAULT_REGION": region, "SAGEMAKER_REGION": region}
        return ServerSpec(
            endpoint_name=endpoint_name,
            variant_name=variant.name,
            reference=f"{self._registry}/{name.repository}@{digest}",
            environment=service | container.get("Environment", {}),
            model_data_url=container.get("ModelDataUrl"),
            max_concurrency=variant.serverless["MaxConcurrency"] if variant.serverless else None,
            config_name=deployment.config_name,
            data_capture=deployment.data_capture,
        )


def _leaves(group: BaseExceptionGroup[DeploymentFailedError]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
