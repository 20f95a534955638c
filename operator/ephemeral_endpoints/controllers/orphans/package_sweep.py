"""The sweep of model packages: deletes what pull requests registered that nobody approved, names or serves any more.

Their artifacts go before them, so that none is left that nothing names.

It waits until no pipeline takes the results of its training from a cache any more: the run of the merge registers the
same artifact again.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.model_stage import ModelStage
from ephemeral_endpoints.api.v1alpha1.packages import Approval
from ephemeral_endpoints.aws.account import ORPHANS, Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import items, tag_map
from ephemeral_endpoints.controllers.orphans.rounds import Removal, SweepDeps, left_for_next, remove
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.engine.tags import CLUSTER
from ephemeral_endpoints.features.packages.inventory import PackageInventory, Registered, delete
from ephemeral_endpoints.features.packages.policy import CACHED, PackageVersion, allows, is_of_previews, urls_in
from ephemeral_endpoints.features.training.artifacts import delete_file, files_below, is_named

SECONDS: Final = 3600.0
MOST_PACKAGES: Final = 50
"""Versions of a class that a round takes on at most."""

_AFTER_CACHE: Final = timedelta(days=1)


class PackageSweep:
    """Finds versions in the groups of pull requests."""

    def __init__(self, deps: SweepDeps, inventory: PackageInventory) -> None:
        self._deps = deps
        self._inventory = inventory
        self._failed: frozenset[str] = frozenset()
        """Versions that could not be deleted, which come last in the next round."""

    async def run(self) -> None:
        """Make one round, unless clocks differ. What cannot be reached is left for the next."""
        if not self._deps.may_begin("sweep of packages"):
            return
        classes = [each for each in self._deps.store.classes() if each.spec.packages]
        for each in classes:
            with left_for_next("sweep of packages", each):
                await self._sweep(each, classes)

    async def _sweep(self, endpoint_class: EphemeralEndpointClass, classes: Collection[EphemeralEndpointClass]) -> None:
        account = await self._deps.accounts.of(endpoint_class)
        calls = account.calls_for(ORPHANS)
        found = await self._inventory.versions(
            account, calls, lambda group: any(allows(each.spec.packages, group) for each in classes)
        )
        there = {each.version.arn: each.version for each in found}
        groups = {each.group for each in self._unused(found, endpoint_class, classes)}
        ours = {each for each in groups if await self._is_ours(account, calls, each)}
        unused = [each for each in self._unused(found, endpoint_class, classes) if each.group in ours]
        unused = sorted(unused, key=lambda each: each.arn in self._failed)[:MOST_PACKAGES]
        named = self._named_urls() if any(files_of(each, endpoint_class) for each in unused) else frozenset()
        for each in unused:
            urls = named.union(*(other.urls for other in there.values() if other is not each))
            files = [file for file in files_of(each, endpoint_class) if not is_named(file, urls)]
            removal = Removal(
                "ModelPackage",
                partial(self._delete, account, calls, each.arn, files),
                {"class": endpoint_class.metadata.name, "package": each.arn},
                failure="a package or its artifacts could not be deleted",
            )
            if await remove(self._deps, removal):
                del there[each.arn]

    def _unused(
        self,
        found: Iterable[Registered],
        endpoint_class: EphemeralEndpointClass,
        classes: Collection[EphemeralEndpointClass],
    ) -> list[PackageVersion]:
        """The versions that may go, of the groups of the class."""
        known = [each for _, each in self._deps.store.endpoints()]
        named = {name for each in known for name in named_by(each)}
        named |= {name for each in self._deps.store.all(ModelStage).values() for name in kept_for(each)}
        sources = {source for each in known for source in sources_of(each)}
        return [
            each.version
            for each in found
            if is_unused(each, named, sources, self._deps.now())
            and is_of(each.version, endpoint_class, classes)
            and self._deps.store.by_owner(owner_hash(each.version.lineage.uid)) is None
        ]

    def _named_urls(self) -> frozenset[str]:
        """The URLs of all models that objects name by themselves."""
        specs = (each.spec.model_dump(include={"model", "serving"}) for _, each in self._deps.store.endpoints())
        return frozenset(url for spec in specs for url in urls_in(spec))

    async def _delete(self, account: Account, calls: Calls, arn: str, files: Iterable[str]) -> None:
        """Delete a version after its files."""
        self._failed |= {arn}
        for each in files:
            await delete_file(account, calls, each)
        await delete(account, calls, arn)
        self._failed -= {arn}

    async def _is_ours(self, account: Account, calls: Calls, group: str) -> bool:
        """Whether an operator of this cluster made the group: its versions have the group's tags."""
        arn = account.scope.arn("sagemaker", f"model-package-group/{group}")
        tags = tag_map(await items(calls, account.clients.sagemaker.list_tags, "Tags", ResourceArn=arn))
        return tags.get(CLUSTER) == self._deps.cluster_id


def files_of(version: PackageVersion, endpoint_class: EphemeralEndpointClass) -> tuple[str, ...]:
    """The files of a version that the class's trainings have written."""
    training = endpoint_class.spec.training
    return files_below(training.artifacts, version.urls) if training else ()


def is_of(
    version: PackageVersion, endpoint_class: EphemeralEndpointClass, classes: Iterable[EphemeralEndpointClass]
) -> bool:
    """Whether the class sweeps the version: its group allows it, and no other class has the files."""
    of_group = [each for each in classes if allows(each.spec.packages, version.group)]
    with_files = [each for each in of_group if files_of(version, each)]
    return endpoint_class in (with_files or of_group)


def named_by(endpoint: EphemeralEndpoint) -> set[str]:
    """What an object names or serves: ARNs of versions, and names such as wine/7."""
    asked, status = endpoint.spec.model.package, endpoint.status
    named = {asked.arn or f"{asked.group}/{asked.version}"} if asked else set()
    served = (status.package and status.package.arn, status.training and status.training.package)
    return named | {arn for arn in served if arn}


def kept_for(stage: ModelStage) -> set[str]:
    """The versions that a stage serves, may promote, or can go back to, as names such as wine/7."""
    status = stage.status
    known = (status.current and status.current.version, status.candidate, *(each.version for each in status.history))
    return {version for version in known if version}


def sources_of(endpoint: EphemeralEndpoint) -> set[tuple[str, str]]:
    """The repositories that an object's packages may say that they are of, each with its pull request."""
    source = endpoint.spec.source
    return {(each, str(source.pull_request)) for each in (source.repository, source.head_repository) if each}


def is_unused(
    registered: Registered, named: Collection[str], sources: Collection[tuple[str, str]], now: datetime
) -> bool:
    """Whether a version may go whose object is gone. ``sources`` are the repositories and pull requests of objects.

    One that does not say which pull request it is of was registered by somebody else.
    """
    version = registered.version
    source = (version.lineage.repository, version.lineage.pull_request)
    return (
        is_of_previews(version.group)
        and version.approval != Approval.APPROVED
        and all(source)
        and source not in sources
        and registered.created_at + CACHED + _AFTER_CACHE < now
        and version.arn not in named
        and version.name not in named
    )
