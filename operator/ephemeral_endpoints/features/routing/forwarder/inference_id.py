"""Ids of queued inferences: each contains the location of its result, so that no state is needed. Pure.

SageMaker names the objects with a random UUID: ``<uuid>.out`` below ``S3OutputPath`` and ``<uuid>-error.out`` below
``S3FailurePath``. An id contains the names, but no folder or bucket: a forged id can only name an object of this
endpoint, and must guess a UUID. Ids are not signed, because the forwarder has no secret that its callers do not have.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME = rf"{_UUID}[a-z-]{{0,16}}\.[a-z]{{1,8}}"
_ID = re.compile(rf"([0-9a-f]{{8}})~({_NAME})~({_NAME})")


class InferenceId(NamedTuple):
    """The content of an id.

    Attributes:
        submitted: when the request was queued, in seconds since 1970.
        output: the name of the result's object.
        failure: the name of the object that replaces it after a failure.
    """

    submitted: int
    output: str
    failure: str

    @classmethod
    def of(cls, folders: AsyncConfig, submitted: float, output_location: str, failure_location: str) -> Self:
        """The id of a queued request; raises ValueError for locations that an id cannot represent."""
        output = output_location.removeprefix(folders.output_s3_uri)
        made = cls(int(submitted), output, failure_location.removeprefix(folders.failures))
        if cls.parse(str(made)) != made:
            raise ValueError("OutputLocation or FailureLocation is not of the known form, or in another folder")
        return made

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse an id; None if ``text`` is not one. The inverse of ``str``."""
        match = _ID.fullmatch(text)
        return cls(int(match[1], 16), match[2], match[3]) if match else None

    def __str__(self) -> str:
        return f"{self.submitted:08x}~{self.output}~{self.failure}"
