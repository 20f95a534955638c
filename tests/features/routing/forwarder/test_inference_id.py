import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.routing.forwarder.config import AsyncConfig
from ephemeral_endpoints.features.routing.forwarder.inference_id import InferenceId

FOLDERS = AsyncConfig("s3://bucket/pr/in/", "s3://bucket/pr/out/", "s3://bucket/pr/bad/")
BESIDE = AsyncConfig("s3://bucket/pr/in/", "s3://bucket/pr/out/")
UUID = "41744303-4f13-45cb-8207-ca3b38dbd486"
OUTPUT = f"{UUID}.out"
FAILURE = f"{UUID}-error.out"
ID = f"65f00000~{OUTPUT}~{FAILURE}"

uuids = st.uuids().map(str)


@given(st.integers(0, 2**32 - 1), uuids, uuids)
def test_an_id_leads_to_both_locations_of_sagemaker(submitted: int, output: str, failure: str) -> None:
    made = InferenceId.of(
        FOLDERS, submitted + 0.9, f"{FOLDERS.output_s3_uri}{output}.out", f"{FOLDERS.failures}{failure}-error.out"
    )
    assert made == InferenceId(submitted, f"{output}.out", f"{failure}-error.out")
    assert InferenceId.parse(str(made)) == made
    assert quote(str(made), safe="") == str(made), "it stands in a URL as it is"


@pytest.mark.parametrize(
    ("folders", "output", "failure", "reason"),
    [
        (FOLDERS, f"s3://bucket/else/{OUTPUT}", f"s3://bucket/pr/bad/{FAILURE}", "another folder"),
        (FOLDERS, f"s3://other/pr/out/{OUTPUT}", f"s3://bucket/pr/bad/{FAILURE}", "another bucket"),
        (FOLDERS, f"s3://bucket/pr/out/x/{OUTPUT}", f"s3://bucket/pr/bad/{FAILURE}", "a folder below"),
        (FOLDERS, f"s3://bucket/pr/out/{OUTPUT}", f"s3://bucket/pr/out/{FAILURE}", "failures elsewhere"),
        (FOLDERS, f"s3://bucket/pr/out/{OUTPUT}", "", "the configuration has no S3FailurePath"),
        (FOLDERS, "", f"s3://bucket/pr/bad/{FAILURE}", "unknown"),
        (FOLDERS, "s3://bucket/pr/out/result.out", f"s3://bucket/pr/bad/{FAILURE}", "a name that one could guess"),
    ],
)
def test_what_no_id_could_lead_to_is_refused_when_it_is_queued(
    folders: AsyncConfig, output: str, failure: str, reason: str
) -> None:
    with pytest.raises(ValueError, match="OutputLocation or FailureLocation"):
        pytest.fail(f"{reason}: {InferenceId.of(folders, 0, output, failure)}")


def test_failures_may_be_beside_the_results() -> None:
    made = InferenceId.of(BESIDE, 1, BESIDE.output_s3_uri + OUTPUT, BESIDE.output_s3_uri + FAILURE)
    assert made == InferenceId(1, OUTPUT, FAILURE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "nothing"),
        (UUID, "SageMaker's own id"),
        (f"65f00000~{OUTPUT}", "no failure"),
        (f"{ID}~{OUTPUT}", "one too many"),
        (f"{ID}\n", "a trailing newline must not slip past the pattern"),
        (f"{ID},{ID}", "sent twice, joined by API Gateway"),
        (f"5f00000~{OUTPUT}~{FAILURE}", "a short time"),
        (f"65F00000~{OUTPUT}~{FAILURE}", "not as it is written"),
        (f"65f00000~../in/{OUTPUT}~{FAILURE}", "another folder"),
        (f"65f00000~{UUID}/../../secret.out~{FAILURE}", "likewise"),
        (f"65f00000~{UUID}%2f..%2fsecret.out~{FAILURE}", "likewise, encoded"),
        (f"65f00000~s3://bucket/{OUTPUT}~{FAILURE}", "another bucket"),
        (f"65f00000~{OUTPUT}~secret.out", "a name without a UUID"),
        (f"65f00000~{UUID}{'x' * 17}.out~{FAILURE}", "longer than SageMaker's names"),
        (f"65f00000~{OUTPUT}\x00~{FAILURE}", "a control character"),
    ],
)
def test_what_is_no_id_is_not_read(text: str, reason: str) -> None:
    assert InferenceId.parse(text) is None, reason


@given(st.text(string.hexdigits + "~-./%out\n", max_size=120) | st.text(max_size=120))
def test_an_id_that_is_read_is_the_one_that_is_written(text: str) -> None:
    read = InferenceId.parse(text)
    assert read is None or str(read) == text


@given(st.data())
def test_a_changed_id_names_no_other_folder(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(ID) - 1))
    read = InferenceId.parse(ID[:place] + data.draw(st.characters()) + ID[place + 1 :])
    assert read is None or not {"/", "..", "%"} & {part for name in read[1:] for part in (*name, name[:2])}
