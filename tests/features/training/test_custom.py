import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.features.training.examples import parts, trained

from ephemeral_endpoints.features.training.custom import LONGEST, MOST_STEPS, parsed
from ephemeral_endpoints.features.training.reasons import DefinitionInvalid

_, POLICY = parts(trained())
ROLE = {"Get": "Parameters.RoleArn"}


def step(name: str = "A", type_: str = "Training", **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    return {"Name": name, "Type": type_, "Arguments": arguments}


def definition(*steps: Any, **members: Any) -> str:  # noqa: ANN401 - JSON
    return json.dumps({"Version": "2020-12-01", "Parameters": [{"Name": "RoleArn"}], "Steps": steps, **members})


def gets(name: str) -> dict[str, str]:
    return {"Get": f"Steps.{name}.ModelArtifacts.S3ModelArtifacts"}


REFUSED = [
    ("", "is no JSON", "empty"),
    ("[" * 100_000, "is no JSON", "as deep as can be"),
    ('{"a": NaN}', "NaN is no JSON number", "what Python takes for a number"),
    ("[]", "must be an object", "a list"),
    ("{}", "whose Version is", "no version"),
    (" " * (LONGEST + 1), "longer than", "more than SageMaker takes"),
    (definition(), "1 to 50 steps", "none"),
    (definition(*[step(f"S{number}") for number in range(MOST_STEPS + 1)]), "1 to 50 steps", "too many"),
    (definition(Steps={}), "must be lists", "an object of steps"),
    (definition("A"), "must have a Name", "a text as a step"),
    (definition({"Name": "A", "Type": "Training"}), "must have a Name", "no arguments"),
    (definition(step(type_="Lambda")), "must be one of Processing", "a step that runs with other rights"),
    (definition(step(), step()), "several steps have the name A", "a name twice"),
    (definition({**step(), "DependsOn": ["B"]}), "needs B, which is no step", "an unknown step"),
    (definition(step(x=gets("B"))), "needs B, which is no step", "a result of an unknown step"),
    (definition(step("A", x=gets("B")), step("B", x=gets("A"))), "in a circle", "a cycle of results"),
    (definition({**step(), "DependsOn": ["A"]}), "in a circle", "a step that waits for itself"),
    (
        definition(step("C", "Condition", IfSteps=[step("D", "Condition", IfSteps=[])])),
        "must not be in a branch",
        "a condition in a condition",
    ),
    (definition(step("C", "Condition", IfSteps={})), "must be lists", "an object of branches"),
    (definition(step(RoleArn="arn:aws:iam::123456789012:role/admin")), "each RoleArn must be", "another role"),
    (definition(step(RoleArn={"Get": "Parameters.Other"})), "each RoleArn must be", "a role by another parameter"),
    (definition(step(x=[{"RoleArn": {"Std:Join": {}}}])), "each RoleArn must be", "a role that is put together"),
    (
        definition(step("C", "Condition", IfSteps=[step(RoleArn="arn:aws:iam::123456789012:role/admin")])),
        "each RoleArn must be",
        "a role in a branch",
    ),
    (definition(step(InstanceType="ml.p5.48xlarge")), "each InstanceType must be", "an expensive type"),
    (definition(step(InstanceCount=2)), "each InstanceCount must be", "more than the class allows"),
    (definition(step(InstanceCount=True)), "each InstanceCount must be", "no number"),
    (definition(step(InstanceGroups=[])), "InstanceGroups must not be set", "types in another place"),
    (definition(step(), Parameters={}), "Parameters must be a list", "an object of parameters"),
    (definition(step(), Parameters=[{}]), "each parameter must have", "no name"),
]


@pytest.mark.parametrize(("text", "message", "reason"), REFUSED, ids=[reason for *_, reason in REFUSED])
def test_a_bad_definition_is_refused(text: str, message: str, reason: str) -> None:
    assert reason
    with pytest.raises(DefinitionInvalid, match=message):
        parsed(text, POLICY)


def test_a_good_one_is_taken_whatever_its_layout() -> None:
    found = [step("A", RoleArn=ROLE, InstanceType="ml.m5.xlarge", InstanceCount=1), step("B", x=gets("A"))]
    compact, laid_out = definition(*found), json.dumps(json.loads(definition(*found)), indent=4)
    assert parsed(compact, POLICY) == parsed(laid_out, POLICY)
    assert parsed(compact, POLICY).parameters == {"RoleArn"}


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda each: st.lists(each) | st.dictionaries(st.text(), each))
)
def test_whatever_is_given_is_a_definition_or_refused(value: object) -> None:
    for text in (json.dumps(value), definition(value), json.dumps({"Version": "2020-12-01", "Steps": value})):
        with pytest.raises(DefinitionInvalid):
            parsed(text, POLICY)
