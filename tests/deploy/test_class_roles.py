"""With the roles of one class nothing can be done to what belongs to another class, by name or by tag."""

import pytest

from eep_platform.aws import ministack
from eep_platform.aws.guard.policies import Policies
from eep_platform.aws.guard.rules import CallScope, RequiredAction
from ephemeral_endpoints.deploy.policies import Principal, merged, of
from ephemeral_endpoints.engine.tags import class_tags

VALUES = {
    "Region": ministack.REGION,
    "AccountId": ministack.ACCOUNT,
    "ClusterId": "c1",
    "ClassName": "a",
    "Repository": "models/a/*",
    "ClassRepository": "previews/a",
}
PULL, PUSH, OVERWRITE, READ = (
    "ecr:BatchGetImage",
    "ecr:PutImage",
    "ecr:InitiateLayerUpload",
    "secretsmanager:GetSecretValue",
)
OWN = class_tags(cluster_id="c1", name="a", uid="a")
OTHER = class_tags(cluster_id="c1", name="a-b", uid="b")
ELSEWHERE = class_tags(cluster_id="c2", name="a", uid="a")


def _arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{ministack.REGION}:{ministack.ACCOUNT}:{resource}"


def _repository(name: str) -> str:
    return _arn("ecr", f"repository/{name}")


def _secret(name: str) -> str:
    return _arn("secretsmanager", f"secret:{name}-AbCdEf")


def _may(principal: Principal, action: str, resource: str, tags: tuple[tuple[str, str], ...]) -> bool:
    policies = Policies.parse("arn:aws:iam::000000000000:role/any", [merged(of(principal), VALUES)])
    scope = CallScope(ministack.ACCOUNT, ministack.REGION)
    return policies.decision(RequiredAction(action, resource), scope, lambda: dict(tags)).allowed


@pytest.mark.parametrize(
    ("principal", "action", "resource", "tags", "allowed"),
    [
        pytest.param(Principal.BUILD, PUSH, _repository("eep-c1-a-abcdefghij"), OWN, True, id="builds push"),
        pytest.param(Principal.BUILD, PULL, _repository("x/eep-c1-a-abcdefghij"), OWN, True, id="and read caches"),
        pytest.param(Principal.BUILD, PUSH, _repository("eep-c1-a-b-abcdefghij"), OTHER, False, id="a longer name"),
        pytest.param(Principal.BUILD, OVERWRITE, _repository("eep-c1-b-abcdefghij"), OTHER, False, id="its cache"),
        pytest.param(Principal.BUILD, PULL, _repository("eep-c1-b-abcdefghij"), OTHER, False, id="another's images"),
        pytest.param(Principal.BUILD, PUSH, _repository("eep-c2-a-abcdefghij"), ELSEWHERE, False, id="cluster"),
        pytest.param(Principal.BUILD, PUSH, _repository("eep-c1-a-abcdefghij"), (), False, id="without tags"),
        pytest.param(Principal.BUILD, PUSH, _repository("billing"), OWN, False, id="the tags without the name"),
        pytest.param(Principal.BUILD, PUSH, _repository("models/a/wine"), (), False, id="what workflows push"),
        pytest.param(Principal.BUILD, PUSH, _repository("previews/a"), (), True, id="a repository that exists"),
        pytest.param(Principal.BUILD, PUSH, _repository("previews/a-b"), OWN, False, id="tagged like the class's"),
        pytest.param(Principal.EXECUTION, PULL, _repository("previews/a"), (), True, id="pulled from one that exists"),
        pytest.param(Principal.EXECUTION, PULL, _repository("previews/a-b"), OWN, False, id="of another class"),
        pytest.param(Principal.BUILD, READ, _secret("builds/a/pip-token"), (), True, id="secrets of the class"),
        pytest.param(Principal.BUILD, READ, _secret("builds/a-b/pip-token"), (), False, id="secrets of another class"),
        pytest.param(Principal.BUILD, READ, _secret("builds/pip-token"), (), False, id="secrets of no class"),
        pytest.param(Principal.EXECUTION, PULL, _repository("eep-c1-a-abcdefghij"), OWN, True, id="models are pulled"),
        pytest.param(Principal.EXECUTION, PULL, _repository("models/a/wine"), (), True, id="pushed by workflows"),
        pytest.param(Principal.EXECUTION, PULL, _repository("models/b/wine"), (), False, id="for another class"),
        pytest.param(Principal.EXECUTION, PULL, _repository("eep-c1-a-b-abcdefghij"), OTHER, False, id="its images"),
        pytest.param(Principal.EXECUTION, PULL, _repository("billing"), (), False, id="anybody's images"),
        pytest.param(Principal.EXECUTION, PUSH, _repository("eep-c1-a-abcdefghij"), OWN, False, id="a model pushes"),
        pytest.param(Principal.EXECUTION, READ, _secret("builds/a/pip-token"), (), False, id="a model reads secrets"),
    ],
)
def test_a_role_of_a_class_reaches_what_is_of_the_class(
    principal: Principal,
    action: str,
    resource: str,
    tags: tuple[tuple[str, str], ...],
    allowed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert _may(principal, action, resource, tags) is allowed
