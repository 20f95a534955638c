"""The Terraform modules: made of the same policies, and as Terraform itself renders them."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest

from ephemeral_endpoints.deploy.policies import (
    POLICIES,
    Policy,
    Principal,
    named,
    of,
    with_defaults,
)
from ephemeral_endpoints.deploy.trust import SERVICES
from ephemeral_endpoints.iam.statement import placeholders

FOLDER = Path(__file__).parents[2] / "examples" / "aws" / "terraform"
CLASS_FOLDER = FOLDER / "class"
REAPER_FOLDER = FOLDER / "reaper"
OF_CLASS = (*(each for each in POLICIES if each.principal in SERVICES), *named("operator-class"))
OF_REAPER = of(Principal.REAPER)
OF_CLUSTER = tuple(each for each in POLICIES if each not in (*OF_CLASS, *OF_REAPER))
every_module = pytest.mark.parametrize(
    ("folder", "policies"),
    [(FOLDER, OF_CLUSTER), (CLASS_FOLDER, OF_CLASS), (REAPER_FOLDER, OF_REAPER)],
    ids=["cluster", "class", "reaper"],
)
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


def parsed(path: Path) -> dict[str, Any]:
    with path.open() as file:
        found: dict[str, Any] = hcl2.load(file)
    return found


def names(text: str) -> set[str]:
    """Names of policies in an expression, with or without the quotes that the parser keeps."""
    return {each.name for each in POLICIES if f'"{each.name}"' in text}


@every_module
def test_a_module_gives_a_value_to_every_placeholder_and_a_role_to_every_policy(
    folder: Path, policies: tuple[Policy, ...]
) -> None:
    [local] = parsed(folder / "main.tf")["locals"]
    needed = {name for each in policies for row in each.statements for name in placeholders(row.rendered())}
    assert {name.strip('"') for name in local["values"] if not name.startswith("__")} == needed
    assert names((folder / "main.tf").read_text()) == {each.name for each in policies}


@every_module
def test_every_variable_that_is_used_is_declared_and_the_reverse(folder: Path, policies: tuple[Policy, ...]) -> None:
    assert policies
    declared = {name.strip('"') for each in parsed(folder / "variables.tf")["variable"] for name in each}
    text = "".join(path.read_text() for path in folder.glob("*.tf"))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared


def test_the_first_class_is_made_as_a_further_one_is() -> None:
    [module] = [each["class"] for each in parsed_modules()]
    declared = {name.strip('"') for each in parsed(CLASS_FOLDER / "variables.tf")["variable"] for name in each}
    assert {name for name in module if not name.startswith("__")} - {"source"} == declared


def parsed_modules() -> list[dict[str, Any]]:
    found = parsed(FOLDER / "main.tf")["module"]
    return [{name.strip('"'): body for name, body in each.items()} for each in found]


@with_terraform
def test_the_files_have_terraforms_own_form(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "module")
    reported = run("fmt", "-check", "-diff", "-recursive", "module", cwd=tmp_path)
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
