"""Who may approve a build or abandon an object: the manifests with which the API server itself guards that. Pure.

The policy is evaluated within the API server, so there is no webhook that could be down:
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/. It requests RBAC's own answer
about the user of the request: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library.
"""

from typing import Any, Final

from ephemeral_endpoints.api import ABANDON_ANNOTATION, APPROVED_ANNOTATION, FINALIZER, GROUP
from ephemeral_endpoints.api.commands import ABANDON, APPROVE
from ephemeral_endpoints.api.kinds import ENDPOINT

Manifest = dict[str, Any]

APPROVAL_POLICY: Final = f"approval.{GROUP}"
APPROVER_ROLE: Final = "ephemeral-endpoints-approver"
ABANDON_POLICY: Final = f"abandon.{GROUP}"
ABANDONER_ROLE: Final = "ephemeral-endpoints-abandoner"

_APPROVAL = f"object.metadata.annotations['{APPROVED_ANNOTATION}']"


def approval_manifests() -> list[Manifest]:
    """Return the policy, its binding and the role, in the order in which they are applied."""
    return [approval_policy(), binding(APPROVAL_POLICY), verb_role(APPROVER_ROLE, APPROVE)]


def abandon_manifests() -> list[Manifest]:
    """Return the policy, its binding and the role, in the order in which they are applied."""
    return [abandon_policy(), binding(ABANDON_POLICY), verb_role(ABANDONER_ROLE, ABANDON)]


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
    abandon = f"metadata.?annotations[?'{ABANDON_ANNOTATION}']"
    is_released = (
        f"'{FINALIZER}' in oldObject.metadata.?finalizers.orValue([])"
        f" && !('{FINALIZER}' in object.metadata.?finalizers.orValue([]))"
    )
    conditions = [
        {
            "name": "is-let-go",
            "expression": f"(object.{abandon} == optional.of('true')"
            f" && (oldObject == null || object.{abandon} != oldObject.{abandon}))"
            f" || (oldObject != null && {is_released})",
        }
    ]
    remedy = (
        "wait until the operator has deleted its AWS resources; to replace an object keep its finalizers; or ask an "
        f"administrator for a RoleBinding to the ClusterRole {ABANDONER_ROLE}"
    )
    is_operator = _authorizer(".subresource('status')", "patch")
    return _policy(ABANDON_POLICY, conditions, [_allowed_user(ABANDON, remedy, or_else=f" || {is_operator}")])


def binding(policy: str) -> Manifest:
    """Return the ValidatingAdmissionPolicyBinding that puts the policy into force in all namespaces."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": policy},
        "spec": {"policyName": policy, "validationActions": ["Deny"]},
    }


def verb_role(name: str, verb: str) -> Manifest:
    """Return the ClusterRole for users who may use the verb, to be bound in the namespaces where they may.

    It gives the verb alone and is aggregated to no other role, so no user gets it by accident:
    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": [GROUP], "resources": [ENDPOINT.plural], "verbs": [verb]}],
    }


def _policy(name: str, conditions: list[Manifest], validations: list[Manifest]) -> Manifest:
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
                        "resources": [ENDPOINT.plural],
                        "operations": ["CREATE", "UPDATE"],
                        # All defaults of the API server are written out, or the rule would differ at the next apply.
                        "scope": ENDPOINT.scope.value,
                    }
                ]
            },
            "matchConditions": conditions,
            "validations": validations,
        },
    }


def _whole_digest() -> Manifest:
    """An abbreviated digest could be made to fit another build too."""
    return {
        "expression": f"{_APPROVAL}.matches('^[0-9a-f]{{64}}$')",
        "reason": "Invalid",
        "message": f"the annotation {APPROVED_ANNOTATION} must be the digest of the build, 64 lowercase hexadecimal "
        "digits, as the condition ImageReady and `eep approve` show it; the SHA of a commit approves nothing",
    }


def _allowed_user(verb: str, remedy: str, *, or_else: str = "") -> Manifest:
    needed = f"the verb {verb} on {ENDPOINT.plural}.{GROUP}"
    return {
        "expression": _authorizer("", verb) + or_else,
        "reason": "Forbidden",
        "messageExpression": f"'user ' + request.userInfo.username + ' lacks {needed} in namespace '"
        f" + object.metadata.namespace + ': {remedy}'",
        # Shown where the expression's text cannot be: a name may have line breaks, a message may not.
        "message": f"you lack {needed}: {remedy}",
    }


def _authorizer(subresource: str, verb: str) -> str:
    return (
        f"authorizer.group('{GROUP}').resource('{ENDPOINT.plural}'){subresource}"
        f".namespace(object.metadata.namespace).name(object.metadata.name).check('{verb}').allowed()"
    )


def _optional(variable: str) -> str:
    """The approval of the object as an optional value, which differs from an empty one where there is none."""
    return f"{variable}.metadata.?annotations[?'{APPROVED_ANNOTATION}']"
