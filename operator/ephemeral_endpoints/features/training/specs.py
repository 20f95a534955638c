"""What is trained, as it is given to SageMaker Pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ephemeral_endpoints.engine.names import content_digest
from ephemeral_endpoints.engine.resources import ResourceKind
from ephemeral_endpoints.engine.tags import Tags

PIPELINE: Final = ResourceKind("Pipeline", None)
"""A pipeline of SageMaker, which trainings make and no plan does."""


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of a pipeline as canonical JSON, and the names of the parameters that it declares.

    ``place`` says where people have written it; empty for the operator's own.
    """

    text: str
    parameters: frozenset[str]
    place: str = ""

    @property
    def digest(self) -> str:
        """The digest of the text, by which the version of a pipeline is found again."""
        return content_digest(self.text)


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """A training: the pipeline and its definition, the role of both, the image, the group, and the parameters.

    ``image`` is empty while it is not known. ``content`` is the digest of all that decides what the training makes.
    ``owner`` is the hash of the object's UID; ``tags`` are those of the pipeline and the group, which outlive it.
    """

    pipeline: str
    definition: Definition
    role_arn: str
    image: str
    group: str
    parameters: Mapping[str, str]
    content: str
    owner: str
    tags: Tags

    def run_name(self, attempt: int) -> str:
        """The name of an execution: at most 82 characters, as SageMaker allows."""
        return f"{self.run_names}{attempt}"

    @property
    def run_names(self) -> str:
        """What the names of all executions of this content begin with."""
        return f"{runs_of(self.owner)}{self.content}-"


def runs_of(owner: str) -> str:
    """What the names of all executions of an object begin with."""
    return f"{owner}-"


def owner_of(run_name: str) -> str:
    """The owner of an execution, by its name."""
    return run_name.partition("-")[0]
