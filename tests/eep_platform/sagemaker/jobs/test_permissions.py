import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.eep_platform.sagemaker.conftest import ACCOUNT
from tests.fixtures.sagemaker_jobs import BUCKET, REPOSITORY

if TYPE_CHECKING:
    from tests.fixtures.sagemaker_jobs import Jobs

NAME = "worker"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/{NAME}"
IMAGES = {
    "Effect": "Allow",
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    "Resource": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{REPOSITORY}",
}


def allow(action: str, path: str, **condition: Any) -> dict[str, Any]:  # noqa: ANN401 - as typed as JSON is
    return {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{BUCKET}{path}", **condition}


def tagged(use: str) -> dict[str, Any]:
    return IMAGES | {"Condition": {"StringEquals": {"aws:ResourceTag/use": use}}}


LIST = allow("s3:ListBucket", "")
READ, WRITE = allow("s3:GetObject", "/*"), allow("s3:PutObject", "/*")


@pytest.fixture
def role(jobs: "Jobs") -> Iterator[Callable[..., None]]:
    """Gives a role its policy."""
    iam = jobs.aws("iam")
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))

    def restrict(*statements: Any) -> None:  # noqa: ANN401 - as typed as JSON is
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_role_policy(RoleName=NAME, PolicyName="p", PolicyDocument=document)

    yield restrict
    iam.delete_role_policy(RoleName=NAME, PolicyName="p")
    iam.delete_role(RoleName=NAME)


@pytest.mark.parametrize(
    ("statements", "status", "reason"),
    [
        pytest.param([IMAGES, LIST, READ, WRITE], "Completed", "", id="all that the job needs"),
        pytest.param([tagged("model"), LIST, READ, WRITE], "Completed", "", id="images by the tag of their repository"),
        pytest.param(
            [tagged("other"), LIST, READ, WRITE], "Failed", "Cannot pull algorithm container", id="another tag"
        ),
        pytest.param([LIST, READ, WRITE], "Failed", "ClientError: Cannot pull algorithm container", id="no image"),
        pytest.param([IMAGES, LIST, WRITE], "Failed", "s3:GetObject on resource: arn:aws:s3:::jobs/", id="no reading"),
        pytest.param([IMAGES, LIST, READ], "Failed", "s3:PutObject on resource: arn:aws:s3:::jobs/", id="no writing"),
    ],
)
def test_a_job_may_do_what_its_role_may_do(
    jobs: "Jobs", role: Callable[..., None], statements: list[Any], status: str, reason: str
) -> None:
    ecr = jobs.aws("ecr")
    [repository] = ecr.describe_repositories(repositoryNames=[REPOSITORY])["repositories"]
    ecr.tag_resource(resourceArn=repository["repositoryArn"], tags=[{"Key": "use", "Value": "model"}])
    role(*statements)
    job = jobs.trained(jobs.train(jobs.put({"a": "1"}), RoleArn=ROLE))
    assert job["TrainingJobStatus"] == status
    assert reason in job.get("FailureReason", "")


def test_data_that_the_role_may_not_list_is_refused(jobs: "Jobs", role: Callable[..., None]) -> None:
    role(IMAGES, READ, WRITE, LIST | {"Condition": {"StringLike": {"s3:prefix": "others/*"}}})
    with pytest.raises(ClientError, match=r"No S3 objects found .*AccessDenied.* s3:ListBucket"):
        jobs.train(jobs.put({"a": "1"}), RoleArn=ROLE)
