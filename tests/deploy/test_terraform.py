"""The Terraform module: made of the same policies, and as Terraform itself renders them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from ephemeral_endpoints.deploy.policies import PARAMETERS, POLICIES, with_defaults

FOLDER = Path(__file__).parents[2] / "examples" / "aws" / "terraform"
POLICY_FILES = FOLDER.parent / "policies"
VALUES = with_defaults({"Region": "eu-central-1", "AccountId": "123456789012", "ClusterId": "prod"})
SECONDS = 240

TERRAFORM = shutil.which("terraform")
with_terraform = pytest.mark.skipif(TERRAFORM is None, reason="there is no terraform on the PATH")


def run(*arguments: str, cwd: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - the program that was found, our own files
        [str(TERRAFORM), *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={"CHECKPOINT_DISABLE": "1", "HOME": str(cwd), "TF_DATA_DIR": str(cwd / ".terraform-data")},
    )


def parsed(name: str) -> dict[str, Any]:
    with (FOLDER / name).open() as file:
        found: dict[str, Any] = hcl2.load(file)
    return found


def names(text: str) -> set[str]:
    """Names of policies in an expression, with or without the quotes that the parser keeps."""
    return {each.name for each in POLICIES if f'"{each.name}"' in text}


def test_the_module_gives_a_value_to_every_placeholder_and_a_role_to_every_policy() -> None:
    [local] = parsed("main.tf")["locals"]
    assert {name.strip('"') for name in local["values"] if not name.startswith("__")} == PARAMETERS.keys()
    text = (FOLDER / "main.tf").read_text()
    assert names(text) == {each.name for each in POLICIES}


def test_every_variable_that_is_used_is_declared_and_the_reverse() -> None:
    declared = {name.strip('"') for each in parsed("variables.tf")["variable"] for name in each}
    text = "".join(path.read_text() for path in FOLDER.glob("*.tf"))
    assert {each for each in declared if f"var.{each}" not in text} == set()
    assert all(f"var.{name}" in text for name in declared)


@with_terraform
def test_the_files_have_terraforms_own_form(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "module")
    reported = run("fmt", "-check", "-diff", "module", cwd=tmp_path)
    assert (reported.returncode, reported.stdout) == (0, ""), reported.stderr


@with_terraform
def test_terraform_renders_the_policies_as_eep_does(tmp_path: Path) -> None:
    """Nothing of a provider is needed for that."""
    for policy in POLICIES:
        shutil.copy(POLICY_FILES / f"{policy.name}.json", tmp_path)
    rendered = "\n".join(
        f'  "{each.name}" = jsondecode(templatefile("{each.name}.json", local.values))' for each in POLICIES
    )
    values = "\n".join(f"  {name} = {json.dumps(value)}" for name, value in VALUES.items())
    (tmp_path / "main.tf").write_text(f"locals {{\nvalues = {{\n{values}\n}}\nrendered = {{\n{rendered}\n}}\n}}\n")
    reported = run("console", cwd=tmp_path, stdin="jsonencode(local.rendered)\n")
    assert reported.returncode == 0, reported.stderr
    found = json.loads(json.loads(reported.stdout))
    assert found == {each.name: each.document(VALUES) for each in POLICIES}
