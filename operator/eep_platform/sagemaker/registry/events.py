"""The EventBridge events of model packages: `SageMaker Model Package State Change`.

Source: "Events that Amazon SageMaker AI sends to Amazon EventBridge" in the SageMaker developer guide. Unlike those of
endpoints, they have times in ISO 8601.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from eep_platform.sagemaker.events import SOURCE
from eep_platform.sagemaker.registry.package import described

if TYPE_CHECKING:
    from eep_platform.sagemaker.store import Body, Record

_NOT_TOLD = ("CreatedBy", "SkipModelValidation")


def package_change(package: "Record[Body]", changed: Sequence[str] = ()) -> dict[str, Any]:
    """The entry for PutEvents that announces a package, or what an update of it has changed."""
    detail = {member: value for member, value in described(package).items() if member not in _NOT_TOLD}
    time: datetime = detail.setdefault("LastModifiedTime", package.created)
    if changed:
        detail["UpdatedModelPackageFields"] = list(changed)
    return {
        "Source": SOURCE,
        "DetailType": "SageMaker Model Package State Change",
        "Detail": json.dumps(detail, default=lambda instant: instant.isoformat()),
        "Resources": [package.arn],
        "Time": time,
    }
