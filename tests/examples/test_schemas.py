"""What GitHub and GitLab take, by the schemas that their editors check with."""

from pathlib import Path

import pytest
from check_jsonschema import main
from click.testing import CliRunner, Result
from tests.examples.health import ROOT

from ephemeral_endpoints.cli.init import files

ACTION, WORKFLOW, PIPELINE = "vendor.github-actions", "vendor.github-workflows", "vendor.gitlab-ci"
EXAMPLES = {
    ACTION: ROOT / "action.yml",
    WORKFLOW: ROOT / "examples/ci/github/preview.yaml",
    PIPELINE: ROOT / "examples/ci/gitlab/.gitlab-ci.yml",
}


def checked(schema: str, file: Path) -> Result:
    return CliRunner().invoke(main, ["--builtin-schema", schema, str(file)])


@pytest.mark.parametrize("schema", EXAMPLES)
def test_the_file_is_as_its_schema_says(schema: str) -> None:
    result = checked(schema, EXAMPLES[schema])
    assert result.exit_code == 0, result.output


def test_so_is_the_workflow_that_init_writes(tmp_path: Path) -> None:
    written = files(tmp_path, {"name": "wine", "repository": "acme/wine", "namespace": "nlp"})
    file = tmp_path / "preview.yaml"
    file.write_text(written[".github/workflows/preview.yaml"], encoding="utf-8")
    result = checked(WORKFLOW, file)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (ACTION, "using: composite", "using: composed"),
        (WORKFLOW, "runs-on:", "run-on:"),
        (PIPELINE, "on_stop:", "stop:"),
    ],
)
def test_a_slip_is_found(schema: str, right: str, wrong: str, tmp_path: Path) -> None:
    text = EXAMPLES[schema].read_text(encoding="utf-8")
    assert right in text
    file = tmp_path / EXAMPLES[schema].name
    file.write_text(text.replace(right, wrong), encoding="utf-8")
    assert checked(schema, file).exit_code == 1
