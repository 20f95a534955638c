import re
from typing import Any

import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.transform.plans import PayloadTooLargeError, TransformPlan, plan

LARGE = b"x" * 1024 * 1024


def planned(**more: Any) -> TransformPlan:  # noqa: ANN401 - as typed as JSON is
    return plan(asked(**more))


def asked(
    split: str = "None",
    *,
    given: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    **more: Any,  # noqa: ANN401 - as typed as JSON is
) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/in/"}}
    return {
        "TransformJobName": "j",
        "ModelName": "m",
        "TransformInput": {"DataSource": source, "SplitType": split, **(given or {})},
        "TransformOutput": {"S3OutputPath": "s3://b/out", **(output or {})},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    }


@pytest.mark.parametrize(
    ("more", "body", "payloads"),
    [
        pytest.param({}, b"1\n2\n", [b"1\n2\n"], id="an object is a payload"),
        pytest.param({"split": "Line"}, b"1\n2\n", [b"1\n2"], id="as many lines as fit"),
        pytest.param({"split": "Line", "BatchStrategy": "SingleRecord"}, b"1\n\n2", [b"1", b"2"], id="line by line"),
        pytest.param(
            {"split": "Line", "MaxPayloadInMB": 1}, b"1\n2\n" + LARGE, [b"1\n2", LARGE], id="no more than fits"
        ),
        pytest.param({"MaxPayloadInMB": 0}, LARGE * 7, [LARGE * 7], id="0 is no limit"),
        pytest.param({"split": "Line"}, b"", [], id="no line"),
    ],
)
def test_an_object_becomes_payloads(more: dict[str, Any], body: bytes, payloads: list[bytes]) -> None:
    assert planned(**more).payloads(body) == payloads


@pytest.mark.parametrize("split", ["None", "Line"])
def test_what_is_too_large_for_a_request_is_refused(split: str) -> None:
    with pytest.raises(PayloadTooLargeError):
        planned(split=split, MaxPayloadInMB=1).payloads(LARGE + b"x")


@pytest.mark.parametrize(
    ("assemble", "content"),
    [pytest.param("None", b"ab", id="side by side"), pytest.param("Line", b"a\nb\n", id="a line each")],
)
def test_answers_become_an_object(assemble: str, content: bytes) -> None:
    assert planned(output={"AssembleWith": assemble}).assembled([b"a", b"b"]) == content


@pytest.mark.parametrize(
    ("more", "why"),
    [
        pytest.param({"split": "RecordIO"}, "SplitType RecordIO is not served here", id="RecordIO"),
        pytest.param({"given": {"CompressionType": "Gzip"}}, "CompressionType Gzip is not", id="compressed data"),
        pytest.param({"DataProcessing": {"JoinSource": "Input"}}, "JoinSource Input is not", id="joins"),
        pytest.param({"DataProcessing": {"InputFilter": "$[1:]"}}, "InputFilter $[1:] is not", id="filters"),
        pytest.param({"output": {"S3OutputPath": "https://b/out"}}, "Write S3OutputPath as", id="another kind of URL"),
        pytest.param(
            {"MaxPayloadInMB": 60, "MaxConcurrentTransforms": 2}, "must not exceed 100 MB, and is 120", id="too much"
        ),
        pytest.param(
            {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 2}},
            "InstanceCount 2 is not served here",
            id="several instances",
        ),
    ],
)
def test_a_job_that_cannot_run_is_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ServiceError, match=re.escape(why)):
        planned(**more)
