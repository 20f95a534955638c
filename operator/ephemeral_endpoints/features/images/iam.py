"""What the operator does in ECR.

References: "Actions, resources, and condition keys for" Amazon Elastic Container Registry
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_NEW, IS_OURS, OURS, arn
from ephemeral_endpoints.iam.statement import Statement

OWN_REPOSITORIES: Final = (arn("ecr", f"repository/{OURS}"), arn("ecr", f"repository/*/{OURS}"))
"""Those of classes, which may be in folders."""

ALL_REPOSITORIES: Final = (arn("ecr", "repository/*"),)

IMAGES: Final = (
    Statement(
        "ReadImages",
        (
            "ecr:BatchGetImage",
            "ecr:DescribeImageScanFindings",
            "ecr:DescribeRepositories",
            "ecr:GetDownloadUrlForLayer",
        ),
        ALL_REPOSITORIES,
        "A class may serve any image of the account unless it sets a restriction: restrict the names here too. "
        "Repositories are listed all at once. Without the layers it is not known whether an image starts.",
    ),
    Statement(
        "ReadOwnRepositories",
        ("ecr:DescribeImages", "ecr:GetLifecyclePolicy", "ecr:ListTagsForResource"),
        OWN_REPOSITORIES,
        "The images in the repositories of classes, and the owner tags.",
    ),
    Statement(
        "CreateRepositories",
        ("ecr:CreateRepository", "ecr:TagResource"),
        OWN_REPOSITORIES,
        "Creating a resource with tags requires the permission to tag it.",
        IS_NEW,
    ),
    Statement(
        "ChangeRepositories",
        (
            "ecr:BatchDeleteImage",
            "ecr:DeleteRepository",
            "ecr:PutImageScanningConfiguration",
            "ecr:PutImageTagMutability",
            "ecr:PutLifecyclePolicy",
        ),
        OWN_REPOSITORIES,
        "Repairs and deletions. A repository that a class only uses lacks the tag, so nothing in it can be deleted.",
        IS_OURS,
    ),
)
