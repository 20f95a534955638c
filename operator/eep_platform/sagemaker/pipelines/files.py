"""Property files: JSON in S3 that a processing job left, read for the expressions of later steps."""

from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.pipelines import documents
from eep_platform.sagemaker.pipelines.definition import Definition
from eep_platform.sagemaker.pipelines.errors import StepFailedError
from eep_platform.sagemaker.pipelines.expressions import PropertyFile
from eep_platform.sagemaker.pipelines.retries import SERVICE_FAULT
from eep_platform.sagemaker.s3 import location


async def contents(
    aws: Aws,
    permissions: Permissions,
    definition: Definition,
    results: Mapping[str, Any],
    wanted: Iterable[PropertyFile],
) -> dict[PropertyFile, Any]:
    """What property files contain now, read with the permissions of the pipeline's role.

    Raises:
        StepFailedError: One does not exist, may not be read, or is not JSON; `NaN` and `Infinity` are not.
    """
    return {file: await _content(aws, permissions, file, _uri(definition, results, file)) for file in wanted}


def _uri(definition: Definition, results: Mapping[str, Any], file: PropertyFile) -> str:
    where = definition.steps[file.step].files[file.name]
    outputs = results[file.step]["ProcessingOutputConfig"]["Outputs"]
    folder = next(each["S3Output"]["S3Uri"] for each in outputs if each["OutputName"] == where.output)
    return f"{folder.rstrip('/')}/{where.path}"


async def _content(aws: Aws, permissions: Permissions, file: PropertyFile, uri: str) -> Any:  # noqa: ANN401 - as many types as JSON
    bucket, key = location(uri)
    try:
        arn = f"arn:{permissions.account.partition}:s3:::{bucket}/{key}"
        permissions.refuse_denied("GetObject", "s3:GetObject", arn)
        answer = await aws.call("s3", "get_object", Bucket=bucket, Key=key)
        body: bytes = await aws.thread(answer["Body"].read)
    except ClientError as error:
        raise StepFailedError(
            f"ClientError: Property file {file.name} could not be read from {uri}: {error}"
        ) from error
    except BotoCoreError as error:
        raise StepFailedError(f"InternalServerError: {uri} could not be read: {error}", SERVICE_FAULT) from error
    try:
        return documents.read(body)
    except (ValueError, RecursionError) as error:
        raise StepFailedError(f"ClientError: Property file {file.name} at {uri} is not JSON: {error}") from error
