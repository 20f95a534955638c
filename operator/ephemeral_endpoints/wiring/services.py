"""What the controllers share: what AWS and people report, and what is known of objects beside their status."""

from collections.abc import Callable

from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.controllers.reasons import TO_ACT_ON
from ephemeral_endpoints.features.expiry.brake import ExpiryBrake, recently_ended
from ephemeral_endpoints.features.expiry.observe import Activities
from ephemeral_endpoints.features.notifications.notifier import Notifier
from ephemeral_endpoints.features.notifications.targets import Targets
from ephemeral_endpoints.features.packages.registry import Registry
from ephemeral_endpoints.features.promotion.registry import PackageGroups
from ephemeral_endpoints.features.reviews.reviews import ReviewDeps, Reviews
from ephemeral_endpoints.features.routing.domains import Domains
from ephemeral_endpoints.features.routing.object_calls import ObjectCalls
from ephemeral_endpoints.features.routing.placements import Placements
from ephemeral_endpoints.features.serving.event_messages import Changed
from ephemeral_endpoints.features.serving.events import EndpointEvents
from ephemeral_endpoints.kube.configmaps import ConfigMaps
from ephemeral_endpoints.kube.lease import own_namespace
from ephemeral_endpoints.kube.resync import Resync
from ephemeral_endpoints.kube.secrets import OwnSecrets
from ephemeral_endpoints.kube.triggers import EventQueueChanged, PackageChanged
from ephemeral_endpoints.wiring.base import Base


class Services:
    """One of each in an operator.

    ``check`` is called before each request that could change something; ``on_progress`` gets what happens to pipelines
    and builds.
    """

    def __init__(
        self,
        base: Base,
        accounts: Accounts,
        resync: Resync,
        *,
        check: Callable[[], None],
        on_progress: Callable[[Changed], None],
    ) -> None:
        self._base = base
        settings, clock = base.settings, base.clock
        secrets = OwnSecrets(base.kube.api, settings.own_namespace or own_namespace(), clock)
        self.activities = Activities()
        self.packages = Registry(clock)
        self.package_groups = PackageGroups(accounts, clock)
        self.placements = Placements(base.cluster_id, shard=settings.shard)
        self.domains = Domains(clock)
        self.brake = self._brake()
        self.configmaps = ConfigMaps(base.kube.api, settings.namespaces, base.enqueue_by("ConfigMapChanged"))
        self.calls = ObjectCalls(
            self.activities,
            base.store,
            base.enqueue,
            base.clocks.likely,
            is_certain=lambda: base.clocks.disagreement() is None,
        )
        self.events = EndpointEvents(
            accounts,
            seconds=settings.poll_seconds,
            clock=clock,
            on_change=lambda name: base.trigger(EventQueueChanged(name)),
            on_notice=self.calls.noticed,
            on_progress=on_progress,
            on_package=self.package_changed,
            shard=settings.shard,
        )
        self.reviews = Reviews(self._review_deps(secrets, resync, check))
        self.notifier = Notifier(
            Targets(secrets, accounts),
            base.store,
            enqueue=base.enqueue_by("TargetAnswered"),
            count=base.metrics.notified,
        )

    def package_changed(self, class_name: str, group: str) -> None:
        """Read what is served of a group of model packages afresh, for the objects of a class."""
        self.packages.changed(group)
        self.package_groups.changed(group)
        self._base.trigger(PackageChanged(class_name, group))

    def _brake(self) -> ExpiryBrake:
        base, settings = self._base, self._base.settings
        return ExpiryBrake(
            base.clocks.disagreement,
            lambda: base.store.count(ENDPOINT, settings.shard.takes),
            ended=lambda: recently_ended(
                ((each.endpoint, each.end) for _, each in base.subjects()), base.now(), base.clocks.likely()
            ),
            share=settings.expiry_most_share,
            clock=base.clock,
        )

    def _review_deps(self, secrets: OwnSecrets, resync: Resync, check: Callable[[], None]) -> ReviewDeps:
        base = self._base
        return ReviewDeps(
            base.cluster_id,
            base.session,
            base.kube,
            base.store,
            secrets,
            base.settings.shard,
            subjects=base.subjects,
            objects=resync.objects,
            enqueue=base.enqueue,
            failures=TO_ACT_ON,
            share=base.settings.expiry_most_share,
            check=check,
            counted=base.metrics.forge_request,
            now=base.now,
            counted_at=base.clocks.likely,
            clock=base.clock,
        )
