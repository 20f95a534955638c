"""What `eep doctor` checks in a cluster. A check reads, and raises KubernetesError where it cannot."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from ephemeral_endpoints import __version__
from ephemeral_endpoints.api import DEFAULT_CLASS_ANNOTATION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT, ENDPOINT_CLASS, KINDS
from ephemeral_endpoints.api.schema.crds import crd
from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.cli.connection import Cluster
from ephemeral_endpoints.cli.installation import URL_VARIABLE, Operator, operators, version_at
from ephemeral_endpoints.engine.conditions import ConditionStatus, ConditionType
from ephemeral_endpoints.features.capacity.budget_stage import WITHIN_BUDGET
from ephemeral_endpoints.features.capacity.limits import LIMIT_REACHED, NONE_ALLOWED
from ephemeral_endpoints.kube.client import listed
from ephemeral_endpoints.kube.errors import Gone, KubernetesError
from ephemeral_endpoints.kube.rest import Raw


class Level(Enum):
    """How bad it is."""

    OK = auto()
    UNKNOWN = auto()
    WARNING = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do about it."""

    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Right:
    """A right in a namespace, and what needs it. ``is_needed`` where nothing works without it."""

    verb: str
    resource: str
    group: str
    purpose: str
    is_needed: bool = False


RIGHTS: Final = (
    Right("get", ENDPOINT.plural, GROUP, "see endpoints", is_needed=True),
    Right("list", ENDPOINT.plural, GROUP, "list endpoints", is_needed=True),
    Right("watch", ENDPOINT.plural, GROUP, "wait for endpoints", is_needed=True),
    Right("create", ENDPOINT.plural, GROUP, "create endpoints"),
    Right("patch", ENDPOINT.plural, GROUP, "change and retry endpoints"),
    Right("delete", ENDPOINT.plural, GROUP, "delete endpoints"),
    Right("approve", ENDPOINT.plural, GROUP, "approve builds"),
    Right("pin", ENDPOINT.plural, GROUP, "pin endpoints"),
    Right("get", "secrets", "", "read tokens"),
    Right("list", "events", "", "see Events"),
    Right("list", ENDPOINT_CLASS.plural, GROUP, "see classes"),
)


async def kinds(cluster: Cluster) -> list[Finding]:
    """The CRDs are there, and are those of this version."""
    return [await _kind(cluster, crd(kind)) for kind in KINDS]


async def _kind(cluster: Cluster, ours: Raw) -> Finding:
    name = ours["metadata"]["name"]
    remedy = f"apply the CRDs of version {__version__}, or install the version of eep that the operator has"
    try:
        found = await cluster.rest("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    except Gone:
        return Finding(Level.FAILED, f"the CRD {name} is not installed", f"install the chart, or {remedy}")
    served = {each["name"]: each for each in found["spec"]["versions"] if each["served"]}
    if VERSION not in served:
        return Finding(Level.FAILED, f"the CRD {name} does not serve {VERSION}", remedy)
    missing = _fields(ours["spec"]["versions"][0]["schema"]["openAPIV3Schema"]) ^ _fields(
        served[VERSION]["schema"]["openAPIV3Schema"]
    )
    if missing:
        fields = ", ".join(sorted(missing)[:3]) + (" and others" if len(missing) > 3 else "")  # noqa: PLR2004 - enough
        return Finding(Level.WARNING, f"the CRD {name} is of another version: it differs in {fields}", remedy)
    return Finding(Level.OK, f"the CRD {name} is that of version {__version__}")


def _fields(schema: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The paths of all fields of a schema."""
    found = set()
    for name, each in schema.get("properties", {}).items():
        found |= {f"{prefix}{name}", *_fields(each, f"{prefix}{name}.")}
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, Mapping):
            found |= _fields(inner, prefix)
    return found


async def operator(cluster: Cluster) -> list[Finding]:
    """The operator runs, and is of this version: the one that the variable names, else that of the cluster."""
    if url := os.environ.get(URL_VARIABLE):
        return [answering(url, await version_at(url))]
    return running(await operators(cluster))


def answering(url: str, version: str | None) -> Finding:
    """What the HTTP port of an operator outside of the cluster tells; None: it does not answer. Pure."""
    where = f"the operator at {url}"
    if version is None:
        remedy = f"start it, for example with `eep local up --operator`, or unset {URL_VARIABLE}"
        return Finding(Level.FAILED, f"{where} is not running", remedy)
    return _runs(where, version)


def running(found: Iterable[Operator]) -> list[Finding]:
    """What the Deployments of the operator tell. Pure."""
    findings = []
    for each in found:
        where = f"the operator {each.namespace}/{each.name}"
        if each.desired and not each.ready:
            see = f"see why: kubectl --namespace {each.namespace} describe deployment {each.name}"
            findings.append(Finding(Level.FAILED, f"{where} is not running", see))
        elif not each.desired:
            start = f"kubectl --namespace {each.namespace} scale deployment {each.name} --replicas 1"
            findings.append(Finding(Level.FAILED, f"{where} is scaled to zero", f"start it: {start}"))
        else:
            findings.append(_runs(where, each.version))
    remedy = f"install its chart: docs/install.md; if it runs outside of the cluster, set {URL_VARIABLE} to its URL"
    return findings or [Finding(Level.FAILED, "the operator is not installed", remedy)]


def _runs(where: str, version: str) -> Finding:
    if version == __version__:
        return Finding(Level.OK, f"{where} runs, version {version}")
    remedy = f"install eep of its version: pip install ephemeral-endpoints=={version}"
    return Finding(Level.WARNING, f"{where} is of version {version}, and eep of {__version__}", remedy)


async def classes(cluster: Cluster) -> list[Finding]:
    """There is a default class, and all classes can be used."""
    found = [each async for each in listed(cluster.rest, ENDPOINT_CLASS.folder())]
    return usable([EphemeralEndpointClass.model_validate(each) for each in found])


def usable(found: Iterable[EphemeralEndpointClass]) -> list[Finding]:
    """What the classes tell. Pure."""
    every = list(found)
    if not every:
        remedy = "a platform engineer has to write one: examples/endpoint-class.yaml"
        return [Finding(Level.FAILED, "there is no EphemeralEndpointClass", remedy)]
    findings = [_default(sorted(each.metadata.name for each in every if each.is_default))]
    for each in every:
        ready = next((one for one in each.status.conditions if one.type == "Ready"), None)
        name = f"the class {each.metadata.name}, account {each.spec.account}, region {each.spec.region},"
        if ready and ready.status == "True":
            findings.append(Finding(Level.OK, f"{name} can be used: {ready.reason}"))
        elif ready:
            findings.append(Finding(Level.FAILED, f"{name} cannot be used: {ready.reason}", ready.message))
        else:
            findings.append(
                Finding(Level.FAILED, f"{name} was not seen by the operator yet", "is the operator running?")
            )
    return findings


def _default(names: list[str]) -> Finding:
    mark = f'{DEFAULT_CLASS_ANNOTATION}="true"'
    match names:
        case [name]:
            return Finding(Level.OK, f"{name} is the default class")
        case []:
            remedy = f"name a class in each object (spec.className), or annotate one with {mark}"
            return Finding(Level.WARNING, "no class is the default", remedy)
        case _:
            remedy = f"remove the annotation {mark} from all but one"
            return Finding(Level.WARNING, f"several classes are the default: {', '.join(names)}", remedy)


async def rights(cluster: Cluster) -> list[Finding]:
    """What the caller may do in the namespace."""
    missing = [each for each in RIGHTS if not await _is_allowed(cluster, each)]
    if not missing:
        return [Finding(Level.OK, f"you have all rights in the namespace {cluster.namespace}")]
    return [
        Finding(
            Level.FAILED if each.is_needed else Level.WARNING,
            f"you may not {each.purpose} in the namespace {cluster.namespace}",
            f"ask for the verb {each.verb} on {f'{each.resource}.{each.group}'.rstrip('.')}",
        )
        for each in missing
    ]


async def _is_allowed(cluster: Cluster, right: Right) -> bool:
    where = {} if right.resource == ENDPOINT_CLASS.plural else {"namespace": cluster.namespace}
    asked = {"verb": right.verb, "resource": right.resource, "group": right.group, **where}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    answer = await cluster.rest("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    return bool(answer["status"]["allowed"])


async def quotas(cluster: Cluster) -> list[Finding]:
    """The namespace has room for another endpoint."""
    counted = f"count/{ENDPOINT.plural}.{GROUP}"
    answer = await cluster.rest("GET", f"/api/v1/namespaces/{cluster.namespace}/resourcequotas")
    findings = []
    for each in answer["items"]:
        hard = each.get("status", {}).get("hard", {}).get(counted)
        used = each.get("status", {}).get("used", {}).get(counted)
        if hard and used and int(used) >= int(hard):
            name = each["metadata"]["name"]
            text = f"the namespace {cluster.namespace} is full: {used} of {hard} endpoints by the ResourceQuota {name}"
            findings.append(Finding(Level.FAILED, text, "delete endpoints that are not needed, or have it raised"))
    return findings


async def capacity(cluster: Cluster) -> list[Finding]:
    """No object of the namespace waits for a limit of its class, and no budget is spent."""
    found = [each async for each in listed(cluster.rest, ENDPOINT.folder(cluster.namespace))]
    return limiting([EphemeralEndpoint.model_validate(each) for each in found])


def limiting(endpoints: Iterable[EphemeralEndpoint]) -> list[Finding]:
    """What the objects tell of limits and budgets, each of which concerns several; pure."""
    found = [
        (each.metadata.name, one)
        for each in endpoints
        for one in each.status.conditions
        if (one.type == ConditionType.READY and one.reason in _LIMITS) or (one.type, one.status) in _SPENT
    ]
    return [Finding(Level.WARNING, f"{name}: {one.type} is {one.reason}", one.message) for name, one in found]


_LIMITS: Final = frozenset({LIMIT_REACHED.name, NONE_ALLOWED.name})
_SPENT: Final = frozenset((WITHIN_BUDGET, each.value) for each in (ConditionStatus.FALSE, ConditionStatus.UNKNOWN))

CHECKS: Final[Mapping[str, Callable[[Cluster], Awaitable[list[Finding]]]]] = {
    "CRDs": kinds,
    "operator": operator,
    "classes": classes,
    "rights": rights,
    "quotas": quotas,
    "limits and budgets": capacity,
}
"""All checks of the cluster, in their order."""


async def aws_credentials(cluster: Cluster) -> list[Finding]:
    """The AWS credentials of this shell, if there are any, are of the account of a class. Blocks."""
    import boto3  # noqa: PLC0415 - takes a second
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    purpose = "`eep logs` and `eep explain` read AWS with them, nothing else does"
    if boto3.Session().get_credentials() is None:
        return [Finding(Level.UNKNOWN, "there are no AWS credentials in this shell", f"{purpose}: log in to use these")]
    try:
        accounts = {
            EphemeralEndpointClass.model_validate(each).spec.account
            async for each in listed(cluster.rest, ENDPOINT_CLASS.folder())
        }
    except KubernetesError:
        accounts = set()
    try:
        config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 1})
        account = boto3.Session().client("sts", region_name="us-east-1", config=config).get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        return [Finding(Level.WARNING, f"the AWS credentials of this shell do not work: {error}", f"{purpose}: log in")]
    if accounts and account not in accounts:
        text = f"the AWS credentials of this shell are of the account {account}, which no class uses"
        return [Finding(Level.WARNING, text, f"{purpose}: choose others with AWS_PROFILE")]
    return [Finding(Level.OK, f"the AWS credentials of this shell are of the account {account}")]
