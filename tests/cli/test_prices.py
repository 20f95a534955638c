import pytest
import yaml
from tests.cli.conftest import NO_AWS
from tests.engine import objects
from tests.fixtures.command import eep
from tests.fixtures.platform import Aws


def environment(aws: Aws) -> dict[str, str | None]:
    return {**NO_AWS, "AWS_ENDPOINT_URL": aws.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


def test_prices_of_a_region_are_printed_as_a_class_takes_them(aws: Aws) -> None:
    result = eep("prices", "--region", "eu-central-1", "ml.m5.*", "ml.t2.medium", **environment(aws))
    assert result.exit_code == 0, result.output
    printed = yaml.safe_load(result.stdout)
    assert objects.make_class(printed).spec.prices == {
        "ml.m5.large": "0.138",
        "ml.m5.xlarge": "0.276",
        "ml.t2.medium": "0.0672",
    }
    assert ", 2026-11-25" in result.stdout
    assert "Price List: SKU " in result.stdout


@pytest.mark.parametrize(
    ("region", "types", "said"),
    [
        ("eu-central-1", ("ml.m5.large", "ml.x9.*"), "no price for hosting on ml.x9.* in eu-central-1"),
        ("mars-1", ("ml.m5.large",), "no price of hosting in mars-1: check the name of the region"),
    ],
)
def test_what_has_no_price_is_named(aws: Aws, region: str, types: tuple[str, ...], said: str) -> None:
    result = eep("prices", "--region", region, *types, **environment(aws))
    assert (result.exit_code, said in result.stderr) == (1, True), result.output


def test_without_credentials_people_are_told_what_is_needed() -> None:
    result = eep("prices", "--region", "eu-central-1", "ml.m5.large", **NO_AWS)
    assert result.exit_code == 1
    assert "need pricing:GetProducts" in result.stderr
