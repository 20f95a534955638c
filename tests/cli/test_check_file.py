import re

import pytest
import yaml

from ephemeral_endpoints.cli.check_file import CheckFileError, prepared_checks
from ephemeral_endpoints.features.checks.reasons import CheckInvalid, CheckUnavailable

LIST = """
- name: greeting
  request: {body: '{"text": "hi"}'}
  expect:
    values: [{pointer: /label, equals: positive}]
"""
OBJECT = """
apiVersion: ephemeral-endpoints.io/v1alpha1
kind: EphemeralEndpoint
metadata: {name: pr-42}
spec:
  api:
    samples: [{name: praise, request: "lovely", contentType: text/plain}]
  checks:
  - {name: a, sample: praise}
  - name: b
    requestFrom: {configMapKeyRef: {name: cases, key: b.json}}
"""
CONFIGMAP = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cases}
data: {b.json: "{}"}
"""


def test_a_file_is_a_list_as_in_the_spec() -> None:
    [check] = prepared_checks(LIST)
    assert (check.name, check.request.body) == ("greeting", b'{"text": "hi"}')
    assert check.expect.values[0].equals == "positive"


def test_or_an_object_with_its_samples_and_the_configmaps_beside_it() -> None:
    first, second = prepared_checks(OBJECT + CONFIGMAP)
    assert (first.request.body, first.request.content_type) == (b"lovely", "text/plain")
    assert second.request.body == b"{}"


def test_a_list_of_objects_is_looked_into() -> None:
    text = yaml.safe_dump({"kind": "List", "items": list(yaml.safe_load_all(OBJECT + CONFIGMAP))})
    assert [each.name for each in prepared_checks(text)] == ["a", "b"]


def test_a_configmap_elsewhere_is_missing() -> None:
    with pytest.raises(CheckUnavailable, match="check b: the ConfigMap cases does not exist"):
        prepared_checks(OBJECT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("{", "it is not YAML: ", id="no YAML"),
        pytest.param("", "it has no lists of checks", id="nothing"),
        pytest.param("kind: Deployment", "it has no lists of checks", id="another kind"),
        pytest.param("[]", "it has an empty list of checks", id="an empty list"),
        pytest.param(f"{LIST}---{LIST}", "it has 2 lists of checks", id="two lists"),
        pytest.param(LIST + LIST, "two checks have the name greeting", id="a name twice"),
        pytest.param("[{name: a}]", "0: set exactly one of sample", id="no request"),
        pytest.param("[1, 2, 3, 4, 5]", "; and 2 more", id="several problems"),
        pytest.param(LIST.replace("positive", ".nan"), "0.expect.values.0.equals: must not contain nan", id="NaN"),
        pytest.param(LIST.replace("positive", "[.inf]"), "must not contain inf", id="infinity within"),
        pytest.param(
            LIST.replace("equals: positive", "min: .nan"), "Input should be a finite number", id="NaN as the least"
        ),
        pytest.param(LIST.replace("positive", "2026-11-30"), "has no date: put it in quotes", id="a date of YAML"),
        pytest.param(LIST.replace("positive", "{1: 2}"), "not 1: put it in quotes", id="a name that is a number"),
        pytest.param(LIST.replace("equals: positive", "min: 2, max: 1"), "min must not be greater", id="range"),
        pytest.param(LIST.replace(", equals: positive", ""), "set at least one of equals, oneOf", id="none"),
        pytest.param(LIST.replace("/label", "label"), "must be a JSON pointer", id="no pointer"),
    ],
)
def test_what_is_no_file_of_checks_says_why(text: str, message: str) -> None:
    with pytest.raises(CheckFileError, match=re.escape(message)):
        prepared_checks(text)


def test_a_sample_that_the_file_does_not_have_is_told() -> None:
    with pytest.raises(CheckInvalid, match="there is no sample praise"):
        prepared_checks("[{name: a, sample: praise}]")


def test_null_is_a_value_that_can_be_expected() -> None:
    [check] = prepared_checks(LIST.replace("positive", "null"))
    assert check.expect.values[0].has_equals
    assert check.expect.values[0].equals is None
