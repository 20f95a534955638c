"""Runs the model servers of deployments and keeps them running."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.account import Account
from eep_platform.sagemaker.endpoints import Deployment, Variant
from eep_platform.sagemaker.errors import DeploymentFailedError, image_missing, manifest_refused
from eep_platform.sagemaker.fleets import Fleet, Router, Shift
from eep_platform.sagemaker.images import image_name, resolved_image
from eep_platform.sagemaker.models import additional_data_of, data_of, primary_container
from eep_platform.sagemaker.servers import Host, ServerSpec, VariantServer, stop_all

_log = logging.getLogger(__name__)
_WATCH_SECONDS = 0.25


class Hosting:
    """The fleets of all endpoints, by endpoint ARN.

    `serving` holds the fleets in service, `shifting` the endpoints whose traffic is moving to another fleet.
    """

    def __init__(self, host: Host, account: Account) -> None:
        self.serving: dict[str, Fleet] = {}
        self.shifting: dict[str, Shift] = {}
        self._host = host
        self._account = account
        self._registry = urlsplit(host.aws.endpoint_url).netloc

    def router(self, arn: str) -> Router | None:
        """The router of an endpoint's requests now; None if it has no servers."""
        return self.shifting.get(arn) or self.serving.get(arn)

    async def resolved(self, deployment: Deployment, models: Mapping[str, Mapping[str, Any]]) -> Deployment:
        """The deployment with the image of each variant resolved to a digest.

        Raises:
            DeploymentFailedError: ECR has no such image, or does not answer.
        """
        variants = [await self._with_image(variant, models[variant.name]) for variant in deployment.variants]
        return replace(deployment, variants=tuple(variants))

    async def start(self, endpoint_name: str, deployment: Deployment, models: Mapping[str, Mapping[str, Any]]) -> Fleet:
        """Start the servers of a resolved deployment and return when all of them serve.

        Raises:
            DeploymentFailedError: A server does not serve; all are stopped again.
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
        """Stop servers when their requests in flight are done, after `seconds` at the latest."""
        await asyncio.gather(*(server.retire(seconds) for server in servers))

    async def close(self) -> None:
        """Stop every server now."""
        fleets = list(self.serving.values())
        self.serving.clear()
        await self.retire([server for fleet in fleets for server in fleet.every()], seconds=0)
        await stop_all(self._host)

    async def watch(self) -> None:
        """Restart servers that ended, and stop idle serverless ones if the settings say so; until cancelled."""
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
            found = await resolved_image(name, self._host.aws)
        except (BotoCoreError, ClientError) as error:
            raise image_missing(variant.name) from error
        if found is None:
            raise image_missing(variant.name)
        # A tag may have moved since CreateModel.
        if not found.is_servable:
            raise DeploymentFailedError(manifest_refused(found.media_type, name.uri))
        deployed = {
            "SpecifiedImage": name.uri,
            "ResolvedImage": f"{name.base}@{found.digest}",
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
            model_data=data_of(container),
            additional_data=additional_data_of(container),
            startup_timeout=variant.body.get("ContainerStartupHealthCheckTimeoutInSeconds"),
            download_timeout=variant.body.get("ModelDataDownloadTimeoutInSeconds"),
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
