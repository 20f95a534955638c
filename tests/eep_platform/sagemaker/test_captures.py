import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eep_platform.sagemaker.calls import CUSTOM_ATTRIBUTES, INFERENCE_ID, Answer
from eep_platform.sagemaker.captures import Capture, Exchange, encoded, is_captured, line

if TYPE_CHECKING:
    from tests.eep_platform.sagemaker.conftest import Service

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TEXTUAL = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
EXCHANGE = Exchange(
    NOW,
    {"Content-Type": "text/csv; charset=utf-8", INFERENCE_ID: "i-1", CUSTOM_ATTRIBUTES: "trace=1"},
    b"1,2",
    Answer(200, {"Content-Type": "application/json"}, b"[3]", 0.1),
)


def config(*modes: str, percent: int = 100, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as typed as JSON
    options = [{"CaptureMode": mode} for mode in modes or ("Input", "Output")]
    place = {"DestinationS3Uri": "s3://b/prefix/", "InitialSamplingPercentage": percent}
    return place | {"CaptureOptions": options, "CaptureContentTypeHeader": TEXTUAL} | more


def test_a_line_has_the_documented_members() -> None:
    reported = json.loads(line(Capture("e", "v", config(), EXCHANGE)))
    given, got = reported["captureData"]["endpointInput"], reported["captureData"]["endpointOutput"]
    content_type = "text/csv; charset=utf-8"
    assert given == {"observedContentType": content_type, "mode": "INPUT", "data": "1,2", "encoding": "CSV"}
    assert got == {"observedContentType": "application/json", "mode": "OUTPUT", "data": "[3]", "encoding": "JSON"}
    assert reported["eventMetadata"].pop("eventId")
    assert reported["eventMetadata"] == {
        "inferenceTime": "2026-03-04T05:06:07Z",
        "inferenceId": "i-1",
        "customAttributes": ["trace=1"],
    }
    assert reported["eventVersion"] == "0"
    assert Capture("e", "v", config(), EXCHANGE).folder == "s3://b/prefix/e/v/2026/03/04/05"


@pytest.mark.parametrize(
    ("modes", "members"),
    [
        (["Input"], {"endpointInput"}),
        (["Output"], {"endpointOutput"}),
        (["InputAndOutput"], {"endpointInput", "endpointOutput"}),
    ],
)
def test_only_what_is_asked_for_is_captured(modes: list[str], members: set[str]) -> None:
    assert set(json.loads(line(Capture("e", "v", config(*modes), EXCHANGE)))["captureData"]) == members


@pytest.mark.parametrize(
    ("body", "content_type", "textual", "expected"),
    [
        pytest.param(b"1", "text/csv", TEXTUAL, ("1", "CSV"), id="a type that is named"),
        pytest.param(b"{}", "Application/JSON; q=1", TEXTUAL, ("{}", "JSON"), id="whatever its case and parameters"),
        pytest.param(b"1", "text/plain", TEXTUAL, ("MQ==", "BASE64"), id="one that is not"),
        pytest.param(b"1", "text/csv", {}, ("MQ==", "BASE64"), id="none is named"),
        pytest.param(b"\xff", "text/csv", TEXTUAL, ("/w==", "BASE64"), id="named, but no text"),
    ],
)
def test_the_encoding_follows_the_content_type(
    body: bytes, content_type: str, textual: dict[str, list[str]], expected: tuple[str, str]
) -> None:
    assert encoded(body, content_type, textual) == expected


@given(st.integers(0, 100), st.integers(0, 300), st.booleans())
def test_sampling_keeps_its_percentage_of_any_number_of_requests(percent: int, requests: int, enabled: bool) -> None:  # noqa: FBT001 - drawn
    sampled = config(percent=percent, EnableCapture=enabled)
    kept = sum(is_captured(sampled, number) for number in range(1, requests + 1))
    assert kept == (requests * percent // 100 if enabled else 0)


def test_captured_requests_lie_in_s3_as_json_lines(service: "Service") -> None:
    began = datetime.now(UTC)
    s3, bucket = service.aws("s3"), service.name()
    s3.create_bucket(Bucket=bucket)
    capture = config(percent=50) | {"DestinationS3Uri": f"s3://{bucket}/captured"}
    name = service.endpoint(service.config_of(service.instances(), DataCaptureConfig=capture))
    shown = service.sagemaker.describe_endpoint(EndpointName=name)["DataCaptureConfig"]
    assert (shown["EnableCapture"], shown["CaptureStatus"], shown["CurrentSamplingPercentage"]) == (True, "Started", 50)
    for number in range(4):
        service.invoke(name, f"{number}", ContentType="text/csv", InferenceId=f"i-{number}")
    service.flush()
    # More than one file where a regular delivery fell between the requests; their names begin with the time.
    keys = sorted(found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"])
    lines = [
        line for key in keys for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode().splitlines()
    ]
    for key in keys:
        assert key.startswith(tuple(f"captured/{name}/AllTraffic/{at:%Y/%m/}" for at in (began, datetime.now(UTC))))
        assert key.endswith(".jsonl")
    reported = [json.loads(each) for each in lines]
    assert [each["captureData"]["endpointInput"]["data"] for each in reported] == ["1", "3"]
    assert [json.loads(each["captureData"]["endpointOutput"]["data"])["bytes"] for each in reported] == [1, 1]
    assert [each["eventMetadata"]["inferenceId"] for each in reported] == ["i-1", "i-3"]


def test_an_update_keeps_the_capture_unless_it_changes_it(service: "Service") -> None:
    service.settings(containers="off")
    name = service.endpoint(service.config_of(service.instances(), DataCaptureConfig=config(percent=10)))
    request: Any = {"EndpointName": name, "RetainAllVariantProperties": True}
    excluded: Any = [{"VariantPropertyType": "DataCaptureConfig"}]
    for more, percent in (({}, 10), ({"ExcludeRetainedVariantProperties": excluded}, 20)):
        other = service.config_of(service.instances(), DataCaptureConfig=config(percent=20))
        service.sagemaker.update_endpoint(**request, EndpointConfigName=other, **more)
        service.wait(name, "InService")
        shown = service.sagemaker.describe_endpoint(EndpointName=name)["DataCaptureConfig"]
        assert shown["CurrentSamplingPercentage"] == percent
