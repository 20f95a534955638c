"""The limits of the chart's values, asked of a real API server on which the rendered policies are applied."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from kubernetes import client, utils
from tests.fixtures.waiting import eventually

from eep_platform import bootstrap
from eep_platform.bootstrap import Roles
from eep_platform.controlplane import ControlPlane
from ephemeral_endpoints.api import API_VERSION, EXTEND_UNTIL_ANNOTATION, GROUP, VERSION
from ephemeral_endpoints.api.v1alpha1.endpoint_class import InstancePolicy
from ephemeral_endpoints.api.v1alpha1.serving import Serving
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.serving.policy import refused_instances
from ephemeral_endpoints.kube.cache import FINALIZER

Body = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "ephemeral-endpoints"
PLURAL = "ephemeralendpoints"
LABEL = "limits-of-test"
REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/ml/wine:1"
OTHER_IMAGE = f"{REGISTRY}/ops/shell:1"
DIGEST = "sha256:" + "0" * 64
OPEN, EVERYTHING, NAMED, OTHERS = "open", "everything", "named", "others"
LIMITS: Body = {
    "instanceTypes": ["ml.t2.*", "ml.m5.large"],
    "maxInstances": 4,
    "maxConcurrency": 5,
    "maxProvisionedConcurrency": 0,
    "maxTtl": "3d",
    "images": [f"{REGISTRY}/ml/*"],
    "copies": ["public.ecr.aws/acme/*"],
    "gitRepositories": ["acme/*"],
    "s3Urls": ["s3://acme-models/*"],
    "snsTopics": ["arn:aws:sns:us-east-1:123456789012:ml-*"],
    "deniedEnvironment": ["AWS_*", "HTTP?_PROXY", 'it\'s "quoted" \\ ${{ here }}'],
    "allowOpen": False,
    "allowRetain": False,
    "ownPaths": True,
    "classes": {"gpu": ["team-*"], "ours": [f"{EVERYTHING}-*"]},
    "defaultClass": "default",
}

_ROLE = "arn:aws:iam::123456789012:role/any"
_SPEC: Body = {
    "source": {"repository": "acme/wine", "revision": "1f0c2a9d" * 5},
    "model": {"image": IMAGE},
    "lifecycle": {"ttl": "72h"},
}
_INSTANCES: Body = {"type": "ml.m5.large"}
_TOPIC = "arn:aws:sns:us-east-1:123456789012:"
_TRAINING: Body = {
    "image": {"uri": IMAGE},
    "data": {"s3Uri": "s3://acme-models/wine/", "revision": "1"},
    "resources": {"instanceType": "ml.m5.large"},
    "gate": {"metric": "accuracy", "atLeast": "0.8"},
    "register": {"group": "wine"},
}
_MORE: Body = {"name": "a", "configMapKeyRef": {"name": "settings", "key": "a"}}


class Refused(Exception):  # noqa: N818 - what happened, not an error of the test
    """The API server refused a request with this message."""


class Namespace:
    """A namespace, and what a user does there."""

    def __init__(self, api: client.ApiClient, name: str) -> None:
        self.name = name
        self._objects = client.CustomObjectsApi(api)
        self._where = (GROUP, VERSION, name, PLURAL)

    def create(self, spec: Body, **metadata: object) -> Body:
        return self._call("create", _body(spec, {"name": "pr-42", **metadata}))

    def ask(self, spec: Body) -> Body:
        return self._call("create", _body(spec, {"name": "asked"}), dry_run="All")

    def change(self, patch: Mapping[str, object]) -> Body:
        return self._call("patch", "pr-42", patch, _content_type="application/merge-patch+json")

    def replace(self, spec: Body) -> Body:
        version = self._call("get", "pr-42")["metadata"]["resourceVersion"]
        return self._call("replace", "pr-42", _body(spec, {"name": "pr-42", "resourceVersion": version}))

    def write_status(self, status: Body) -> Body:
        return self._call("patch", "pr-42", {"status": status}, suffix="_status")

    def delete(self) -> Body:
        return self._call("delete", "pr-42")

    def names(self) -> list[str]:
        return [each["metadata"]["name"] for each in self._call("list")["items"]]

    def _call(self, verb: str, *arguments: object, suffix: str = "", **options: object) -> Body:
        if suffix:
            options["_content_type"] = "application/merge-patch+json"
        method = getattr(self._objects, f"{verb}_namespaced_custom_object{suffix}")
        try:
            answer = method(*self._where, *arguments, **options)
        except client.ApiException as refusal:
            raise Refused(json.loads(refusal.body or "")["message"]) from refusal
        assert isinstance(answer, dict)
        return answer


Render = Callable[[Body], list[Body]]


@pytest.fixture(scope="module")
def render(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Return a function that renders the policies with limits, of a release whose names are the test's own."""

    def rendered(limits: Body) -> list[Body]:
        values = tmp_path_factory.mktemp("values") / "values.yaml"
        values.write_text(yaml.safe_dump({"admission": {"limits": limits}}), encoding="utf-8")
        command = [
            str(helm),
            "template",
            "limits",
            str(CHART),
            "--values",
            str(values),
            "--show-only",
            "templates/limits.yaml",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 the test's own words
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    return rendered


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane, kubernetes_client: client.ApiClient, render: Render) -> Iterator[None]:
    """A cluster in which the limits hold in the namespaces that say which by a label."""
    roles = Roles(_ROLE, _ROLE, _ROLE)
    bootstrap.kubernetes(control_plane.kubeconfig, roles, region="us-east-1", git_url="https://github.com")
    manifests = render(
        {
            "enabled": True,
            **LIMITS,
            "namespaceSelector": _labelled(EVERYTHING),
            "perNamespace": [
                {"name": NAMED, "namespaceSelector": _labelled(NAMED), "classes": {"*": ["nobody"], "ours": ["*"]}},
                {
                    "name": OTHERS,
                    "namespaceSelector": _labelled(OTHERS),
                    "maxTtl": "1h",
                    "allowDefaultTtl": True,
                    "maxInstances": 0,
                },
            ],
        }
    )
    for manifest in manifests:
        utils.create_from_dict(kubernetes_client, manifest)  # type: ignore[no-untyped-call] # the client has no types
    yield
    registration = client.AdmissionregistrationV1Api(kubernetes_client)
    for manifest in manifests:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "ValidatingAdmissionPolicy":
            registration.delete_validating_admission_policy(name)
        else:
            registration.delete_validating_admission_policy_binding(name)


@pytest.fixture(scope="module")
def scopes(cluster: None, kubernetes_client: client.ApiClient) -> Mapping[str, Namespace]:  # noqa: ARG001 - the policies exist
    """A namespace of each kind; when they are returned the policies are in force."""
    core = client.CoreV1Api(kubernetes_client)
    made = {}
    for kind in (OPEN, EVERYTHING, NAMED, OTHERS):
        name = f"{kind}-{uuid4().hex[:8]}"
        metadata = client.V1ObjectMeta(name=name, labels={LABEL: kind})
        core.create_namespace(client.V1Namespace(metadata=metadata))
        made[kind] = Namespace(kubernetes_client, name)
    refused = {EVERYTHING: _with("lifecycle.ttl", "73h"), NAMED: _SPEC, OTHERS: _SPEC}
    for kind, spec in refused.items():
        eventually(partial(_is_refused, made[kind], spec), f"the policy of {kind}")
    return made


@pytest.fixture
def scope(scopes: Mapping[str, Namespace], kubernetes_client: client.ApiClient) -> Iterator[Callable[[str], Namespace]]:
    """Return the namespace of a kind; what is there at the end of the test goes."""
    yield scopes.__getitem__
    objects = client.CustomObjectsApi(kubernetes_client)
    for each in scopes.values():
        objects.delete_collection_namespaced_custom_object(GROUP, VERSION, each.name, PLURAL)


ALLOWED: list[Any] = [
    pytest.param({}, id="all is within the limits"),
    pytest.param({"lifecycle.ttl": "71h59m60s"}, id="the same time in other words"),
    pytest.param({"lifecycle.ttl": "2d24h"}, id="the same time with days"),
    pytest.param({"serving.instances": _INSTANCES}, id="a type that is named"),
    pytest.param({"serving.instances": {"type": "ml.t2.medium", "count": 4}}, id="a type of the family, and the most"),
    pytest.param({"serving.serverless": {"maxConcurrency": 5}}, id="the most requests at a time"),
    pytest.param({"model.image": f"{REGISTRY}/ml/a/b@{DIGEST}"}, id="an image by its digest, in a folder"),
    pytest.param({"model": {"build": {}}}, id="an image that is built is in the class's own repository"),
    pytest.param({"model": {"copy": {"image": f"public.ecr.aws/acme/x:1@{DIGEST}"}}}, id="a copy by tag and digest"),
    pytest.param({"source.headRepository": "acme/fork"}, id="a fork within the organisation"),
    pytest.param({"model.dataUrl": "s3://acme-models/a.tar.gz"}, id="an archive of the bucket"),
    pytest.param(
        {"model.environment": {"MY_AWS_REGION": "x", "LEVEL": "a\nb"}}, id="a name that contains a denied one"
    ),
    pytest.param({"className": "default"}, id="the default class by its name"),
    pytest.param({"className": "ours"}, id="a class that this namespace may use"),
    pytest.param({"className": "whatever"}, id="a class that is not listed"),
    pytest.param(
        {
            "serving.instances": _INSTANCES,
            "serving.asynchronous": {"s3Uri": "s3://acme-models/q", "errorTopicArn": f"{_TOPIC}ml-errors"},
            "capture": {"s3Uri": "s3://acme-models/capture"},
        },
        id="folders and topics that are allowed",
    ),
    pytest.param({"model": {"training": _TRAINING}}, id="a training within the limits"),
    pytest.param({"model.environmentFrom": [{**_MORE, "name": "LEVEL"}]}, id="a variable that is not denied"),
]
REFUSED: list[Any] = [
    pytest.param({"lifecycle": None}, "spec.lifecycle.ttl is not set, but it must be set to at most 3d", id="no ttl"),
    pytest.param({"lifecycle.ttl": "1w"}, "spec.lifecycle.ttl is 1w, but it must be", id="a week"),
    pytest.param({"lifecycle.ttl": "72h1s"}, "spec.lifecycle.ttl is 72h1s, but it must be", id="a second too long"),
    pytest.param({"lifecycle.deletionPolicy": "Retain"}, "Retain is not allowed", id="what outlives every ttl"),
    pytest.param({"api.path": "/team-b/wine"}, "spec.api.path is /team-b/wine, but it must be the", id="theirs"),
    pytest.param({"api.path": "/team-b/wine/v1"}, "but it must be the default path, or begin", id="below theirs"),
    pytest.param({"api.path": f"/{EVERYTHING}/other"}, "three or more segments", id="that of another object"),
    pytest.param({"api.path": f"/{EVERYTHING}-x"}, "or begin with", id="only begins like the namespace"),
    pytest.param({"api.auth.type": "None"}, "None is not allowed in this namespace: choose Token", id="open to all"),
    pytest.param(
        {"serving.instances.type": "ml.m5.xlarge"},
        "the instance type ml.m5.xlarge is not allowed in this namespace; allowed: ml.t2.*, ml.m5.large",
        id="a type that only begins like an allowed one",
    ),
    pytest.param({"serving.instances.type": "ml.t2x.big"}, "ml.t2x.big is not allowed", id="a dot is a dot"),
    pytest.param(
        {"serving.instances": {**_INSTANCES, "fallbackTypes": ["ml.t2.medium", "ml.p5.48xlarge"]}},
        "the instance type ml.p5.48xlarge is not allowed",
        id="a type that is tried second",
    ),
    pytest.param(
        {"model": {"training": {**_TRAINING, "resources": {"instanceType": "ml.p5.48xlarge"}}}},
        "the instance type ml.p5.48xlarge is not allowed",
        id="a type that trains",
    ),
    pytest.param({"serving.instances": {**_INSTANCES, "count": 5}}, "is 5, but it must be at most 4", id="too many"),
    pytest.param(
        {
            "serving.instances": dict(_INSTANCES, count=2),
            "serving.variants": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
        },
        "is 6, but it must be at most 4",
        id="too many in all variants together",
    ),
    pytest.param(
        {
            "serving.instances": {
                **_INSTANCES,
                "autoscaling": {
                    "maxCount": 2,
                    "invocationsPerInstance": 9,
                    "schedule": [{"name": "day", "schedule": "rate(1 day)", "minCount": 1, "maxCount": 100}],
                },
            }
        },
        "is 100, but it must be at most 4",
        id="too many at a certain hour",
    ),
    pytest.param(
        {"serving.serverless": {"maxConcurrency": 6}}, "is 6, but it must be at most 5", id="too many requests"
    ),
    pytest.param(
        {"serving.serverless": {"maxConcurrency": 3}, "serving.variants": [{"name": "a"}, {"name": "b"}]},
        "maxConcurrency, all variants together, is 6",
        id="too many requests at two endpoints",
    ),
    pytest.param(
        {"serving.serverless": {"maxConcurrency": 2, "provisionedConcurrency": 1}},
        "provisionedConcurrency, all variants together, is 1, but it must be at most 0",
        id="warm capacity costs all the time",
    ),
    pytest.param({"model.image": OTHER_IMAGE}, f"the image {OTHER_IMAGE} is not allowed", id="another repository"),
    pytest.param(
        {"model.image": f"210987654321.dkr.ecr.us-east-1.amazonaws.com/ml/wine:{'a' * 9}"},
        "the image 210987654321",
        id="another account's repository of the same name",
    ),
    pytest.param(
        {"serving.variants": [{"name": "a"}, {"name": "b", "model": {"image": OTHER_IMAGE}}]},
        f"the image {OTHER_IMAGE} is not allowed",
        id="another repository, hidden in a variant",
    ),
    pytest.param(
        {"model": {"training": {**_TRAINING, "image": {"uri": OTHER_IMAGE}}}},
        f"the image {OTHER_IMAGE} is not allowed",
        id="another repository, whose image trains",
    ),
    pytest.param(
        {"model": {"copy": {"image": "169.254.169.254/acme/x:1"}}},
        "spec.model.copy.image 169.254.169.254/acme/x:1 is not allowed",
        id="the metadata service as a registry",
    ),
    pytest.param(
        {"model": {"copy": {"image": "evil.example/public.ecr.aws/acme/x:1"}}},
        "is not allowed in this namespace; allowed: public.ecr.aws/acme/*",
        id="the allowed registry as a folder of another",
    ),
    pytest.param({"source.repository": "evil/wine"}, "the Git repository evil/wine is not", id="another owner"),
    pytest.param({"source.headRepository": "evil/wine"}, "the Git repository evil/wine is not", id="another's fork"),
    pytest.param({"model.dataUrl": "s3://acme-models-x/a.tar.gz"}, "the S3 URL s3://acme-mod", id="another bucket"),
    pytest.param(
        {"serving.variants": [{"name": "a", "model": {"dataUrl": "s3://theirs/a.tar.gz"}}]},
        "the S3 URL s3://theirs/a.tar.gz",
        id="another bucket, hidden in a variant",
    ),
    pytest.param(
        {"serving.instances": _INSTANCES, "model.s3Prefix": "s3://theirs/a/"},
        "the S3 URL s3://theirs/a/",
        id="a folder of another bucket",
    ),
    pytest.param(
        {"serving.instances": _INSTANCES, "serving.variants": [{"name": "a", "model": {"s3Prefix": "s3://theirs/a/"}}]},
        "the S3 URL s3://theirs/a/",
        id="a folder of another bucket, hidden in a variant",
    ),
    pytest.param(
        {"serving.instances": _INSTANCES, "model.additionalData": [{"name": "a", "dataUrl": "s3://theirs/a.tar.gz"}]},
        "the S3 URL s3://theirs/a.tar.gz",
        id="another bucket beside the model",
    ),
    pytest.param(
        {"serving.instances": _INSTANCES, "model.additionalData": [{"name": "a", "s3Prefix": "s3://theirs/a/"}]},
        "the S3 URL s3://theirs/a/",
        id="a folder of another bucket beside the model",
    ),
    pytest.param(
        {"model": {"training": {**_TRAINING, "data": {"s3Uri": "s3://theirs/a/", "revision": "1"}}}},
        "the S3 URL s3://theirs/a/",
        id="a training on others' data",
    ),
    pytest.param(
        {"compare": {"with": {"endpoint": "main"}, "recorded": {"s3Uri": "s3://theirs/x"}}},
        "the S3 URL s3://theirs/x",
        id="others' requests are replayed",
    ),
    pytest.param(
        {"serving.instances": _INSTANCES, "capture": {"s3Uri": "s3://theirs/x"}},
        "the S3 URL s3://theirs/x",
        id="requests are recorded elsewhere",
    ),
    pytest.param(
        {"serving.instances": _INSTANCES, "serving.asynchronous": {"s3Uri": "s3://theirs/x"}},
        "the S3 URL s3://theirs/x",
        id="requests are queued elsewhere",
    ),
    pytest.param(
        {
            "serving.instances": _INSTANCES,
            "serving.asynchronous": {"s3Uri": "s3://acme-models/q", "successTopicArn": f"{_TOPIC}payments"},
        },
        f"the SNS topic {_TOPIC}payments",
        id="a topic of another account is notified",
    ),
    pytest.param(
        {
            "serving.instances": _INSTANCES,
            "serving.asynchronous": {"s3Uri": "s3://acme-models/q", "errorTopicArn": f"{_TOPIC}payments"},
        },
        f"the SNS topic {_TOPIC}payments",
        id="another's topic is notified of errors",
    ),
    pytest.param(
        {"model.environment": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[fd00:ec2::254]"}},
        "the environment variable AWS_EC2_METADATA_SERVICE_ENDPOINT must not be set in this namespace; denied: AWS_*",
        id="a variable that leads credentials astray",
    ),
    pytest.param(
        {"serving.variants": [{"name": "a", "model": {"environment": {"HTTPS_PROXY": "http://evil.example"}}}]},
        "the environment variable HTTPS_PROXY",
        id="a denied variable, hidden in a variant",
    ),
    pytest.param(
        {"model.environmentFrom": [{**_MORE, "name": "HTTPS_PROXY"}]},
        "the environment variable HTTPS_PROXY",
        id="a denied variable from a ConfigMap",
    ),
    pytest.param({"className": "gpu"}, "may not use class gpu: name another class", id="a class of other teams"),
]
LIMITED_KINDS = (
    *("SageMaker instance type", "image in Amazon ECR", "image with its registry", "standard SNS topic"),
    *("path of the repository", "S3 URL of"),
)
"""What the rule of a field says that takes what a limit may refuse."""


def _fields(schema: Body, path: str = "") -> Iterator[str]:
    """The fields of a schema that name what limits allow or deny."""
    rules = " ".join(rule.get("message", "") for rule in schema.get("x-kubernetes-validations", ()))
    if any(
        f"must be {article} {kind}" in rules for kind in LIMITED_KINDS for article in ("a", "an", "the", "the ARN of a")
    ):
        yield path
    for name, part in schema.get("properties", {}).items():
        yield from _fields(part, f"{path}.{name}" if path else name)
    if isinstance(schema.get("items"), dict):
        yield from _fields(schema["items"], path)


def _leaves(value: object, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(part, path)
    else:
        yield path


def test_every_field_that_takes_what_a_limit_may_refuse_is_tried() -> None:
    crd = yaml.safe_load((CHART / "files" / "crds" / f"{PLURAL}.{GROUP}.yaml").read_text())
    [version] = crd["spec"]["versions"]
    fields = set(_fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    tried = {path for each in REFUSED for name, value in each.values[0].items() for path in _leaves(value, name)}
    assert len(fields) > 15
    assert fields <= tried


@pytest.mark.parametrize("changes", ALLOWED)
def test_what_is_within_the_limits_passes(changes: Body, scope: Callable[[str], Namespace]) -> None:
    assert scope(EVERYTHING).ask(_changed(changes))["spec"]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_is_beyond_a_limit_is_refused_with_what_to_do(
    changes: Body, message: str, scope: Callable[[str], Namespace]
) -> None:
    spec = _changed(changes)
    with pytest.raises(Refused) as refusal:
        scope(EVERYTHING).ask(spec)
    assert message in str(refusal.value)
    assert scope(OPEN).ask(spec), "it is the limit that refuses, and nothing else"


# The class of an object cannot change.
@pytest.mark.parametrize(("changes", "message"), REFUSED[:-1])
def test_an_object_within_the_limits_cannot_exceed_them(
    changes: Body, message: str, scope: Callable[[str], Namespace]
) -> None:
    queue = {"serving.asynchronous": {"s3Uri": "s3://acme-models/q"}, "serving.instances": _INSTANCES}
    scope(EVERYTHING).create(_changed(queue if "serving.asynchronous" in changes else {}))
    with pytest.raises(Refused) as refusal:
        scope(EVERYTHING).replace(_changed(changes))
    assert message in str(refusal.value)


def test_a_limit_that_came_later_keeps_nobody_from_anything_else(
    scope: Callable[[str], Namespace], kubernetes_client: client.ApiClient
) -> None:
    """An object that was made before the limits, which now breaks every one of them."""
    later = scope(OPEN)
    later.create(_beyond_all(), finalizers=[FINALIZER])
    with _limited(kubernetes_client, later):
        assert later.change({"metadata": {"labels": {"team": "nlp"}}})["metadata"]["labels"] == {"team": "nlp"}
        assert later.change({"spec": {"suspend": True}})["spec"]["suspend"], "another field of the spec"
        lower = {"serving": {"instances": {"count": 8}}}
        assert later.change({"spec": lower})["spec"]["serving"]["instances"]["count"] == 8, "less, if still too much"
        with pytest.raises(Refused, match="is 20, but it must be at most 4"):
            later.change({"spec": {"serving": {"instances": {"count": 10}}}})
        with pytest.raises(Refused, match=r"the image .*/ops/more:1 is not allowed"):
            later.change({"spec": {"model": {"image": f"{REGISTRY}/ops/more:1"}}})
        assert later.write_status({"observedGeneration": 3})["status"]["observedGeneration"] == 3
        later.delete()
        assert later.names() == ["pr-42"], "the finalizer holds it"
        later.change({"metadata": {"finalizers": None}})
        assert later.names() == []


def test_a_namespace_of_another_set_has_those_limits_alone(scope: Callable[[str], Namespace]) -> None:
    others = scope(OTHERS)
    assert others.ask(_changed({"lifecycle": None, "model.image": OTHER_IMAGE}))
    with pytest.raises(Refused, match="it must be set to at most 1h in this namespace"):
        others.ask(_changed({"lifecycle.ttl": "61m"}))
    with pytest.raises(Refused, match="is 1, but it must be at most 0"):
        others.ask(_changed({"lifecycle.ttl": "1h", "serving.instances": _INSTANCES}))


def test_a_life_is_not_extended_beyond_the_longest_time_to_live(scope: Callable[[str], Namespace]) -> None:
    here = scope(EVERYTHING)
    with pytest.raises(Refused, match="extend-until is 2999-01-01T00:00:00Z, but it must be at most 3d after the cre"):
        here.create(_SPEC, annotations={EXTEND_UNTIL_ANNOTATION: "2999-01-01T00:00:00Z"})
    created_at = datetime.fromisoformat(here.create(_SPEC)["metadata"]["creationTimestamp"])

    def extend(life: timedelta) -> None:
        here.change({"metadata": {"annotations": {EXTEND_UNTIL_ANNOTATION: timestamp(created_at + life)}}})

    extend(timedelta(days=3))
    with pytest.raises(Refused, match="it must be at most 3d after the creation"):
        extend(timedelta(days=3, seconds=1))
    here.change({"metadata": {"annotations": {EXTEND_UNTIL_ANNOTATION: "what the operator ignores"}}})


def test_an_extension_that_is_older_than_the_limits_keeps_nobody_from_anything_else(
    scope: Callable[[str], Namespace], kubernetes_client: client.ApiClient
) -> None:
    later = scope(OPEN)
    later.create(_SPEC, annotations={EXTEND_UNTIL_ANNOTATION: "2999-01-01T00:00:00Z"})
    with _limited(kubernetes_client, later):
        assert later.change({"spec": {"suspend": True}})["spec"]["suspend"]


def test_if_the_default_class_is_unknown_every_object_must_name_its_class(
    scope: Callable[[str], Namespace],
) -> None:
    named = scope(NAMED)
    assert named.ask(_changed({"className": "ours"}))
    with pytest.raises(Refused, match=r"spec\.className must name a class that this namespace may use"):
        named.ask(_SPEC)
    with pytest.raises(Refused, match="may not use class gpu"):
        named.ask(_changed({"className": "gpu"}))


def test_a_class_that_is_set_later_is_limited_as_well(scope: Callable[[str], Namespace]) -> None:
    """By its author or by the operator: an object may be older than the limits, or the marked class another one."""
    here = scope(EVERYTHING)
    here.create(_SPEC)
    with pytest.raises(Refused, match="may not use class gpu: name another class"):
        here.change({"spec": {"className": "gpu"}})
    assert here.change({"spec": {"className": "default"}})["spec"]["className"] == "default"
    with pytest.raises(Refused, match="className cannot be changed or removed"):
        here.change({"spec": {"className": "gpu"}})
    with pytest.raises(Refused, match="className cannot be changed or removed"):
        here.replace(_SPEC)


def test_the_largest_object_costs_less_than_the_api_server_grants(scope: Callable[[str], Namespace]) -> None:
    environment = {f"N{number:02}{'x' * 900}": "y" * 100 for number in range(32)}
    variants = [{"name": f"v{number}", "model": {"environment": environment, "image": IMAGE}} for number in range(5)]
    assert scope(EVERYTHING).ask(_changed({"serving.variants": variants, "model.environment": environment}))


def test_a_path_below_the_namespace_is_its_own(scope: Callable[[str], Namespace]) -> None:
    own = scope(EVERYTHING)
    assert own.ask(_with("api.path", f"/{own.name}/wine/v1"))


def test_without_limits_there_are_no_policies(render: Render) -> None:
    with pytest.raises(AssertionError, match="could not find template"):
        render({"enabled": False})


def test_a_value_cannot_become_part_of_an_expression(render: Render, kubernetes_client: client.ApiClient) -> None:
    hostile = "x') || true || ('\n\\\"}}{{ .Values }} ${HOME} \u2028 💥"
    names = [*("instanceTypes", "images", "copies", "gitRepositories", "s3Urls", "snsTopics", "deniedEnvironment")]
    limits = {name: [hostile] for name in names} | {"classes": {hostile: [hostile]}, "defaultClass": hostile}
    policy, *_ = render({"enabled": True, **limits})
    policy["metadata"]["name"] = "hostile.example"
    body = client.V1ValidatingAdmissionPolicy.from_dict(policy)
    assert body
    registration = client.AdmissionregistrationV1Api(kubernetes_client)
    stored = registration.create_validating_admission_policy(body, dry_run="All", field_validation="Strict")
    assert stored.spec
    reported = [each.message or "" for each in stored.spec.validations or []]
    assert sum("x') || true" in each for each in reported) == len(names)


@pytest.mark.parametrize(
    "serving",
    [
        {"instances": {"type": "ml.m5.large", "count": 3}},
        {"instances": {"type": "ml.m5.large", "count": 3}, "variants": [{"name": "a"}, {"name": "b"}]},
        {
            "instances": {
                "type": "ml.m5.large",
                "autoscaling": {"maxCount": 7, "invocationsPerInstance": 9},
            },
            "variants": [{"name": "a"}],
        },
    ],
)
def test_policy_and_class_count_instances_alike(serving: Body, scope: Callable[[str], Namespace]) -> None:
    of_class = refused_instances(Serving.model_validate(serving), InstancePolicy(max_count=0))
    with pytest.raises(Refused) as of_policy:
        scope(OTHERS).ask(_changed({"lifecycle": None, "serving": serving}))
    [count] = re.findall(r"up to (\d+) instances", str(of_class))
    assert f"is {count}, but" in str(of_policy.value)


def test_a_resource_quota_bounds_the_objects_of_a_namespace(
    scope: Callable[[str], Namespace], kubernetes_client: client.ApiClient
) -> None:
    """The way of Kubernetes itself, which needs no policy: docs/security.md."""
    here = scope(OPEN)
    core = client.CoreV1Api(kubernetes_client)
    key = f"count/{PLURAL}.{GROUP}"

    def bound(most: str) -> Body:
        return {"hard": {key: most}}

    def counted(most: str) -> Body:
        """What the controller writes, who hears of a new kind of objects half a minute late."""
        return {"spec": bound(most), "status": bound(most) | {"used": {key: "0"}}}

    def refused() -> bool:
        try:
            here.ask(_SPEC)
        except Refused:
            return True
        return False

    quota = client.V1ResourceQuota(
        metadata=client.V1ObjectMeta(name="few"), spec=client.V1ResourceQuotaSpec(hard={key: "0"})
    )
    core.create_namespaced_resource_quota(here.name, quota)
    try:
        # The API server hears of a quota, and of a change of it, a moment later.
        core.patch_namespaced_resource_quota_status("few", here.name, counted("0"))
        eventually(refused, "the quota of none")
        core.patch_namespaced_resource_quota("few", here.name, {"spec": bound("1")})
        core.patch_namespaced_resource_quota_status("few", here.name, counted("1"))
        eventually(lambda: not refused(), "the quota of one")
        here.create(_SPEC)
        with pytest.raises(Refused, match=f"exceeded quota: few, requested: {key}=1, used: {key}=1, limited: {key}=1"):
            here.create(_SPEC, name="pr-43")
        assert here.change({"spec": {"suspend": True}}), "a change is no further object"
    finally:
        core.delete_namespaced_resource_quota("few", here.name)


def _labelled(kind: str) -> Body:
    return {"matchLabels": {LABEL: kind}}


def _body(spec: Body, metadata: Body) -> Body:
    return {"apiVersion": API_VERSION, "kind": "EphemeralEndpoint", "metadata": metadata, "spec": spec}


def _with(path: str, value: object) -> Body:
    return _changed({path: value})


def _changed(changes: Body) -> Body:
    """The spec with values at paths of it; None takes away what is there."""
    spec = deepcopy(_SPEC)
    for path, value in changes.items():
        *parents, last = path.split(".")
        part = spec
        for name in parents:
            part = part.setdefault(name, {})
        if value is None:
            del part[last]
        else:
            part[last] = value
    return spec


def _beyond_all() -> Body:
    return _changed(
        {
            "className": "gpu",
            "lifecycle": {"deletionPolicy": "Retain"},
            "api": {"auth": {"type": "None"}, "path": "/team-b/wine"},
            "model": {"image": OTHER_IMAGE, "dataUrl": "s3://theirs/a.tar.gz", "environment": {"AWS_REGION": "x"}},
            "source.repository": "evil/wine",
            "serving.instances": {"type": "ml.p5.48xlarge", "count": 9},
            "serving.variants": [{"name": "a"}, {"name": "b"}],
        }
    )


class _limited:  # noqa: N801 - a context manager reads like a function
    """Within it a namespace has all limits."""

    def __init__(self, api: client.ApiClient, scope: Namespace) -> None:
        self._core = client.CoreV1Api(api)
        self._scope = scope

    def __enter__(self) -> None:
        self._label(EVERYTHING)
        spec = _with("lifecycle.ttl", "73h")
        eventually(lambda: _is_refused(self._scope, spec), "the limits")

    def __exit__(self, *_: object) -> None:
        self._label(OPEN)
        spec = _with("lifecycle.ttl", "73h")
        eventually(lambda: not _is_refused(self._scope, spec), "the end of the limits")

    def _label(self, kind: str) -> None:
        self._core.patch_namespace(self._scope.name, {"metadata": {"labels": {LABEL: kind}}})


def _is_refused(scope: Namespace, spec: Body) -> bool:
    try:
        scope.ask(spec)
    except Refused as refusal:
        return "this namespace" in str(refusal)
    return False
