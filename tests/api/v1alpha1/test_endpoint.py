import pytest
from tests.engine.objects import endpoint


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
