"""The one file: it runs with nothing but the SDK, and fits into a template."""

import subprocess
import sys
from pathlib import Path

from ephemeral_endpoints.deploy import reaper_stack
from ephemeral_endpoints.features.expiry.reaper import bundle
from ephemeral_endpoints.features.expiry.reaper.kinds import (
    ITS_OWN,
    OF_CLASSES,
    OF_OBJECTS,
    PIPELINE,
    UNTAGGED,
    WITH_ANOTHER,
    identify,
)
from ephemeral_endpoints.features.registry import KINDS

ROOM = 1_500
# Only the SDK may be there, and not the operator.
_PROGRAM = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("ephemeral_endpoints"):
            raise ImportError(name)
sys.meta_path.insert(0, Refusing())
sys.path.insert(0, sys.argv[1])
import index
print(index.rules_of({"CLUSTER_ID": "c1", "CLASS_NAME": "default"}).grace)
"""


def test_every_kind_that_a_feature_makes_has_an_entry() -> None:
    reaped = {each.name for each in (*OF_OBJECTS, *OF_CLASSES)} | {*UNTAGGED, *WITH_ANOTHER, *ITS_OWN}
    assert reaped == {kind.name for kind in KINDS} | {PIPELINE.name}
    tagged = {each.name for each in (*OF_OBJECTS, *OF_CLASSES)} - {PIPELINE.name} | {*ITS_OWN}
    assert {kind.name for kind in KINDS if kind.taggable} == tagged
    assert set(WITH_ANOTHER.values()) <= reaped


def test_a_kind_goes_after_those_that_need_it() -> None:
    order = [*UNTAGGED, *(each.name for each in OF_OBJECTS)]
    for each in OF_OBJECTS:
        assert all(order.index(other) < order.index(each.name) for other in each.after), each.name


def test_the_file_runs_without_the_operator(tmp_path: Path) -> None:
    (tmp_path / "index.py").write_text(bundle.source())
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", _PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.returncode) == ("1 day, 0:00:00\n", 0), done.stderr


def test_cloudformation_takes_the_template_without_a_bucket_with_room_for_more() -> None:
    assert len(reaper_stack.stack().encode()) <= reaper_stack.TEMPLATE_LIMIT - ROOM


def test_an_arn_tells_the_kind_and_the_name() -> None:
    found = identify("arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/eep-c1-x:*")
    assert found is not None
    assert (found[0].name, found[1]) == ("LogGroup", "/aws/lambda/eep-c1-x")
    assert identify("arn:aws:apigateway:us-east-1::/apis/a1/stages/$default") != identify("arn:aws:sqs:us-east-1:0:q")
    assert identify("arn:aws:sqs:us-east-1:000000000000:queue") is None
