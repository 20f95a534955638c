"""The annotations that are commands are in one table, and nothing else of the metadata is read."""

import ast
from collections.abc import Iterator
from pathlib import Path

import ephemeral_endpoints
from ephemeral_endpoints import api
from ephemeral_endpoints.api.commands import ABANDON, APPROVE, COMMANDS, PIN, UPDATE
from ephemeral_endpoints.api.kinds import ENDPOINT, STAGE
from ephemeral_endpoints.api.schema.admission import (
    abandon_manifests,
    approval_manifests,
    pin_manifests,
    promotion_manifests,
)
from ephemeral_endpoints.deploy.annotations import MARKS

ROOT = Path(ephemeral_endpoints.__file__).parent
READERS = {
    "api/v1alpha1/endpoint.py": "head; void unless the spec follows",
    "api/v1alpha1/endpoint_class.py": "the default class; on a class",
    "cli/approve.py": "approved-build; whether the approval that is asked for exists already",
    "cli/resting.py": "sleep and wake: whether the opposite was ordered later",
    "controllers/endpoint/controller.py": "reconcile-at",
    "controllers/model_stage/offers.py": "reconcile-at",
    "controllers/model_stage/promotions.py": "approved-by; whether the operator made a promotion",
    "features/checks/comparison/policy.py": "compare-at",
    "features/checks/step.py": "check-at",
    "features/expiry/policy.py": "abandon and pinned; whether a tool would create an object again that has ended",
    "features/images/policy.py": "approved-build",
    "features/promotion/source.py": "approved-version",
    "features/reviews/commands/orders.py": "extend-until and reconcile-at: whether they are set already",
    "features/reviews/pull_requests/policy.py": "head, pull-request-closed and -merged: whether they are written",
    "features/reviews/pull_requests/poller.py": "confirm-closed; on a class",
    "features/routing/token.py": "rotate-token",
    "features/serving/observe.py": "reconcile-at",
    "features/sleep/policy.py": "sleep and wake",
    "features/subject.py": "extend-until, pull-request-closed and -merged",
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


def test_every_annotation_of_the_api_is_a_command_or_written_by_the_operator() -> None:
    declared = {value for name, value in vars(api).items() if name.endswith("_ANNOTATION")}
    commands = {each.annotation for each in COMMANDS}
    written = {each.key for each in MARKS if each.set_by == "the operator" and each.on == ENDPOINT.name}
    assert commands <= declared
    assert declared - commands <= written


def test_every_verb_but_update_is_guarded_by_a_policy() -> None:
    versions = promotion_manifests()
    guarded = {
        (ENDPOINT, APPROVE): approval_manifests(),
        (ENDPOINT, ABANDON): abandon_manifests(),
        (ENDPOINT, PIN): pin_manifests(),
        (STAGE, APPROVE): [versions[0], versions[1], versions[-2]],
    }
    for command in COMMANDS:
        if command.verb == UPDATE:
            continue
        policy, _, role = guarded[command.kind, command.verb]
        assert command.annotation in str(policy["spec"]["matchConditions"])
        assert f"check('{command.verb}')" in policy["spec"]["validations"][-1]["expression"]
        assert role["rules"][0]["verbs"] == [command.verb]
