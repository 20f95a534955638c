from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.api.endpoint import ExpiryAction
from ephemeral_endpoints.core.lifecycle import is_retired_on_expiry, lifetime

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ttl", "hours", "capped", "reason"),
    [
        (None, 72, False, "the class's default"),
        (8, 8, False, "less than the default"),
        (100, 100, False, "more than the default"),
        (336, 336, False, "just as long as the class grants"),
        (337, 336, True, "longer than the class grants"),
    ],
)
def test_an_object_lives_as_long_as_it_asks_for_and_its_class_grants(
    ttl: int | None,
    hours: int,
    capped: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    asked = None if ttl is None else timedelta(hours=ttl)
    found = lifetime(CREATED, asked, default=timedelta(hours=72), longest=timedelta(hours=336))
    assert found.expires_at == CREATED + timedelta(hours=hours), reason
    assert found.capped is capped, reason


def test_a_default_beyond_the_longest_is_cut_too() -> None:
    found = lifetime(CREATED, None, default=timedelta(hours=72), longest=timedelta(hours=1))
    assert found.expires_at == CREATED + timedelta(hours=1)


def test_the_end_is_over_at_its_very_moment_and_not_before() -> None:
    end = lifetime(CREATED, timedelta(hours=1), default=timedelta(1), longest=timedelta(2))
    assert not end.is_over(end.expires_at - timedelta(microseconds=1))
    assert end.is_over(end.expires_at)
    assert end.is_over(end.expires_at + timedelta(days=365))


AUTO, DELETE, RETIRE = ExpiryAction.AUTO, ExpiryAction.DELETE, ExpiryAction.RETIRE
ARGO = {"argocd.argoproj.io/instance": "app"}


@pytest.mark.parametrize(
    ("action", "labels", "annotations", "retired", "reason"),
    [
        (AUTO, {}, {}, False, "applied by hand or by a workflow"),
        (AUTO, {"app.kubernetes.io/instance": "x", "team": "nlp"}, {"x": "y"}, False, "Helm's own label is no GitOps"),
        (AUTO, ARGO, {}, True, "Argo CD by label"),
        (AUTO, {}, {"argocd.argoproj.io/tracking-id": "x"}, True, "Argo CD by annotation"),
        (AUTO, {"kustomize.toolkit.fluxcd.io/name": "x"}, {}, True, "Flux's Kustomization"),
        (AUTO, {"helm.toolkit.fluxcd.io/name": "x"}, {}, True, "Flux's HelmRelease"),
        (DELETE, ARGO, {}, False, "asked for"),
        (RETIRE, {}, {}, True, "asked for"),
    ],
)
def test_an_object_is_retired_where_it_would_be_made_anew(
    action: ExpiryAction,
    labels: dict[str, str],
    annotations: dict[str, str],
    retired: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    assert is_retired_on_expiry(action, labels, annotations) is retired, reason
