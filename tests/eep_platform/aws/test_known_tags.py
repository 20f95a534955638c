"""Which calls have the index of tags read again what it knows."""

from contextlib import ExitStack

import pytest
from microburst.core.context import RequestContext

from eep_platform.aws.known_tags import KnownTags
from eep_platform.aws.wire import Request

GROUP = "arn:aws:logs:us-east-1:0:log-group:/aws/lambda/eep-c1-a"
OTHER = f"{GROUP}b"
TAGS = {"team": "nlp"}


@pytest.fixture
def known() -> KnownTags:
    """What was read of two groups, of which one's name begins with the other's."""
    made = KnownTags()
    for arn in (GROUP, OTHER):
        made.keep(arn, TAGS, made.state())
    return made


def kept(known: KnownTags) -> set[str]:
    return {arn for arn in (GROUP, OTHER) if known.get(arn) is not None}


def call(
    known: KnownTags, service: str | None, operation: str | None, path: str = "/", body: bytes | None = b""
) -> None:
    length = "9" if body is None else str(len(body))
    request = Request("POST", path, {}, {"Content-Length": length}, body)
    context = RequestContext(
        method="POST", path=path, query={}, headers={}, service=service, operation=operation, resource=None
    )
    with known.changing(request, context):
        pass


@pytest.mark.parametrize(
    ("call_of", "path", "body", "left"),
    [
        (("logs", "DeleteLogGroup"), "/", b'{"logGroupName": "/aws/lambda/eep-c1-a"}', {OTHER}),
        (("lambda", "TagResource"), "/tags/arn%3Aaws%3Alambda%3A%3A%3Afunction%3Aeep-c1-a", b"", {OTHER}),
        (("cloudwatch", "TagResource"), "/", b"Action=TagResource&ResourceARN=arn%3Aeep-c1-a", {OTHER}),
        (("logs", "DescribeLogGroups"), "/", b'{"logGroupNamePrefix": "eep-c1-a"}', {GROUP, OTHER}),
        (("cloudwatch", "PutMetricData"), "/", b"eep-c1-a", {GROUP, OTHER}),
        (("lambda", "CreateFunction"), "/", b'{"FunctionName": "eep-c1-c"}', {GROUP, OTHER}),
        (("lambda", "UpdateFunctionCode"), "/functions/a/code", None, set()),
        (("cloudwatch", "DeleteAlarms"), "/", b"\xa1\xff", set()),
        (("cloudformation", "DescribeStacks"), "/", b"", set()),
        ((None, None), "/", b"", set()),
        (("logs", None), "/", b'{"logGroupName": "/aws/lambda/eep-c1-a"}', {OTHER}),
    ],
    ids=[
        "deleted",
        "named in the path",
        "named in a form",
        "read",
        "written to, which changes no tags",
        "another is made",
        "a body that is not read",
        "a body that is not text",
        "a stack makes and deletes what the calls do not name",
        "of an unknown service",
        "of an unknown operation",
    ],
)
def test_what_a_changing_call_may_be_about_is_read_again(
    known: KnownTags, call_of: tuple[str | None, str | None], path: str, body: bytes | None, left: set[str]
) -> None:
    call(known, *call_of, path, body)
    assert kept(known) == left


def test_what_was_read_while_a_call_changed_something_is_not_kept(known: KnownTags) -> None:
    request = Request("POST", "/", {}, {"Content-Length": "0"})
    change = RequestContext(
        method="POST", path="/", query={}, headers={}, service="logs", operation="TagResource", resource=None
    )
    early = known.state()
    with ExitStack() as under_way:
        under_way.enter_context(known.changing(request, change))
        for state in (early, known.state()):
            known.keep(f"{GROUP}-new", TAGS, state)
    known.keep(f"{GROUP}-new", TAGS, early)
    assert known.get(f"{GROUP}-new") is None
    known.keep(f"{GROUP}-new", TAGS, known.state())
    assert known.get(f"{GROUP}-new") == TAGS


def test_a_resource_without_tags_is_always_read_again(known: KnownTags) -> None:
    known.keep(f"{GROUP}-new", {}, known.state())
    assert known.get(f"{GROUP}-new") is None
    known.clear()
    assert kept(known) == set()
