import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
import yaml

from ephemeral_endpoints.api import GROUP
from ephemeral_endpoints.api.kinds import BY_NAME
from ephemeral_endpoints.deploy import pages
from ephemeral_endpoints.settings import Settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
CHART = ROOT / "charts/ephemeral-endpoints"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
OURS = [DOCS / f"{name}.md" for name in ("install", "configure", "upgrade", "operate", "runbooks", "troubleshoot")]


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(page: str) -> str:
    """Without what is code, in which brackets and marks are no markup."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^ *```.*?^ *```", "", page, flags=re.DOTALL | re.MULTILINE))


def anchors(page: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(read(path))):
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(read(target))):
            broken.append(link)
    assert broken == []


def alerts() -> set[str]:
    groups = yaml.safe_load(read(CHART / "files/alerts.yaml"))["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"]}


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    sections = re.findall(r"^## (\S+)$", read(DOCS / "runbooks.md"), re.MULTILINE)
    assert sorted(sections) == sorted(alerts())


@pytest.mark.parametrize("alert", sorted(alerts()))
def test_a_runbook_has_impact_diagnosis_and_remedy(alert: str) -> None:
    section = read(DOCS / "runbooks.md").split(f"\n## {alert}\n")[1].split("\n## ")[0]
    assert re.match(r"\n(Critical|Warning|Info): ", section)
    assert all(re.search(rf"\*\*[^*]*{word}[^*]*\*\*", section, re.IGNORECASE) for word in ("impact", "diag", "remedy"))


def test_a_runbook_names_the_severity_of_its_alert() -> None:
    groups = yaml.safe_load(read(CHART / "files/alerts.yaml"))["groups"]
    known = {rule["alert"]: rule["labels"]["severity"] for group in groups for rule in group["rules"]}
    reported = dict(re.findall(r"^## (\S+)\n\n(\w+):", read(DOCS / "runbooks.md"), re.MULTILINE))
    assert {alert: severity.lower() for alert, severity in reported.items()} == known


def variables() -> dict[str, str]:
    table = read(DOCS / "configure.md").split("## Variables")[1]
    return dict(re.findall(r"^\| `(EEP_\w+)` \|.*\| ([^|]+) \|$", table, re.MULTILINE))


def test_every_variable_that_the_settings_read_is_explained_and_no_other() -> None:
    source = read(ROOT / "operator/ephemeral_endpoints/settings.py")
    assert set(variables()) == set(re.findall(r"\bEEP_[A-Z]+(?:_[A-Z]+)*\b", source))


@pytest.mark.parametrize(("name", "default"), [(name, text) for name, text in variables().items() if " " not in text])
def test_documented_defaults_are_the_real_ones(name: str, default: str) -> None:
    value = "" if default in {"all", "the pod's"} else default.strip("`")
    assert Settings.from_environment({name: value}) == Settings.from_environment({})


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and path not in {"resources", "podSecurityContext", "securityContext"}:
            yield from [path] if path.endswith((".labels", "nodeSelector")) else leaves(value, f"{path}.")
        else:
            yield path


def test_every_value_of_the_chart_is_explained() -> None:
    values = yaml.safe_load(read(CHART / "values.yaml"))
    known = {path.removesuffix(".kubernetes.io/os") for path in leaves(values)}
    page = read(DOCS / "configure.md")
    assert known - set(re.findall(r"`([\w.]+)`", page)) == set()


def test_no_value_is_explained_that_the_chart_does_not_have() -> None:
    values = yaml.safe_load(read(CHART / "values.yaml"))
    known = {path for leaf in leaves(values) for path in (leaf, *_above(leaf))}
    rows = re.findall(r"^\| (`[^|]+`) \|", read(DOCS / "configure.md").split("## Variables")[0], re.MULTILINE)
    reported = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    assert reported - known == set()


def _above(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def commands(path: Path) -> Iterator[str]:
    """Every command that a page shows, on one line."""
    for block in re.findall(r"^ *```console\n(.*?)^ *```", read(path), re.DOTALL | re.MULTILINE):
        text = re.sub(r"\\\n\s*", "", block)
        yield from re.findall(r"^ *\$ (.+)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_files_and_targets_in_commands_exist(path: Path) -> None:
    made = re.findall(r"^([a-z]+):", read(ROOT / "Makefile"), re.MULTILINE)
    for command in commands(path):
        named = re.findall(r"(?:^|[\s=/])((?:examples|charts|crds|docs|operator)/[\w./-]*)", command)
        assert [file for file in named if "://" not in command and not (ROOT / file).exists()] == [], command
        assert [target for target in re.findall(r"^make (\w+)", command) if target not in made] == [], command


def blocks(path: Path) -> Iterator[dict[str, Any]]:
    """Every YAML document that a page shows, those fed to a command included."""
    page = re.sub(r"\$\(git rev-parse HEAD\)", "a" * 40, read(path))
    found = re.findall(r"^ *```yaml\n(.*?)^ *```|<<EOF\n(.*?)^EOF", page, re.DOTALL | re.MULTILINE)
    for texts in found:
        yield from yaml.safe_load_all("".join(texts))


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_objects_and_values_that_are_shown_are_accepted(path: Path) -> None:
    accept_values = fastjsonschema.compile(json.loads(read(CHART / "values.schema.json")))
    for block in blocks(path):
        if kind := block.get("kind"):
            BY_NAME[kind].model.model_validate(block)
        else:
            accept_values(block)


def test_the_way_to_take_the_kinds_away_names_them_all() -> None:
    (command,) = re.findall(r"kubectl delete crd ([a-z0-9. -]+)", read(DOCS / "install.md"))
    assert set(command.split()) == {f"{kind.plural}.{GROUP}" for kind in BY_NAME.values()}


def test_the_generated_tables_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert pages.main(["--check", str(DOCS)]) == 0, capsys.readouterr().err


def test_a_stale_table_is_reported_and_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in {file for _, file, _ in pages.TABLES}:
        (tmp_path / name).write_text(read(DOCS / name).replace("`EndpointFailed`", "`Broken`"), encoding="utf-8")
    assert pages.main(["--check", str(tmp_path)]) == 1
    assert "troubleshoot.md is stale" in capsys.readouterr().err
    assert pages.main([str(tmp_path)]) == 0
    assert pages.main(["--check", str(tmp_path)]) == 0
    table = read(tmp_path / "troubleshoot.md").split("## Reasons")[1]
    assert table == read(DOCS / "troubleshoot.md").split("## Reasons")[1]


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="has no <!-- reasons"):
        pages.filled("# A page", "reasons", "| a | table |")
