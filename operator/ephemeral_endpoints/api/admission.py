"""Who may approve a commit: the manifests with which the API server itself guards the annotation. Pure.

The policy is evaluated within the API server, so there is no webhook that could be down:
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/. What it asks is RBAC's own answer
about the user of the request: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-authorizer-library.
"""

from typing import Any, Final

from ephemeral_endpoints.api import APPROVED_ANNOTATION, GROUP

Manifest = dict[str, Any]

APPROVAL_POLICY: Final = f"approval.{GROUP}"
APPROVER_ROLE: Final = "ephemeral-endpoints-approver"
APPROVE_VERB: Final = "approve"

_PLURAL = "ephemeralendpoints"
_APPROVAL = f"object.metadata.annotations['{APPROVED_ANNOTATION}']"


def approval_manifests() -> list[Manifest]:
    """Return the policy, its binding and the role, in the order in which they are applied."""
    return [approval_policy(), approval_binding(), approver_role()]


def approval_policy() -> Manifest:
    """Return the ValidatingAdmissionPolicy that asks for the verb where an approval is given or changed.

    Taking an approval away is left to whoever may write the object, and so is everything else about an approved object.
    Neither is a value judged that was there before: an object from a time without this policy can still be changed and
    deleted, for which its finalizer has to be taken off.
    """
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": APPROVAL_POLICY},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [GROUP],
                        "apiVersions": ["*"],
                        # Not its subresource `status`: what is written there cannot change an annotation.
                        "resources": [_PLURAL],
                        "operations": ["CREATE", "UPDATE"],
                        # All is said that the API server would fill in, lest the rule differ from what is applied anew.
                        "scope": "Namespaced",
                    }
                ]
            },
            "matchConditions": [
                {"name": "is-approved", "expression": f"{_optional('object')}.hasValue()"},
                {
                    "name": "approval-is-new",
                    "expression": f"oldObject == null || {_optional('object')} != {_optional('oldObject')}",
                },
            ],
            "validations": [_whole_revision(), _allowed_user()],
        },
    }


def approval_binding() -> Manifest:
    """Return the ValidatingAdmissionPolicyBinding that puts the policy into force in all namespaces."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": APPROVAL_POLICY},
        "spec": {"policyName": APPROVAL_POLICY, "validationActions": ["Deny"]},
    }


def approver_role() -> Manifest:
    """Return the ClusterRole to bind those to who may approve, in the namespaces where they may.

    It gives the verb alone and is aggregated to no other role, so nobody has it who was not meant to:
    https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": APPROVER_ROLE},
        "rules": [{"apiGroups": [GROUP], "resources": [_PLURAL], "verbs": [APPROVE_VERB]}],
    }


def _whole_revision() -> Manifest:
    """An abbreviated SHA could be made to fit another commit too."""
    return {
        "expression": f"{_APPROVAL}.matches('^([0-9a-f]{{40}}|[0-9a-f]{{64}})$')",
        "reason": "Invalid",
        "message": f"the annotation {APPROVED_ANNOTATION} must be the whole SHA of the commit, "
        "40 or 64 lowercase hexadecimal digits: take it from `git rev-parse`",
    }


def _allowed_user() -> Manifest:
    check = (
        f"authorizer.group('{GROUP}').resource('{_PLURAL}')"
        f".namespace(object.metadata.namespace).name(object.metadata.name).check('{APPROVE_VERB}')"
    )
    needed = f"the verb {APPROVE_VERB} on {_PLURAL}.{GROUP}"
    remedy = (
        f"leave the annotation {APPROVED_ANNOTATION} to somebody who has it, "
        f"or have a RoleBinding to the ClusterRole {APPROVER_ROLE} made for you"
    )
    return {
        "expression": f"{check}.allowed()",
        "reason": "Forbidden",
        "messageExpression": f"'user ' + request.userInfo.username + ' lacks {needed} in namespace '"
        f" + object.metadata.namespace + ': {remedy}'",
        # Shown where the expression's text cannot be: a name may have line breaks, a message may not.
        "message": f"you lack {needed}: {remedy}",
    }


def _optional(variable: str) -> str:
    """The approval of the object as an optional value, which differs from an empty one where there is none."""
    return f"{variable}.metadata.?annotations[?'{APPROVED_ANNOTATION}']"
