from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.objects import endpoint, merged

from ephemeral_endpoints.api import (
    EXTEND_UNTIL_ANNOTATION,
    OVER_BUDGET_ANNOTATION,
    PIN_ANNOTATION,
    PULL_REQUEST_CLOSED_ANNOTATION,
    PULL_REQUEST_MERGED_ANNOTATION,
)
from ephemeral_endpoints.api.v1alpha1.base import ObjectMeta
from ephemeral_endpoints.api.v1alpha1.lifecycle import ExpiryAction
from ephemeral_endpoints.features.expiry.policy import (
    End,
    EndCause,
    Lifetime,
    end,
    later_extension,
    lifetime,
    moment,
    over_budget,
    why_retired,
)

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "hours", "capped", "reason"),
    [
        (8, 8, False, "as long as it asks for"),
        (336, 336, False, "just as long as the class grants"),
        (337, 336, True, "longer than the class grants"),
        (None, 336, False, "what is not known yet ends nothing"),
    ],
)
def test_an_object_lives_as_long_as_it_asks_for_and_its_class_grants(
    first: int | None,
    hours: int,
    capped: bool,  # noqa: FBT001 - a table's column
    reason: str,
) -> None:
    asked = None if first is None else CREATED + timedelta(hours=first)
    found = lifetime(CREATED, asked, longest=timedelta(hours=336))
    assert found.expires_at == CREATED + timedelta(hours=hours), reason
    assert found.capped is capped, reason


def test_the_end_is_over_at_its_very_moment_and_not_before() -> None:
    found = End(EndCause.EXPIRED, CREATED)
    assert not found.is_over(CREATED - timedelta(microseconds=1))
    assert found.is_over(CREATED)
    assert found.is_over(CREATED + timedelta(days=365))


CLOSED, MERGED = PULL_REQUEST_CLOSED_ANNOTATION, PULL_REQUEST_MERGED_ANNOTATION


@pytest.mark.parametrize(
    ("annotations", "cause", "at", "why"),
    [
        ({}, EndCause.EXPIRED, "12:00:00", "nothing else ends it"),
        ({CLOSED: "2026-11-02T11:59:59Z"}, EndCause.CLOSED, "11:59:59", "its pull request was closed before"),
        ({MERGED: "2026-11-02T11:59:59Z"}, EndCause.MERGED, "11:59:59", "or merged"),
        ({CLOSED: "2026-11-02T12:00:01Z"}, EndCause.EXPIRED, "12:00:00", "it had expired before"),
        ({CLOSED: "2026-11-02T11:00:00Z", MERGED: "2026-11-02T10:00:00Z"}, EndCause.MERGED, "10:00:00", "the first"),
        ({CLOSED: "2099-01-01T00:00:00Z"}, EndCause.EXPIRED, "12:00:00", "nobody lives longer by it"),
        ({CLOSED: "yesterday"}, EndCause.EXPIRED, "12:00:00", "no time"),
        ({CLOSED: ""}, EndCause.EXPIRED, "12:00:00", "no time either"),
        ({CLOSED: "2026-11-02T11:59:59+00:00"}, EndCause.EXPIRED, "12:00:00", "not as the operator writes it"),
    ],
)
def test_an_object_ends_with_its_time_to_live_or_with_its_pull_request(
    annotations: dict[str, str], cause: EndCause, at: str, why: str
) -> None:
    expires_at = datetime(2026, 11, 2, 12, tzinfo=UTC)
    found = end(Lifetime(expires_at, capped=False), endpoint({"metadata": {"annotations": annotations}}))
    assert found == End(cause, datetime.fromisoformat(f"2026-11-02T{at}Z")), why


@pytest.mark.parametrize(
    ("change", "cause", "why"),
    [
        ({}, EndCause.OVER_BUDGET, "as the operator noted it"),
        ({"spec": {"source": {"revision": "2f0c2a9"}}}, EndCause.EXPIRED, "a push voids it"),
        (
            {"metadata": {"annotations": {EXTEND_UNTIL_ANNOTATION: "2026-11-03T00:00:00Z"}}},
            EndCause.EXPIRED,
            "and so does an extension",
        ),
        ({"metadata": {"annotations": {PIN_ANNOTATION: "true"}}}, EndCause.EXPIRED, "no budget ends what is pinned"),
        ({"metadata": {"annotations": {OVER_BUDGET_ANNOTATION: "2026-11-02T09:00:00Z"}}}, EndCause.EXPIRED, "no basis"),
        ({"metadata": {"annotations": {OVER_BUDGET_ANNOTATION: "now=1f0c2a9/"}}}, EndCause.EXPIRED, "no time"),
    ],
)
def test_what_a_budget_has_ended_stays_so_until_somebody_wants_it(
    change: dict[str, Any], cause: EndCause, why: str
) -> None:
    noted = over_budget(endpoint(), datetime(2026, 11, 2, 9, tzinfo=UTC))
    ended = endpoint(merged({"metadata": {"annotations": {OVER_BUDGET_ANNOTATION: noted}}}, change))
    assert end(Lifetime(datetime(2026, 11, 2, 12, tzinfo=UTC), capped=False), ended).cause is cause, why


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("ttl", "until", "ends", "note"),
    [
        pytest.param(8, "2026-11-01T21:00:00Z", 9, "", id="later than the ttl"),
        pytest.param(8, "2026-11-01T19:00:00Z", 8, "", id="earlier than the ttl: a life is never shortened"),
        pytest.param(8, "1999-01-01T00:00:00Z", 8, "", id="before the object existed"),
        pytest.param(8, "2026-11-02T02:30:00+05:30", 9, "", id="with an offset"),
        pytest.param(8, "2026-11-01T21:00:00.999Z", 9, "", id="fractions of a second are cut off"),
        pytest.param(8, "2026-11-15T12:00:00Z", 336, "", id="exactly as long as the class grants"),
        pytest.param(8, "2026-11-15T12:00:01Z", 336, "extend-until asks for is longer", id="longer than that"),
        pytest.param(8, "9999-12-31T23:59:59Z", 336, "extend-until asks for is longer", id="for ever"),
        pytest.param(400, "2026-11-01T21:00:00Z", 336, "spec.lifecycle.ttl is longer", id="the ttl alone is too long"),
        pytest.param(8, "", 8, "is ignored", id="empty"),
        pytest.param(8, "24h", 8, "is ignored", id="a duration"),
        pytest.param(8, "2026-11-01T21:00:00", 8, "is ignored", id="without an offset: whose time?"),
        pytest.param(8, "2026-11-01 21:00:00Z", 8, "is ignored", id="with a space"),
        pytest.param(8, "2026-W45-1T21:00:00Z", 8, "is ignored", id="of ISO 8601 only"),
        pytest.param(8, "2026-11-31T21:00:00Z", 8, "is ignored", id="no such day"),
        pytest.param(8, "2026-11-01T21:00:00Z\n", 8, "is ignored", id="with a line end"),
        pytest.param(8, "٢٠٢٦-11-01T21:00:00Z", 8, "is ignored", id="digits of another script"),
        pytest.param(8, "9999-12-31T23:59:59-01:00", 8, "is ignored", id="beyond the calendar in UTC"),
        pytest.param(8, "0001-01-01T00:00:00+01:00", 8, "is ignored", id="before the calendar in UTC"),
    ],
)
def test_an_annotation_extends_a_life_within_the_classs_rules(ttl: int, until: str, ends: int, note: str) -> None:
    found = lifetime(CREATED, CREATED + ttl * HOUR, longest=336 * HOUR, extend_until=until)
    assert found.expires_at == CREATED + ends * HOUR
    assert note in found.note
    assert bool(note) == bool(found.note)


@given(st.text(max_size=40) | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat))
def test_whatever_the_annotation_holds_a_life_is_not_shorter_and_within_the_classs_rules(text: str) -> None:
    found = lifetime(CREATED, CREATED + HOUR, longest=3 * HOUR, extend_until=text)
    assert CREATED + HOUR <= found.expires_at <= CREATED + 3 * HOUR


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))])))
def test_a_time_is_the_same_moment_in_every_zone(when: datetime) -> None:
    read = moment(when.isoformat())
    assert read is None or read == when.replace(microsecond=0)
    assert read is not None or when.year in {1, 9999}


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        pytest.param(None, CREATED, id="nothing yet"),
        pytest.param("tomorrow", CREATED, id="what is no time"),
        pytest.param("2026-11-01T11:59:59Z", CREATED, id="an earlier time"),
        pytest.param("2026-11-01T13:00:00Z", CREATED + HOUR, id="a later time stays"),
    ],
)
def test_an_extension_never_takes_back_a_longer_one(held: str | None, kept: datetime) -> None:
    annotations = {} if held is None else {"ephemeral-endpoints.io/extend-until": held}
    assert later_extension(metadata(annotations=annotations), CREATED) == kept


AUTO, DELETE, RETIRE = ExpiryAction.AUTO, ExpiryAction.DELETE, ExpiryAction.RETIRE


def metadata(**given: object) -> ObjectMeta:
    return ObjectMeta.model_validate({"name": "pr-42", **given})


def labelled(name: str, value: str = "x") -> ObjectMeta:
    return metadata(labels={"team": "nlp", name: value})


def annotated(name: str, value: str = "x") -> ObjectMeta:
    return metadata(annotations={"note": "x", name: value})


def managed(*managers: str) -> ObjectMeta:
    return metadata(managedFields=[{"manager": manager, "operation": "Apply"} for manager in managers])


def owned(api_version: str, kind: str, *, controller: bool | None) -> ObjectMeta:
    owner = {"apiVersion": api_version, "kind": kind, "name": "pr-42", "uid": "1", "controller": controller}
    return metadata(ownerReferences=[owner])


TRACKING = "nlp:ephemeral-endpoints.io/EphemeralEndpoint:nlp/pr-42"


@pytest.mark.parametrize(
    ("found", "sign"),
    [
        pytest.param(
            labelled("argocd.argoproj.io/instance"), "label argocd.argoproj.io/instance", id="Argo CD's label"
        ),
        pytest.param(
            annotated("argocd.argoproj.io/tracking-id", TRACKING),
            "annotation argocd.argoproj.io/tracking-id",
            id="Argo CD's annotation, its default since version 3",
        ),
        pytest.param(
            managed("kubectl-edit", "argocd-controller"),
            "field manager argocd-controller",
            id="Argo CD by the label app.kubernetes.io/instance, its default before, which others set too",
        ),
        pytest.param(
            labelled("kustomize.toolkit.fluxcd.io/name"), "label kustomize.toolkit", id="a Kustomization of Flux"
        ),
        pytest.param(labelled("helm.toolkit.fluxcd.io/name"), "label helm.toolkit", id="a HelmRelease of Flux"),
        pytest.param(
            labelled("resourceset.fluxcd.controlplane.io/name"), "label resourceset.fluxcd", id="a ResourceSet of Flux"
        ),
        pytest.param(managed("kustomize-controller"), "field manager kustomize-controller", id="Flux without labels"),
        pytest.param(labelled("app.kubernetes.io/managed-by", "Helm"), "managed-by: Helm", id="Helm's label"),
        pytest.param(annotated("meta.helm.sh/release-name"), "annotation meta.helm.sh", id="Helm adopted it"),
        pytest.param(managed("helm"), "field manager helm", id="Helm, of a chart without labels"),
        pytest.param(labelled("kapp.k14s.io/app"), "label kapp.k14s.io/app", id="kapp"),
        pytest.param(labelled("objectset.rio.cattle.io/hash"), "label objectset", id="Rancher applies it"),
        pytest.param(annotated("fleet.cattle.io/bundle-id"), "annotation fleet.cattle.io", id="Rancher Fleet"),
        pytest.param(
            labelled("app.kubernetes.io/managed-by", "configmanagement.gke.io"), "configmanagement", id="Config Sync"
        ),
        pytest.param(labelled("configsync.gke.io/declared-version"), "configsync", id="Config Sync, another label"),
        pytest.param(annotated("config.k8s.io/owning-inventory"), "owning-inventory", id="kpt live apply"),
        pytest.param(labelled("projectsveltos.io/reference-name"), "label projectsveltos.io", id="Sveltos"),
        pytest.param(labelled("crossplane.io/composite"), "label crossplane.io", id="a composition of Crossplane"),
        pytest.param(managed("Terraform"), "field manager Terraform", id="Terraform, which sets no label"),
        pytest.param(managed("pulumi-kubernetes-1a2b3c4d"), "field manager pulumi", id="Pulumi, with its suffix"),
        pytest.param(
            labelled("app.kubernetes.io/managed-by", "some-operator"), "managed-by: some-operator", id="a tool unknown"
        ),
        pytest.param(
            owned("kro.run/v1alpha1", "Preview", controller=True), "owner, Preview pr-42", id="a controller's object"
        ),
        pytest.param(
            metadata(
                labels={"app.kubernetes.io/managed-by": "Helm", "helm.toolkit.fluxcd.io/name": "x"},
                managedFields=[{"manager": "helm-controller"}],
            ),
            "label helm.toolkit.fluxcd.io/name",
            id="several signs: the clearest is named",
        ),
    ],
)
def test_auto_retires_what_a_tool_would_create_again_and_says_by_which_sign(found: ObjectMeta, sign: str) -> None:
    why = why_retired(AUTO, found)
    assert why
    assert sign in why
    assert "shows that a tool manages it" in why
    assert why_retired(DELETE, found) is None, "deletion is asked for"


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(metadata(), id="nothing"),
        pytest.param(labelled("app.kubernetes.io/instance"), id="a label that everybody sets"),
        pytest.param(labelled("app.kubernetes.io/managed-by", "kubectl"), id="a person by kubectl"),
        pytest.param(labelled("app.kubernetes.io/managed-by", "ephemeral-endpoints"), id="the operator itself"),
        pytest.param(labelled("app.kubernetes.io/managed-by", ""), id="an empty label"),
        pytest.param(labelled("helm.sh/chart"), id="a chart rendered and applied by hand"),
        pytest.param(annotated("notargoproj.io/instance"), id="a domain that only ends alike"),
        pytest.param(annotated("argoproj.io"), id="a name without a domain"),
        pytest.param(annotated("kubectl.kubernetes.io/last-applied-configuration", "{}"), id="kubectl apply"),
        pytest.param(managed("kubectl-client-side-apply", "kubectl", "node-fetch", "OpenAPI-Generator"), id="clients"),
        pytest.param(owned("ephemeral-endpoints.io/v1alpha1", "Set", controller=True), id="an object of our own kinds"),
        pytest.param(owned("v1", "ConfigMap", controller=None), id="an owner for garbage collection only"),
        pytest.param(owned("batch/v1", "Job", controller=False), id="likewise, said so"),
    ],
)
def test_auto_deletes_what_nobody_would_create_again(found: ObjectMeta) -> None:
    assert why_retired(AUTO, found) is None
    assert why_retired(RETIRE, found) == "spec.lifecycle.onExpiry is Retire"
