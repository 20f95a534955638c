"""What a job does, whichever kind it is. Paths are those below /opt/ml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.images import ImageName
from eep_platform.sagemaker.jobs.metrics import MetricDefinition
from eep_platform.sagemaker.s3 import refuse_elsewhere

HOST: Final = "algo-1"


class Delivery(Enum):
    """When and how a folder goes to S3."""

    ARCHIVE = "as a .tar.gz at the end"
    FILES = "file by file at the end"
    CONTINUOUS = "file by file as they change"


@dataclass(frozen=True, slots=True)
class Input:
    """Objects whose keys begin with the prefix `uri`, for a folder; `may_be_empty` if there need be none."""

    uri: str
    folder: str
    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Output:
    """A folder, for the object or the prefix `uri`; `of_failures` if a job that fails delivers it, too."""

    folder: str
    uri: str
    delivery: Delivery
    kms_key: str | None = None
    of_failures: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What of the image runs: None keeps its own ENTRYPOINT or CMD."""

    entrypoint: tuple[str, ...] | None
    arguments: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A job: its container, what it finds there, and what becomes of what it leaves."""

    image: ImageName
    command: Command
    environment: Mapping[str, str]
    role: str
    instance_type: str
    files: Mapping[str, str]
    folders: tuple[str, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    max_runtime_seconds: int
    max_wait_seconds: int | None
    """How long after its creation a job on spot instances may end; None for others, which are never interrupted."""
    log_group: str
    report: str
    """The file in which the container can say why it failed, or how it ended."""
    cannot_start: str
    """The reason of the failure if there is no such program in the image."""
    metrics: tuple[MetricDefinition, ...] = field(default=())


def refuse_unserved(member: str, value: object, *served: object) -> None:
    """Raise `ValidationException` for a value that is right on AWS, and not served here; None is fine."""
    if value is not None and value not in served:
        raise validation_exception(f"{member} {value} is not served here: only {', '.join(map(str, served))}.")


def s3_uri(member: str, uri: str) -> str:
    """The URI of a prefix; raises `ValidationException` unless it is `s3://bucket/...`."""
    refuse_elsewhere(member, uri)
    return uri


def joined(uri: str, *parts: str) -> str:
    """The URI of something below a prefix."""
    return "/".join((uri.rstrip("/"), *parts))
