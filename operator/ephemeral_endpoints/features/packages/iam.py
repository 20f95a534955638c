"""What the operator does in the SageMaker Model Registry.

Reference: "Actions, resources, and condition keys for" Amazon SageMaker
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html).
"""

from typing import Final

from ephemeral_endpoints.iam.scope import IS_OURS, arn
from ephemeral_endpoints.iam.statement import Statement

VERSIONS: Final = (arn("sagemaker", "model-package/*", at="${Region}:*"),)
"""Those of other accounts too, whose own policies decide."""

PACKAGES: Final = (
    Statement(
        "ReadPackages",
        ("sagemaker:DescribeModelPackage",),
        VERSIONS,
        "The image, the data and the approval of a version. Classes say which groups objects may use: restrict them "
        "here too.",
    ),
    Statement(
        "ListPackages",
        ("sagemaker:ListModelPackageGroups", "sagemaker:ListModelPackages"),
        ("*",),
        "The latest approved version of a group, and groups without any. The actions support no resource types.",
    ),
    Statement(
        "ReadPackageGroups",
        ("sagemaker:ListTags",),
        (arn("sagemaker", "model-package-group/*"),),
        "Whose a group is: only versions in groups of this cluster are deleted.",
    ),
    Statement(
        "DeletePackages",
        ("sagemaker:DeleteModelPackage",),
        (arn("sagemaker", "model-package/*-previews/*"),),
        "Versions that pull requests registered. A version has no tags of its own that could restrict it further.",
    ),
    Statement(
        "DeletePackageGroups",
        ("sagemaker:DeleteModelPackageGroup",),
        (arn("sagemaker", "model-package-group/*"),),
        "Those that trainings made. SageMaker refuses to delete one with a version in it.",
        IS_OURS,
    ),
    Statement(
        "ServePackages",
        ("sagemaker:CreateModel",),
        VERSIONS,
        "A model of an approved version is authorised on the version too.",
    ),
)
