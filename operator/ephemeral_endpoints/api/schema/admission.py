"""Who may approve builds and versions, abandon or pin an object: manifests by which the API server guards that. Pure.

The policy is evaluated within the API server, so there is no webhook that could be down:
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/. It requests RBAC's own answer
about the user of the request: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library.
"""

from typing import Any, Final

from ephemeral_endpoints.api import (
    ABANDON_ANNOTATION,
    APPROVED_ANNOTATION,
    APPROVED_BY_ANNOTATION,
    APPROVED_VERSION_ANNOTATION,
    FINALIZER,
    GROUP,
    PIN_ANNOTATION,
    STAGE_KIND,
)
from ephemeral_endpoints.api.commands import ABANDON, APPROVE, BYPASS, PIN
from ephemeral_endpoints.api.kinds import ENDPOINT, PROMOTION, STAGE, ObjectKind
from ephemeral_endpoints.api.rules import cel_string
from ephemeral_endpoints.api.v1alpha1.promotion_types import VERSION_NAME

Manifest = dict[str, Any]

APPROVAL_POLICY: Final = f"approval.{GROUP}"
APPROVER_ROLE: Final = "ephemeral-endpoints-approver"
ABANDON_POLICY: Final = f"abandon.{GROUP}"
ABANDONER_ROLE: Final = "ephemeral-endpoints-abandoner"
PIN_POLICY: Final = f"pin.{GROUP}"
PINNER_ROLE: Final = "ephemeral-endpoints-pinner"
STAGE_POLICY: Final = f"stage-approval.{GROUP}"
STAGE_APPROVER_ROLE: Final = "ephemeral-endpoints-stage-approver"
PROMOTION_POLICY: Final = f"promotion.{GROUP}"
BYPASSER_ROLE: Final = "ephemeral-endpoints-approval-bypasser"
STAGED_ENDPOINT_POLICY: Final = f"staged-endpoint.{GROUP}"

_APPROVAL = f"object.metadata.annotations['{APPROVED_ANNOTATION}']"


def approval_manifests() -> list[Manifest]:
    """Return the policy, its binding and the role, in the order in which they are applied."""
    return [approval_policy(), binding(APPROVAL_POLICY), verb_role(APPROVER_ROLE, APPROVE)]


def abandon_manifests() -> list[Manifest]:
    """Return the policy, its binding and the role, in the order in which they are applied."""
    return [abandon_policy(), binding(ABANDON_POLICY), verb_role(ABANDONER_ROLE, ABANDON)]


def pin_manifests() -> list[Manifest]:
    """Return the policy, its binding and the role, in the order in which they are applied."""
    return [pin_policy(), binding(PIN_POLICY), verb_role(PINNER_ROLE, PIN)]


def guards() -> dict[str, list[Manifest]]:
    """Return all manifests by the name of their file."""
    return {
        "approval.yaml": approval_manifests(),
        "promotion.yaml": promotion_manifests(),
        "abandon.yaml": abandon_manifests(),
        "pin.yaml": pin_manifests(),
    }


def promotion_manifests() -> list[Manifest]:
    """Return what guards stages: the policies with their bindings, then the roles."""
    policies = (stage_policy(), promotion_policy(), staged_endpoint_policy())
    guarded = [each for policy in policies for each in (policy, binding(policy["metadata"]["name"]))]
    return [*guarded, verb_role(STAGE_APPROVER_ROLE, APPROVE, STAGE), verb_role(BYPASSER_ROLE, BYPASS, PROMOTION)]


def stage_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy that requires the verb where a version is approved, and the user's name.

    The name is what the history of the stage tells of who approved.
    """
    version, by = (
        f"metadata.?annotations[?'{each}']" for each in (APPROVED_VERSION_ANNOTATION, APPROVED_BY_ANNOTATION)
    )
    is_new = f"object.{version} != oldObject.{version} || object.{by} != oldObject.{by}"
    conditions = [
        {"name": "is-approved", "expression": f"object.{version}.hasValue() || object.{by}.hasValue()"},
        {"name": "approval-is-new", "expression": f"oldObject == null || {is_new}"},
    ]
    remedy = (
        "ask an approver (`eep stage approve`), or ask an administrator for a RoleBinding to the ClusterRole "
        f"{STAGE_APPROVER_ROLE}"
    )
    whole = {
        "expression": f"object.{version}.orValue('').matches({cel_string(f'^{VERSION_NAME}$')})",
        "reason": "Invalid",
        "message": f"the annotation {APPROVED_VERSION_ANNOTATION} must be a model package group and a version of it, "
        "such as wine/7",
    }
    own_name = {
        "expression": f"object.{by} == optional.of(request.userInfo.username)",
        "reason": "Invalid",
        "messageExpression": f"'the annotation {APPROVED_BY_ANNOTATION} must be your user name, '"
        " + request.userInfo.username + ', so that the history tells who approved'",
        "message": f"the annotation {APPROVED_BY_ANNOTATION} must be your user name",
    }
    return _policy(STAGE_POLICY, conditions, [whole, own_name, _allowed_user(APPROVE, remedy, kind=STAGE)], STAGE)


def promotion_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy that requires the verb where an approval is bypassed, and the user's name.

    The spec of a promotion cannot change, so that it is enough to judge its creation.
    """
    conditions = [
        {
            "name": "says-who-or-bypasses",
            "expression": "oldObject == null && (object.spec.bypassApproval || has(object.spec.requestedBy))",
        }
    ]
    own_name = {
        "expression": "!has(object.spec.requestedBy) || object.spec.requestedBy == request.userInfo.username",
        "reason": "Invalid",
        "messageExpression": "'spec.requestedBy must be your user name, ' + request.userInfo.username"
        " + ', or be absent'",
        "message": "spec.requestedBy must be your user name, or be absent",
    }
    remedy = (
        "create the promotion without bypassApproval, so that it waits for an approval, or ask an administrator for a "
        f"RoleBinding to the ClusterRole {BYPASSER_ROLE}"
    )
    bypasses = _allowed_user(BYPASS, remedy, kind=PROMOTION, or_else=" || !object.spec.bypassApproval")
    return _policy(PROMOTION_POLICY, conditions, [own_name, bypasses], PROMOTION)


def staged_endpoint_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy by which only the operator makes endpoints that never end by themselves."""
    owned = f"metadata.?ownerReferences.orValue([]).exists(each, each.kind == '{STAGE_KIND}')"
    conditions = [
        {"name": "is-of-stage", "expression": f"object.{owned}"},
        {"name": "becomes-it", "expression": f"oldObject == null || !oldObject.{owned}"},
    ]
    message = f"only the operator makes endpoints whose owner is a {STAGE_KIND}: create a {STAGE_KIND} instead"
    is_operator = {
        "expression": _authorizer(".subresource('status')", "patch"),
        "reason": "Forbidden",
        "message": message,
    }
    return _policy(STAGED_ENDPOINT_POLICY, conditions, [is_operator])


def approval_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy that requires the verb where an approval is given or changed.

    Every user who may write the object may remove an approval, and change anything else about an approved object.
    Neither is a value judged that was there before: an object from a time without this policy can still be changed and
    deleted, for which its finalizer has to be taken off.
    """
    conditions = [
        {"name": "is-approved", "expression": f"{_optional('object')}.hasValue()"},
        {
            "name": "approval-is-new",
            "expression": f"oldObject == null || {_optional('object')} != {_optional('oldObject')}",
        },
    ]
    remedy = (
        f"ask an approver to set the annotation {APPROVED_ANNOTATION}, "
        f"or ask an administrator for a RoleBinding to the ClusterRole {APPROVER_ROLE}"
    )
    return _policy(APPROVAL_POLICY, conditions, [_whole_digest(), _allowed_user(APPROVE, remedy)])


def abandon_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy that requires the verb where an object is let go before its AWS resources.

    That is where the annotation is set, and where the operator's finalizer is taken off, which has the same effect. The
    operator itself takes it off when nothing is left: it is told by its right to write the status.
    """
    is_released = (
        f"'{FINALIZER}' in oldObject.metadata.?finalizers.orValue([])"
        f" && !('{FINALIZER}' in object.metadata.?finalizers.orValue([]))"
    )
    conditions = [
        {
            "name": "is-let-go",
            "expression": f"({_newly_true(ABANDON_ANNOTATION)}) || (oldObject != null && {is_released})",
        }
    ]
    remedy = (
        "wait until the operator has deleted its AWS resources; to replace an object keep its finalizers; or ask an "
        f"administrator for a RoleBinding to the ClusterRole {ABANDONER_ROLE}"
    )
    is_operator = _authorizer(".subresource('status')", "patch")
    return _policy(ABANDON_POLICY, conditions, [_allowed_user(ABANDON, remedy, or_else=f" || {is_operator}")])


def pin_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy that requires the verb where an object is pinned.

    Every user who may write the object may unpin it, and change anything else about a pinned object.
    """
    conditions = [{"name": "is-pinned", "expression": _newly_true(PIN_ANNOTATION)}]
    remedy = (
        "extend its life with `eep extend`, have a person who may pin set the annotation "
        f"{PIN_ANNOTATION}, or ask an administrator for a RoleBinding to the ClusterRole {PINNER_ROLE}"
    )
    return _policy(PIN_POLICY, conditions, [_allowed_user(PIN, remedy)])


def binding(policy: str) -> Manifest:
    """Return the ValidatingAdmissionPolicyBinding that puts the policy into force in all namespaces."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    }


def verb_role(name: str, verb: str, kind: ObjectKind = ENDPOINT) -> Manifest:
    """Return the ClusterRole for users who may use the verb, to be bound in the namespaces where they may.

    It gives the verb alone and is aggregated to no other role, so no user gets it by accident:
    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [GROUP], "resources": [kind.plural], "verbs": [verb]}],
    }


def _policy(
    name: str, conditions: list[Manifest], validations: list[Manifest], kind: ObjectKind = ENDPOINT
) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": ["*"],
                        # Not its subresource `status`: writes to it change neither annotations nor finalizers.
                        "resources": [kind.plural],
                        "operations": ["CREATE", "UPDATE"],
                        # All defaults of the API server are written out, or the rule would differ at the next apply.
                        "scope": kind.scope.value,
                    }
                ]
            },
            "matchConditions": conditions,
            "validations": validations,
        },
    }


def _newly_true(annotation: str) -> str:
    value = f"metadata.?annotations[?'{annotation}']"
    return f"object.{value} == optional.of('true') && (oldObject == null || object.{value} != oldObject.{value})"


def _whole_digest() -> Manifest:
    """An abbreviated digest could be made to fit another build too."""
    return {
        "expression": f"{_APPROVAL}.matches('^[0-9a-f]{{64}}$')",
        "reason": "Invalid",
        "message": f"the annotation {APPROVED_ANNOTATION} must be the digest of the build, 64 lowercase hexadecimal "
        "digits, as the condition ImageReady and `eep approve` show it; the SHA of a commit approves nothing",
    }


def _allowed_user(verb: str, remedy: str, *, kind: ObjectKind = ENDPOINT, or_else: str = "") -> Manifest:
    needed = f"the verb {verb} on {kind.plural}.{GROUP}"
    return {
        "expression": _authorizer("", verb, kind) + or_else,
        "reason": "Forbidden",
        "messageExpression": f"'user ' + request.userInfo.username + ' lacks {needed} in namespace '"
        f" + object.metadata.namespace + ': {remedy}'",
        # Shown where the expression's text cannot be: a name may have line breaks, a message may not.
        "message": f"you lack {needed}: {remedy}",
    }


def _authorizer(subresource: str, verb: str, kind: ObjectKind = ENDPOINT) -> str:
    return (
        f"authorizer.group('{GROUP}').resource('{kind.plural}'){subresource}"
        f".namespace(object.metadata.namespace).name(object.metadata.name).check('{verb}').allowed()"
    )


def _optional(variable: str) -> str:
    """The approval of the object as an optional value, which differs from an empty one where there is none."""
    return f"{variable}.metadata.?annotations[?'{APPROVED_ANNOTATION}']"
