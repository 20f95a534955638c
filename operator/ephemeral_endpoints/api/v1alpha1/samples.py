"""Sample requests to a model, and the proof that the model is ready."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.packed import Packed
from ephemeral_endpoints.api.v1alpha1.types import DnsLabel, Line

MAX_SAMPLES: Final = 10
MAX_SAMPLE_BYTES: Final = 64 * 1024
"""Of the requests of all samples together: an object with two of them must fit into etcd and a deployment package."""

# RFC 9110, section 8.3.1, bounded.
_WORD: Final = "[A-Za-z0-9!#$&^_.+-]+"
MediaType = Annotated[
    str,
    Field(max_length=128),
    matches(
        f"{_WORD}/{_WORD}(; ?{_WORD}={_WORD})*",
        "must be a media type, such as application/json or text/csv; charset=utf-8",
    ),
]


class Sample(ApiModel):
    """A request that the model answers, for people to try and for proofs."""

    name: DnsLabel
    """Name of the sample, unique in the list."""

    description: Line | None = None
    """What the sample shows, in one line of at most 255 characters."""

    request: Annotated[str, Field(max_length=MAX_SAMPLE_BYTES)]
    """Body of the request, as text in UTF-8. All samples together have at most 64 KiB."""

    content_type: MediaType = "application/json"
    """Media type of the request. Default application/json."""


class Readiness(ApiModel):
    """What proves that the endpoint is ready."""

    sample: DnsLabel
    """Name of the sample that each variant with a weight above 0 has to answer with a status of 2xx. It is sent when
    something has changed: once if it is answered, and then at intervals of many minutes. On an asynchronous endpoint it
    is queued, and the result must come within about 20 s."""


Samples = Annotated[
    Sequence[Sample],
    Field(
        max_length=MAX_SAMPLES,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
    Rule(
        cel=f"self.map(each, bytes(each.request).size()).sum() <= {MAX_SAMPLE_BYTES}",
        message="the requests of all samples together must be at most 64 KiB",
        holds=lambda samples: sum(len(each.request.encode()) for each in samples) <= MAX_SAMPLE_BYTES,
    ),
    Packed(),
]
