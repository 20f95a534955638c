"""The annotations that are commands are in one table, and nothing else of the metadata is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import ephemeral_endpoints
from ephemeral_endpoints import api
from ephemeral_endpoints.api.commands import ABANDON, APPROVE, COMMANDS, UPDATE
from ephemeral_endpoints.api.schema.admission import abandon_manifests, approval_manifests

ROOT = Path(ephemeral_endpoints.__file__).parent
READERS = {
    "api/v1alpha1/endpoint_class.py": "the default class; on a class",
    "cli/approve.py": "approved-build; whether the approval that is asked for exists already",
    "controllers/endpoint/controller.py": "reconcile-at",
    "controllers/endpoint/finalize.py": "abandon",
    "features/expiry/policy.py": "whether a tool would create an expired object again",
    "features/images/policy.py": "approved-build",
    "features/serving/observe.py": "reconcile-at",
}
"""The modules that read metadata which the writers of objects choose, and what for."""

CHOSEN = {"annotations", "labels", "owner_references", "field_managers"}


def _reads(path: Path) -> Iterator[str]:
    """The members of metadata that the writers of an object choose, as a module reads them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and node.attr in CHOSEN:
            yield ast.unparse(node.value)


def test_every_module_that_reads_chosen_metadata_is_known() -> None:
    of_metadata = {
        path.relative_to(ROOT).as_posix()
        for path in ROOT.rglob("*.py")
        if any(each.endswith("metadata") for each in _reads(path))
    }
    assert of_metadata == READERS.keys()


def test_every_annotation_of_the_api_is_in_the_table() -> None:
    declared = {value for name, value in vars(api).items() if name.endswith("_ANNOTATION")}
    assert {each.annotation for each in COMMANDS} == declared


def test_every_verb_but_update_is_guarded_by_a_policy() -> None:
    guarded = {APPROVE: approval_manifests(), ABANDON: abandon_manifests()}
    for command in COMMANDS:
        if command.verb == UPDATE:
            continue
        policy, _, role = guarded[command.verb]
        assert command.annotation in str(policy["spec"]["matchConditions"])
        assert f"check('{command.verb}')" in policy["spec"]["validations"][-1]["expression"]
        assert role["rules"][0]["verbs"] == [command.verb]
