from datetime import UTC, datetime, timedelta

import pytest

from ephemeral_endpoints.api.v1alpha1.base import ObjectMeta
from ephemeral_endpoints.api.v1alpha1.endpoint import ExpiryAction
from ephemeral_endpoints.features.expiry.policy import lifetime, why_retired

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
