"""The trust policies of the roles.

References: https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html (IRSA),
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html (Pod Identity),
https://docs.github.com/actions/reference/security/oidc and
https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html, which SageMaker, CodeBuild and Firehose support
for roles.
"""

from collections.abc import Mapping
from typing import Any, Final

from ephemeral_endpoints.deploy.policies import Principal
from ephemeral_endpoints.iam.statement import VERSION, Conditions

GITHUB: Final = "token.actions.githubusercontent.com"
_STS: Final = "sts.amazonaws.com"
_OF_THIS_ACCOUNT: Final[Conditions] = {"StringEquals": {"aws:SourceAccount": "${AccountId}"}}

SERVICES: Final[Mapping[Principal, tuple[str, Conditions]]] = {
    Principal.EXECUTION: ("sagemaker.amazonaws.com", _OF_THIS_ACCOUNT),
    Principal.FORWARDER: ("lambda.amazonaws.com", {}),
    Principal.INVOKE: ("apigateway.amazonaws.com", {}),
    Principal.DELIVERY: ("firehose.amazonaws.com", _OF_THIS_ACCOUNT),
    Principal.TRAINING: ("sagemaker.amazonaws.com", _OF_THIS_ACCOUNT),
    Principal.REAPER: ("lambda.amazonaws.com", {}),
    Principal.BUILD: ("codebuild.amazonaws.com", _OF_THIS_ACCOUNT),
}
"""The services that assume the roles of classes, and the conditions that exclude other accounts."""


def of_service(principal: Principal) -> dict[str, Any]:
    """The trust of a role that a service assumes."""
    service, conditions = SERVICES[principal]
    return _trust({"Service": service}, ("sts:AssumeRole",), conditions)


def irsa() -> dict[str, Any]:
    """The trust of the operator's role for its ServiceAccount, by the cluster's OIDC provider."""
    return _web_identity(
        "arn:${Partition}:iam::${AccountId}:oidc-provider/${OidcIssuer}",
        {
            "StringEquals": {
                "${OidcIssuer}:aud": _STS,
                "${OidcIssuer}:sub": "system:serviceaccount:${Namespace}:${ServiceAccount}",
            }
        },
    )


def pod_identity() -> dict[str, Any]:
    """The trust of the operator's role for EKS Pod Identity, which identifies the pod by session tags."""
    return _trust(
        {"Service": "pods.eks.amazonaws.com"},
        ("sts:AssumeRole", "sts:TagSession"),
        {
            "StringEquals": {
                "aws:RequestTag/kubernetes-namespace": "${Namespace}",
                "aws:RequestTag/kubernetes-service-account": "${ServiceAccount}",
            }
        },
    )


def github() -> dict[str, Any]:
    """The trust of a workflow's role, for the workflows of one repository."""
    return _web_identity(
        f"arn:${{Partition}}:iam::${{AccountId}}:oidc-provider/{GITHUB}",
        {
            "StringEquals": {f"{GITHUB}:aud": _STS},
            "StringLike": {f"{GITHUB}:sub": "repo:${GitHubRepository}:${GitHubSubject}"},
        },
    )


def _web_identity(provider: str, conditions: Conditions) -> dict[str, Any]:
    return _trust({"Federated": provider}, ("sts:AssumeRoleWithWebIdentity",), conditions)


def _trust(principal: Mapping[str, str], actions: tuple[str, ...], conditions: Conditions) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": dict(principal),
        "Action": actions[0] if len(actions) == 1 else list(actions),
    }
    if conditions:
        statement["Condition"] = {operator: dict(keys) for operator, keys in conditions.items()}
    return {"Version": VERSION, "Statement": [statement]}
