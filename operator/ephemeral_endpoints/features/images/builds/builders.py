"""Which builder makes the images of a class, and which objects may want one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from kubernetes.aio.client import ApiClient

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.features.images.builds.buildspec import Tools
from ephemeral_endpoints.features.images.builds.codebuild import CodeBuildBuilder
from ephemeral_endpoints.features.images.builds.job_specs import JobScope
from ephemeral_endpoints.features.images.builds.jobs import JobBuilder
from ephemeral_endpoints.features.images.builds.queue import Builder
from ephemeral_endpoints.kube.cache import ObjectKey, Store


@dataclass(frozen=True, slots=True)
class Builders:
    """Makes builders. ``now`` is the time of day in UTC."""

    cluster_id: str
    api: ApiClient
    now: Callable[[], datetime]

    def of(self, endpoint_class: EphemeralEndpointClass, account: Account) -> Builder:
        """The builder of a class: Jobs of the cluster, else CodeBuild."""
        policy = endpoint_class.spec.builds
        if policy and policy.job:
            return JobBuilder(self.api, JobScope(policy.job, self.cluster_id, endpoint_class.metadata.name), self.now)
        code_build, tools = policy.code_build if policy else None, Tools(account.scope.region)
        if code_build:
            tools = replace(tools, buildkit=code_build.image, skopeo=code_build.copy_image)
        return CodeBuildBuilder(
            account.clients.codebuild,
            account.clients.logs,
            account.calls,
            code_build.project if code_build else "",
            tools,
            owner_hash(endpoint_class.metadata.uid),
        )


def requesters(store: Store, shard: Shard, class_name: str) -> list[ObjectKey]:
    """The active objects of a class, of this shard, that may want an image to be made."""
    return [
        key
        for key, endpoint in store.of_class(class_name)
        if endpoint.spec.model.is_made and endpoint.metadata.deletion_timestamp is None and shard.takes(key.namespace)
    ]
