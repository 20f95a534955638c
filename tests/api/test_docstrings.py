from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.v1alpha1.base import ApiModel


class Inherited(ApiModel):
    first_of_all: int
    """One."""


class Model(Inherited):
    second: Annotated[int, Field(description="Two.")]
    """Not this."""

    third: int
    fourth: Inherited
    """
    Four,
    five.
    """


def test_the_docstring_of_a_field_is_its_description_unless_it_has_one() -> None:
    properties = Model.model_json_schema()["properties"]
    described = {name: schema.get("description") for name, schema in properties.items()}
    assert described == {"firstOfAll": "One.", "second": "Two.", "third": None, "fourth": "Four,\nfive."}
