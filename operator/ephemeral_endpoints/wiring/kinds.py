"""The controllers of classes, stages and promotions."""

from typing import Final

from ephemeral_endpoints.aws.accounts import Accounts
from ephemeral_endpoints.controllers.endpoint_class.controller import ClassController
from ephemeral_endpoints.controllers.model_promotion.controller import PromotionController
from ephemeral_endpoints.controllers.model_stage.controller import StageController
from ephemeral_endpoints.features.promotion.publisher import StagePublisher
from ephemeral_endpoints.wiring.base import Base
from ephemeral_endpoints.wiring.services import Services

_POLLS_AN_APPROVAL: Final = 60
"""Approvals are given by people: they are looked for less often than AWS's own progress."""


def class_controller(base: Base, services: Services, accounts: Accounts) -> ClassController:
    """What reconciles classes."""
    return ClassController(
        base.cluster_id,
        accounts,
        services.placements,
        kube=base.kube,
        store=base.store,
        shard=base.settings.shard,
        enqueue=base.enqueue_by("ClassReconciled"),
        events_error=services.events.events_error,
        is_known=services.events.is_known,
        further=(services.reviews.connections, services.notifier),
        domains=services.domains,
        now=base.now,
        clock=base.clock,
    )


def stage_controller(base: Base, services: Services) -> StageController:
    """What reconciles stages."""
    publisher = StagePublisher(
        base.cluster_id,
        services.reviews.publisher.lane_of,
        services.package_groups.lineage,
        base.enqueue_by("Published"),
    )
    return StageController(
        base.kube,
        base.store,
        services.package_groups,
        services.notifier,
        publisher,
        enqueue=base.enqueue_by("StageChanged"),
        now=base.now,
        waiting_seconds=_POLLS_AN_APPROVAL * base.settings.poll_seconds,
    )


def promotion_controller(base: Base) -> PromotionController:
    """What reconciles promotions."""
    return PromotionController(base.kube, base.store, enqueue=base.enqueue_by("PromotionChanged"), now=base.now)
