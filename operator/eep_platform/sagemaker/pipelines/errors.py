"""The errors of pipelines, in the service's own words as far as they are known."""

from eep_platform.emulation.errors import ServiceError, validation_exception


def unparsable(message: str) -> ServiceError:
    """The definition is not one."""
    return validation_exception(f"Unable to parse pipeline definition. {message}")


def pipeline_missing(arn: str) -> ServiceError:
    """There is no such pipeline."""
    return ServiceError("ResourceNotFound", f"Pipeline '{arn}' does not exist.")


def pipeline_exists(name: str) -> ServiceError:
    """The name is taken."""
    return validation_exception(
        f"Pipeline names must be unique within an AWS account and region. Pipeline with name ({name}) already exists."
    )


def version_missing(arn: str, version: int) -> ServiceError:
    """The pipeline has no such version."""
    return ServiceError("ResourceNotFound", f"Pipeline '{arn}' has no version {version}.")


def execution_missing(arn: str) -> ServiceError:
    """There is no such execution."""
    return ServiceError("ResourceNotFound", f"PipelineExecution '{arn}' does not exist.")


class UnresolvableError(Exception):
    """An expression has no value in this execution; the message becomes the step's reason."""


class StepFailedError(Exception):
    """An attempt of a step failed; the message is its reason, `kind` the exception type of retry policies if any."""

    def __init__(self, reason: str, kind: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


class StepStoppedError(Exception):
    """A step was stopped with its execution."""
