import pytest

from eep_platform.sagemaker.jobs.metrics import MetricDefinition, values


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        pytest.param("loss=(.*?);", "epoch=1 loss=0.5; acc=1", [0.5], id="anywhere in the line"),
        pytest.param("loss=(.*?);", "loss=1; loss=2;", [1.0], id="the first of a line"),
        pytest.param("loss=(.*?);", "loss=1e-3;", [0.001], id="an exponent"),
        pytest.param("loss=(.*?);", "loss=high;", [], id="no number"),
        pytest.param("loss=(.*?);", "loss=nan;", [], id="CloudWatch takes no NaN"),
        pytest.param("loss=(.*?);", "loss=inf;", [], id="nor infinity"),
        pytest.param("loss=(.*?);", "nothing", [], id="no match"),
        pytest.param("loss=(x)?", "loss=", [], id="a group that took no part"),
    ],
)
def test_a_metric_is_the_first_group_if_it_is_a_number(pattern: str, line: str, found: list[float]) -> None:
    definition = MetricDefinition.of({"Name": "loss", "Regex": pattern})
    assert list(values([definition], line)) == [("loss", value) for value in found]
