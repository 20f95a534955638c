"""What a CreateTransformJob request means, and the payloads that an object becomes; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from eep_platform.emulation.errors import validation_exception
from eep_platform.sagemaker.jobs.plans import joined, refuse_unserved, s3_uri
from eep_platform.sagemaker.s3 import location

_MEGABYTE: Final = 1024 * 1024
_MOST_MEGABYTES: Final = 100
_PAYLOAD_MEGABYTES: Final = 6
_TIMEOUT_SECONDS: Final = 600
_RETRIES: Final = 3


class PayloadTooLargeError(Exception):
    """A record is larger than MaxPayloadInMB."""


@dataclass(frozen=True, slots=True)
class TransformPlan:
    """A transform job. `most_bytes` is None if payloads have no limit."""

    source: str
    target: str
    kms_key: str | None
    headers: Mapping[str, str]
    environment: Mapping[str, str]
    by_line: bool
    one_by_one: bool
    assembles_lines: bool
    most_bytes: int | None
    concurrency: int
    timeout_seconds: int
    retries: int

    def payloads(self, body: bytes) -> list[bytes]:
        """The requests for an object's content, in their order; raises `PayloadTooLargeError`."""
        if not self.by_line:
            return [self._fitting(body)]
        records = [self._fitting(record) for record in body.splitlines() if record]
        return records if self.one_by_one else list(self._packed(records))

    def assembled(self, answers: Iterable[bytes]) -> bytes:
        """The content of an object of answers."""
        return b"".join(answer + b"\n" if self.assembles_lines else answer for answer in answers)

    def target_of(self, key: str) -> str:
        """Where the answers for an object go."""
        _, prefix = location(self.source)
        name = key.removeprefix(prefix).lstrip("/") or key.rpartition("/")[2]
        return joined(self.target, f"{name}.out")

    def _fitting(self, payload: bytes) -> bytes:
        if self.most_bytes is not None and len(payload) > self.most_bytes:
            raise PayloadTooLargeError
        return payload

    def _packed(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """As many records in each payload as fit, with line breaks between them."""
        payload: bytes | None = None
        for record in records:
            more = record if payload is None else payload + b"\n" + record
            if payload is not None and self.most_bytes is not None and len(more) > self.most_bytes:
                yield payload
                more = record
            payload = more
        if payload is not None:
            yield payload


def plan(request: Mapping[str, Any]) -> TransformPlan:
    """The plan of a request.

    Raises:
        ServiceError: `ValidationException` for what the documentation excludes, and for what is not served here: more
            than one instance, manifests, RecordIO, compressed data, filters, joins and capture.
    """
    given, output = request["TransformInput"], request["TransformOutput"]
    source = given["DataSource"]["S3DataSource"]
    processing = request.get("DataProcessing", {})
    refuse_unserved("InstanceCount", request["TransformResources"]["InstanceCount"], 1)
    refuse_unserved("S3DataType", source["S3DataType"], "S3Prefix")
    refuse_unserved("SplitType", given.get("SplitType"), "None", "Line")
    refuse_unserved("CompressionType", given.get("CompressionType"), "None")
    refuse_unserved("JoinSource", processing.get("JoinSource"), "None")
    for each in ("InputFilter", "OutputFilter"):
        refuse_unserved(each, processing.get(each), "$")
    if "DataCaptureConfig" in request:
        raise validation_exception("DataCaptureConfig of transform jobs is not served here.")
    megabytes, concurrency = request.get("MaxPayloadInMB", _PAYLOAD_MEGABYTES), _concurrency(request)
    if megabytes * concurrency > _MOST_MEGABYTES:
        raise validation_exception(
            f"MaxConcurrentTransforms * MaxPayloadInMB must not exceed {_MOST_MEGABYTES} MB, and is "
            f"{megabytes * concurrency}."
        )
    client = request.get("ModelClientConfig", {})
    strategy = request.get("BatchStrategy", "MultiRecord")
    names = {"ContentType": "Content-Type", "Accept": "Accept"}
    wanted = {"ContentType": given.get("ContentType"), "Accept": output.get("Accept")}
    told = {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(megabytes),
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD" if strategy == "MultiRecord" else "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(concurrency),
    }
    return TransformPlan(
        source=s3_uri("S3Uri", source["S3Uri"]),
        target=s3_uri("S3OutputPath", output["S3OutputPath"]),
        kms_key=output.get("KmsKeyId") or None,
        headers={names[member]: value for member, value in wanted.items() if value},
        environment=told | request.get("Environment", {}),
        by_line=given.get("SplitType") == "Line",
        one_by_one=strategy == "SingleRecord",
        assembles_lines=output.get("AssembleWith") == "Line",
        most_bytes=megabytes * _MEGABYTE or None,
        concurrency=concurrency,
        timeout_seconds=client.get("InvocationsTimeoutInSeconds", _TIMEOUT_SECONDS),
        retries=client.get("InvocationsMaxRetries", _RETRIES),
    )


def _concurrency(request: Mapping[str, Any]) -> int:
    """The requests at a time; a model that is not asked for its parameters gets one."""
    return int(request.get("MaxConcurrentTransforms") or 1)
