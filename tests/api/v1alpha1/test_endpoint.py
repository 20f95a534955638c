import pytest
from pydantic import ValidationError
from tests.engine.objects import endpoint

from ephemeral_endpoints.api import HEAD_ANNOTATION


def test_a_path_is_the_specs_or_that_of_the_object() -> None:
    assert endpoint().path == "/nlp/pr-42"
    assert endpoint({"spec": {"api": {"path": "/p"}}}).path == "/p"


@pytest.mark.parametrize(("readiness", "request_"), [({}, None), ({"readiness": {"sample": "b"}}, "2")])
def test_the_sample_that_proves_readiness_is_the_one_that_is_named(
    readiness: dict[str, object], request_: str | None
) -> None:
    samples = [{"name": "a", "request": "1"}, {"name": "b", "request": "2"}]
    sample = endpoint({"spec": {"api": {"samples": samples, **readiness}}}).spec.api.readiness_sample
    assert (sample.request if sample else None) == request_


NAMED, HEAD = "1f0c2a9", "b" * 40


@pytest.mark.parametrize(
    ("noted", "follow", "revision", "why"),
    [
        (None, True, NAMED, "nothing is noted"),
        (f"{NAMED}={HEAD}", True, HEAD, "the head is followed"),
        (f"{NAMED}={'c' * 64}", True, "c" * 64, "a SHA-256"),
        (f"{NAMED}={HEAD}", False, NAMED, "nobody asked to follow"),
        (f"{NAMED}0={HEAD}", True, NAMED, "the spec names another revision meanwhile"),
        (HEAD, True, NAMED, "for no revision of the spec"),
        (f"={HEAD}", True, NAMED, "likewise"),
        (f"{NAMED}={HEAD[:39]}", True, NAMED, "an abbreviation, which a branch may be named"),
        (f"{NAMED}={HEAD}\n", True, NAMED, "no SHA"),
        (f"{NAMED}={HEAD.upper()}", True, NAMED, "no SHA as Git writes it"),
        (f"{NAMED}=main", True, NAMED, "a branch, which moves"),
        (f"{NAMED}={HEAD}={HEAD}", True, NAMED, "no SHA"),
        (f"{NAMED}=--upload-pack=x", True, NAMED, "an option of Git"),
    ],
)
def test_the_revision_is_the_specs_or_the_head_that_was_noted_for_it(
    noted: str | None,
    follow: bool,  # noqa: FBT001 - a table's column
    revision: str,
    why: str,
) -> None:
    annotations = {} if noted is None else {HEAD_ANNOTATION: noted}
    source = {"pullRequest": 42, "revision": NAMED, "follow": follow}
    assert endpoint({"spec": {"source": source}, "metadata": {"annotations": annotations}}).revision == revision, why


def test_only_a_pull_request_has_a_head_to_follow() -> None:
    with pytest.raises(ValidationError, match="follow needs pullRequest"):
        endpoint({"spec": {"source": {"pullRequest": None, "follow": True}}})
