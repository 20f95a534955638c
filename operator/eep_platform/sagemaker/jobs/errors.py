"""The errors of jobs, in the service's own words as far as they are known.

Sources of those that the documentation does not have: https://github.com/aws/amazon-sagemaker-examples/issues/2267
(no objects), https://github.com/SuperCowPowers/workbench/issues/384 (names), and
https://github.com/awslabs/benchmark-ai/issues/928 (stopping).
"""

from eep_platform.emulation.errors import ServiceError, validation_exception
from eep_platform.sagemaker.jobs.states import JobStatus
from eep_platform.sagemaker.s3 import location


class JobFailedError(Exception):
    """A job failed; the message is its `FailureReason`."""


def name_taken(noun: str, arn: str) -> ServiceError:
    """The name of a job is free only after the job was deleted."""
    return ServiceError(
        "ResourceInUse",
        f"{noun.capitalize()} names must be unique within an AWS account and region, and a {noun} with this name "
        f"already exists ({arn})",
    )


def not_stoppable(noun: str, status: JobStatus) -> ServiceError:
    """Only a job in progress can be stopped."""
    return validation_exception(f"The request was rejected because the {noun} is in status {status}.")


def not_deletable(noun: str, status: JobStatus) -> ServiceError:
    """Only a job that has ended can be deleted; the wording is not known."""
    return ServiceError("ResourceInUse", f"The {noun} is in status {status} and cannot be deleted.")


def no_objects(uri: str, region: str, role: str) -> str:
    """What is said of a prefix below which the role finds nothing."""
    bucket, _ = location(uri)
    return (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
        f'the selected region ({region}), that objects exist under that S3 prefix, and that the role "{role}" has '
        f'"s3:ListBucket" permissions on bucket "{bucket}".'
    )


def download_failed(detail: str) -> JobFailedError:
    """Input data could not be downloaded."""
    return JobFailedError(f"ClientError: Data download failed:{detail}")


def upload_failed(detail: str) -> JobFailedError:
    """Results could not be stored."""
    return JobFailedError(f"ClientError: Failed to upload results to S3: {detail}")


def image_missing() -> JobFailedError:
    """The image could not be pulled. Source: https://github.com/aws/sagemaker-python-sdk/issues/1968."""
    return JobFailedError(
        "ClientError: Cannot pull algorithm container. Either the image does not exist or its permissions are "
        "incorrect."
    )


def no_capacity() -> JobFailedError:
    """AWS has no instances of the type at the moment."""
    return JobFailedError(
        "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance "
        "type."
    )


def algorithm_error(text: str, code: int) -> JobFailedError:
    """The container ended with another code than 0; `text` is what it says of it."""
    return JobFailedError(f"AlgorithmError: {text}, exit code: {code}")


def algorithm_unclear() -> JobFailedError:
    """The model of a transform job does not start, or does not answer."""
    return JobFailedError("AlgorithmError: See job logs for more information")


def bad_records() -> JobFailedError:
    """A transform job cannot read its input or store its output, or a record is too large."""
    return JobFailedError("ClientError: See job logs for more information")


def internal_error() -> JobFailedError:
    """The service itself failed."""
    return JobFailedError("InternalServerError: We encountered an internal error. Please try again.")
