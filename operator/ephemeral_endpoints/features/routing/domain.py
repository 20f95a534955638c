"""The custom domain of a class: which of its paths lead to which API, and what is wrong with it. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.engine.conditions import Cause, ConditionStatus, ConditionUpdate
from ephemeral_endpoints.engine.errors import AwsError, NotFound
from ephemeral_endpoints.engine.reasons import ReasonGroup
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResources
from ephemeral_endpoints.features.routing.apis import api_number
from ephemeral_endpoints.features.routing.specs import API_MAPPING, ApiMappingSpec, HttpApiSpec, mapping_key

DOMAIN_READY: Final = "DomainReady"
"""The condition of a class that says whether its custom domain leads to its APIs."""

REASONS: Final = ReasonGroup(DOMAIN_READY)

AVAILABLE: Final = REASONS.normal(
    "DomainAvailable", meaning="The custom domain exists and can be used; its paths lead to the APIs of the class."
)
UPDATING: Final = REASONS.transient(
    "DomainUpdating",
    meaning="API Gateway is changing the custom domain, which takes minutes. The operator looks again.",
)
NOT_FOUND: Final = REASONS.for_platform(
    "DomainNotFound",
    meaning="The custom domain that `spec.routing.domain` names does not exist in the account and region of the class. "
    "Objects have the URLs of API Gateway.",
    remedy="create the domain there, for example with [the stack](iam.md#a-custom-domain), or correct the class. A "
    "domain can exist in one account of a region only: remove it from another one first",
)
PENDING: Final = REASONS.for_platform(
    "DomainPending",
    meaning="API Gateway waits for somebody to import a certificate of the custom domain again, or to prove its "
    "ownership. The message says which.",
    remedy="import the certificate into ACM again, or name a valid `OwnershipVerificationCertificateArn` in the domain",
)
UNUSABLE: Final = REASONS.for_platform(
    "DomainUnusable",
    meaning="The custom domain exists, but cannot lead to HTTP APIs of the class. The message says why.",
    remedy="change the domain as the message says: it must be regional, have a certificate of its own region, and use "
    "API mappings",
)
PATH_TAKEN: Final = REASONS.for_platform(
    "DomainPathTaken",
    meaning="A path of the custom domain that the class needs leads to an API of another class or of somebody else, "
    "which keeps it.",
    remedy="choose another `spec.routing.domain.basePath`, or remove the mapping that the message names",
)

_USABLE: Final = {"AVAILABLE", "UPDATING"}
_PENDING: Final = {
    "PENDING_CERTIFICATE_REIMPORT": "its certificate was imported and must be imported into ACM again",
    "PENDING_OWNERSHIP_VERIFICATION": "its ownership must be proven by a certificate that ACM issued: see "
    "OwnershipVerificationCertificateArn",
}
_CERTIFICATE: Final = re.compile(r"arn:[^:]+:acm:([^:]*):")


def mapping_path(endpoint_class: EphemeralEndpointClass, api: Key) -> str:
    """The path of the class's domain that leads to an API; empty for the whole domain.

    Further APIs have paths that no object of the first one has: its path begins with a namespace, which has no ``_``.
    """
    domain, number = endpoint_class.spec.routing.domain, api_number(api)
    parts = (domain.base_path if domain else None, f"_{number}" if number else None)
    return "/".join(filter(None, parts))


def domain_base(endpoint_class: EphemeralEndpointClass, api: Key) -> str | None:
    """The domain with the path that leads to an API, without a scheme; None if the class has no domain."""
    domain = endpoint_class.spec.routing.domain
    return f"{domain.name}/{mapping_path(endpoint_class, api)}".rstrip("/") if domain else None


def mappings(
    endpoint_class: EphemeralEndpointClass, apis: Iterable[Key], known: ObservedResources
) -> list[DesiredResource]:
    """What is to lead to these APIs of a class: to those that have a stage, where nobody else has the path."""
    domain = endpoint_class.spec.routing.domain
    found: list[DesiredResource] = []
    for api in sorted(apis) if domain else ():
        path = mapping_path(endpoint_class, api)
        key, observed = mapping_key(domain.name if domain else "", path), known.get(api)
        is_staged = observed is not None and isinstance(observed.spec, HttpApiSpec) and observed.spec.staged
        if is_staged and not is_taken(key, observed.owner if observed else None, known):
            found.append(DesiredResource(key, ApiMappingSpec(api, key.name.partition("/")[0], path), frozenset({api})))
    return found


def is_taken(key: Key, owner: str | None, known: ObservedResources) -> bool:
    """Whether a path of a domain leads to what is not the owner's."""
    return key in known and known[key].owner != owner


def leads_to(domain: str, path: str, known: ObservedResources) -> Key | None:
    """The mapping that takes a request to a path, which begins with ``/``: the longest that the path begins with.

    AWS compares strings, not segments: ``orders`` takes ``/ordersandmore`` too
    (https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html).
    """
    taking = (
        key
        for key, each in known.items()
        if isinstance(each.spec, ApiMappingSpec)
        and each.spec.domain == domain
        and path.removeprefix("/").startswith(each.spec.path)
    )
    return max(taking, key=lambda key: len(key.name), default=None)


def found_cause(domain: str, answer: Mapping[str, Any] | AwsError, region: str, account: str) -> tuple[Cause, bool]:
    """What is wrong with a domain, or that nothing is, by AWS's answer; and whether APIs can be mapped to it."""
    if isinstance(answer, NotFound):
        message = (
            f"the custom domain {domain} does not exist in account {account} and region {region}: a platform engineer "
            "must create it there, or correct spec.routing.domain; if it exists in another account, it must be removed "
            "there first. The operator looks again within 5 minutes"
        )
        return Cause(NOT_FOUND, message), False
    if isinstance(answer, AwsError):
        return Cause.of(answer), True
    for each in answer.get("DomainNameConfigurations", ()):
        if why := _unusable(each, str(answer.get("RoutingMode", "")), region):
            return Cause(UNUSABLE, f"the custom domain {domain} cannot be used: {why}"), False
        status, words = each.get("DomainNameStatus", "AVAILABLE"), each.get("DomainNameStatusMessage", "")
        told = f" ({words})" if words else ""
        if status in _PENDING:
            return Cause(PENDING, f"the custom domain {domain} waits: {_PENDING[status]}{told}"), True
        if status != "AVAILABLE":
            message = f"API Gateway is changing the custom domain {domain}{told}; the operator looks again"
            return Cause(UPDATING, message), status in _USABLE
    return Cause(AVAILABLE, f"the custom domain {domain} can be used"), True


def _unusable(configuration: Mapping[str, Any], routing: str, region: str) -> str | None:
    if configuration.get("EndpointType", "REGIONAL") != "REGIONAL":
        return "it is optimized for the edge, and HTTP APIs need a regional one"
    if routing == "ROUTING_RULE_ONLY":
        return "its routing mode is ROUTING_RULE_ONLY, which ignores API mappings: choose one with API mappings"
    certificate = _CERTIFICATE.match(configuration.get("CertificateArn") or "")
    if certificate and certificate[1] != region:
        return f"its certificate is of region {certificate[1]}, and must be of {region}"
    if not certificate:
        return "it has no certificate of ACM"
    return None


def taken_cause(keys: Iterable[Key], known: ObservedResources) -> Cause | None:
    """Which paths of the class lead elsewhere; None if none do."""
    names = [f"{key.name} (API {known[key].id})" for key in sorted(keys)]
    if not names:
        return None
    message = (
        f"these paths of the custom domain lead to APIs of others, which keep them: {', '.join(names)}; choose another "
        "spec.routing.domain.basePath, or delete those mappings. Objects have the URLs of API Gateway until then"
    )
    return Cause(PATH_TAKEN, message)


def update_of(cause: Cause) -> ConditionUpdate:
    """The condition."""
    status = ConditionStatus.TRUE if cause.reason is AVAILABLE else ConditionStatus.FALSE
    return ConditionUpdate.of(DOMAIN_READY, status, cause)


def mapped(observed: Iterable[Key]) -> frozenset[Key]:
    """The paths of domains among these resources."""
    return frozenset(key for key in observed if key.kind is API_MAPPING)
