"""Nothing that a user sends may cost more than a little: every part has a bound, and no pattern takes its time."""

import re
import time
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from ephemeral_endpoints.api.rules import VALIDATIONS
from ephemeral_endpoints.api.schema.crds import crds
from ephemeral_endpoints.engine.redaction import LONGEST, MASK, redacted

Body = dict[str, Any]

CRDS = crds()
MOST_SECONDS = 1.0
"""Far more than anything here takes, and far less than what backtracks."""

# What patterns stumble upon: parts of what they look for, again and again, and then not the end.
PIECES = ["a", "a.", "a-", "a/", "/", "-", ".", "ml.", "s3://a", "arn:aws:", "* ", "cron(* ", "token", "secret-"]
PIECES += ["://a:", "bearer ", "-----BEGIN ", "A ", "eyJaaaaaaaa.", "password\t", "ghp_", "[", "\x1b[31m", "\u202e"]


def _fields(schema: Body, path: str) -> Iterator[tuple[str, Body]]:
    yield path, schema
    for step, key in (("[]", "items"), ("{}", "additionalProperties")):
        if key in schema:
            yield from _fields(schema[key], f"{path}{step}")
    for name, part in schema.get("properties", {}).items():
        yield from _fields(part, f"{path}.{name}")


def _specs() -> Iterator[tuple[str, Body]]:
    for crd in CRDS:
        [version] = crd["spec"]["versions"]
        yield from _fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec")


ANY_JSON = {
    "spec.api.requestSchema.inline",
    "spec.api.responseSchema.inline",
    "spec.checks[].expect.schema",
    "spec.checks[].expect.values[].equals",
    "spec.checks[].expect.values[].oneOf[]",
}
"""What the API server does not look into: ``features.routing.schemas`` and ``features.checks.preparation`` bound its
size and its depth."""


def _is_bounded(schema: Body) -> bool:
    match schema.get("type"):
        case "string":
            return "maxLength" in schema or "enum" in schema
        case "array":
            return "maxItems" in schema
        case "object" if "additionalProperties" in schema:
            return "maxProperties" in schema
        case "object":
            return bool(schema.get("properties")) and "x-kubernetes-preserve-unknown-fields" not in schema
        case "integer" | "number":
            named = any("self in [" in rule["rule"] for rule in schema.get(VALIDATIONS, []))
            return {"minimum", "maximum"} <= schema.keys() or "enum" in schema or named
        case kind:
            return bool(kind == "boolean")


def test_every_part_of_a_spec_has_a_bound() -> None:
    # The endpoint of a stage has fields of an object.
    unbounded = {path.replace("spec.template.", "") for path, schema in _specs() if not _is_bounded(schema)}
    assert unbounded == ANY_JSON


def test_the_walk_over_the_schemas_sees_what_is_unbounded() -> None:
    unbounded: list[Body] = [{"type": "string"}, {"type": "array", "items": {}}, {"type": "integer", "minimum": 1}]
    unbounded += [{"type": "object", "additionalProperties": {}}, {"type": "number"}]
    assert not any(map(_is_bounded, unbounded))
    assert len(list(_specs())) > 100


def _expressions() -> set[tuple[str, int]]:
    """The regular expressions of all rules, as Python too matches them, and the longest text that each may meet."""
    found = set()
    for _, schema in _specs():
        longest = max(schema.get("maxLength", 0), schema.get("additionalProperties", {}).get("maxLength", 0))
        for rule in schema.get(VALIDATIONS, []):
            for expression in re.findall(r"matches\('((?:[^'\\]|\\.)*)'\)", rule["rule"]):
                if r"\\p{" in expression:
                    continue  # a class of Unicode, which Python's expressions do not have and its code looks up
                found.add((expression.replace("\\\\", "\\").replace("\\'", "'"), longest or 1024))
    return found


def test_no_pattern_of_the_api_takes_its_time() -> None:
    """The API server's expressions cannot; Python's could, and it has one thread for all objects."""
    expressions = _expressions()
    assert len(expressions) > 30
    slow = {
        expression
        for expression, longest in expressions
        for begin, again in product(["", "s3://aa/", "https://a"], PIECES[:12])
        if _seconds(lambda text: re.fullmatch(expression, text), f"{begin}{again * longest}"[: longest - 1] + "!")  # noqa: B023 - called at once
        > MOST_SECONDS
    }
    assert slow == set()


def test_no_log_of_a_build_keeps_the_operator_busy() -> None:
    """A commit makes its build say what it likes, in lines of up to a megabyte."""
    worst = max(_seconds(redacted, one * 400 + other * 500_000) for one, other in product(PIECES, PIECES))
    assert worst < MOST_SECONDS


@pytest.mark.parametrize("before", ["", "word " * 900, "x" * (LONGEST - 10) + " ", "x" * LONGEST])
def test_a_credential_is_not_saved_by_where_a_long_text_is_cut(before: str) -> None:
    secret = "AKIAIOSFODNN7EXAMPLE"  # noqa: S105 - the one of AWS's documentation
    reported = redacted(f"{before}{secret} {'y ' * LONGEST}")
    assert len(reported) <= LONGEST + len(MASK) + 2
    assert not any(secret[:length] in reported for length in range(4, len(secret) + 1))


def _seconds(what: Callable[[str], object], text: str) -> float:
    started = time.thread_time()
    what(text)
    return time.thread_time() - started


def test_an_object_of_a_megabyte_is_refused(endpoint: Body, create: Callable[..., Body]) -> None:
    """By its parts' bounds: what is legal is far smaller than what etcd takes."""
    endpoint["spec"]["model"]["environment"] = {f"N{number}": "x" * 1024 for number in range(1024)}
    with pytest.raises(ValueError, match=r"spec\.model\.environment: Too many: 1024: must have at most 100 items"):
        create(endpoint)


def test_the_largest_object_that_is_legal_is_accepted(endpoint: Body, create: Callable[..., Body]) -> None:
    """The rules of the schema cost it less than what the API server grants."""
    environment = {f"N{number:02}": "x" * 1021 for number in range(32)}
    image = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{'m' * 138}:{'t' * 71}"
    model = {"environment": environment, "dataUrl": f"s3://{'b' * 60}/{'k' * 900}.tar.gz"}
    endpoint["spec"]["model"] = {"image": image, **model}
    variants = [{"name": f"v{number}", "weight": 1, "model": {"image": image, **model}} for number in range(5)]
    endpoint["spec"]["serving"] = {"variants": variants}
    samples = [{"name": f"s{number}", "request": "x" * 6553, "contentType": f"a/{'b' * 126}"} for number in range(10)]
    endpoint["spec"]["api"] = {"samples": samples, "readiness": {"sample": "s9"}}
    endpoint["spec"]["source"]["branch"] = "\U0001f600" * 255
    assert len(str(create(endpoint))) > 255_000


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        pytest.param({"annotations": {"a": "x" * 300_000}}, "metadata.annotations: Too long", id="annotations"),
        pytest.param({"labels": {"a": "x" * 64}}, "must be no more than 63", id="labels"),
        pytest.param({"finalizers": ["x" * 64 + "/" + "y" * 64]}, "metadata.finalizers", id="finalizers"),
    ],
)
def test_the_api_server_bounds_metadata_itself(
    metadata: Body, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        create(endpoint | {"metadata": {**endpoint["metadata"], **metadata}})
