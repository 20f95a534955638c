import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import Result
from tests.engine import objects
from tests.fixtures.command import eep
from tests.fixtures.kubernetes import Cluster

from eep_platform.bootstrap import DEFAULT_CLASS
from ephemeral_endpoints.cli.cost import Bill, as_csv, as_json, as_table, explained
from ephemeral_endpoints.features.capacity.bill import Line
from ephemeral_endpoints.features.capacity.spending import Spent
from ephemeral_endpoints.features.subject import Subject

Run = Callable[..., Result]
SERVERLESS_PRICE = "$0.00002 per GB-second (2026-09-01, Price List: SKU PUE6HBQ8KFHBUN5T)"
NOW = datetime(2026, 11, 1, 22, tzinfo=UTC)
LINES = [
    Line("nlp/a", 1, *map(Spent, map(Decimal, ("0.115", "1.25", "1.00", "75.67")))),
    Line("=cmd()", 2, Spent(Decimal("0.1"), is_complete=False), saved=Spent(Decimal("-0.02"))),
]


def bill(lines: Sequence[Line] = LINES, *missing: str) -> Bill:
    return Bill(lines, "object", "2026-11", missing)


def test_people_see_where_something_is_not_known_and_how_savings_are_computed() -> None:
    assert as_table(bill(LINES, "what ended")).splitlines() == [
        "OBJECT   OBJECTS   USD/H     SO FAR   THIS MONTH   ALWAYS ON   SAVED",
        "nlp/a    1         0.115     1.25     1.00         76.67       75.67",
        "=cmd()   2         >=0.10    0.00     0.00         -0.02       -0.02",
        "TOTAL    3         >=0.215   1.25     1.00         76.65       75.65",
        "",
        "saved in 2026-11: $76.65 always on - $1.00 this month = $75.65",
        "always on = USD/h that an object asks for x the hours of this month since its creation, running or not",
        "not counted: what ended",
        ">= not everything is known: see `eep cost NAME`",
    ]
    assert ">=" not in as_table(bill(LINES[:1]))


def test_programs_get_the_same_figures() -> None:
    [header, *rows] = csv.reader(io.StringIO(as_csv(bill())))
    found = json.loads(as_json(bill(LINES, "what ended")))
    assert header == [*found["lines"][0]]
    assert rows == [
        ["nlp/a", "1", "0.115", "1.25", "1.00", "76.67", "75.67", "True"],
        ["'=cmd()", "2", "0.10", "0.00", "0.00", "-0.02", "-0.02", "False"],
    ], "no formula"
    assert [[str(each) for each in line.values()] for line in found["lines"]] == [rows[0], ["=cmd()", *rows[1][1:]]]
    assert (found["by"], found["total"]["hourlyUSD"], found["total"]["complete"]) == ("object", "0.215", False)
    assert (found["month"], found["notCounted"]) == ("2026-11", ["what ended"])


def subject(serving: dict[str, Any], cost: dict[str, Any], **spec: Any) -> Subject:  # noqa: ANN401
    status = {"cost": cost, "expiresAt": "2026-11-04T12:00:00Z"}
    metadata = {"name": "a", "namespace": "nlp", "creationTimestamp": "2026-11-01T12:00:00Z"}
    endpoint = objects.endpoint(
        {"metadata": metadata, "spec": {"serving": serving, "className": "default"}, "status": status}
    )
    return Subject("c1", endpoint, objects.make_class({"spec": {"region": "us-east-1", **spec}}))


def test_the_arithmetic_of_one_object_is_shown() -> None:
    cost = {"hourlyUSD": "0.05", "accruedUSD": "0.10", "monthStartUSD": "0.00", "since": "2026-11-01T12:00:00Z"}
    one = subject({"instances": {"type": "ml.m5.large", "volumeSizeGB": 73}}, cost, prices={"ml.m5.large": "0.1"})
    text = list(explained(one, NOW))
    assert text[:5] == [
        "nlp/a, class default, region us-east-1",
        "",
        "CAPACITY           FORMULA                          USD/H    PRICE OF   SOURCE",
        "1 x ml.m5.large    1 x $0.1 per hour                0.10     -          spec.prices of the class",
        "73 GB of volumes   73 x $0.112 per GB-month / 730   0.0112   unknown    golden file of infracost",
    ]
    assert "now: $0.05 an hour" in text
    assert "so far: $0.60 = $0.10 until 2026-11-01 12:00 UTC + 0.05 x the hours since" in text
    assert "this month: $0.60" in text
    always = "0.1112 x 10.00 h since 2026-11-01 12:00 UTC, if it was always on"
    assert f"saved this month: $0.512 = {always}, - 0.60" in text


@pytest.mark.parametrize(
    ("one", "said"),
    [
        pytest.param(
            subject({"instances": {"type": "ml.x9.large"}}, {"unpriced": ["ml.x9.large"]}),
            [
                "No price of ml.x9.large is known in us-east-1: set it in spec.prices of the class.",
                "The table has prices of us-east-1.",
                "now: unknown",
                "so far: unknown",
                "this month: at least $0.00",
                "saved this month: unknown",
            ],
            id="nothing is known",
        ),
        pytest.param(
            subject({"serverless": {"memorySizeMB": 2048}}, {"hourlyUSD": "0.00"}),
            [
                "It has no capacity that is charged by the hour.",
                f"by use: serverless seconds, each 2 x {SERVERLESS_PRICE}",
                "now: $0.00 an hour",
            ],
            id="serverless",
        ),
        pytest.param(
            subject({"serverless": {"memorySizeMB": 2048}}, {"hourlyUSD": "0.00"}, region="eu-central-1"),
            ["by use: serverless seconds, at an unknown price"],
            id="elsewhere",
        ),
        pytest.param(
            subject({"instances": {"type": "ml.m5.large", "fallbackTypes": ["ml.m5.xlarge"]}}, {}),
            ["It may cost less: another of its instance types may run."],
            id="any of several",
        ),
        pytest.param(
            subject({"instances": {"type": "ml.m5.xlarge"}}, {}),
            ["cheaper if the model fits: ml.m5.large ($0.115 instead of $0.23 per hour and instance)"],
            id="a smaller one",
        ),
    ],
)
def test_what_is_said_of_one_object(one: Subject, said: list[str]) -> None:
    assert set(said) <= set(explained(one, NOW))


def test_objects_of_a_cluster_are_summed_up(run: Run, cluster: Cluster) -> None:
    since = datetime.now(UTC) - timedelta(hours=10)
    cost = {"hourlyUSD": "0.2", "accruedUSD": "1.00", "monthStartUSD": "1.00", "since": f"{since:%Y-%m-%dT%H:%M:%SZ}"}
    for name in ("pr-1", "pr-2"):
        cluster.create(name, {"className": DEFAULT_CLASS})
        cluster.patch_status({"cost": cost}, name)
    found = json.loads(run("cost", "--by", "namespace", "-o", "json").stdout)
    [line] = found["lines"]
    assert (line["name"], line["objects"], line["hourlyUSD"], line["complete"]) == (cluster.namespace, 2, "0.40", True)
    assert Decimal(line["accruedUSD"]) == pytest.approx(Decimal(6), abs=Decimal("0.1"))
    assert f"classes without a budget by the month: {DEFAULT_CLASS}" in found["notCounted"][0]
    assert run("cost").stdout.splitlines()[0].split()[:2] == ["OBJECT", "OBJECTS"]
    alone = run("cost", "pr-1")
    assert alone.stdout.splitlines()[0] == f"{cluster.namespace}/pr-1, class {DEFAULT_CLASS}, region us-east-1"
    assert "now: $0.20 an hour" in alone.stdout


def test_whoever_may_not_list_classes_is_told_what_is_not_counted(
    run: Run, cluster: Cluster, kubeconfig_with: Callable[..., str]
) -> None:
    rule = {"apiGroups": ["ephemeral-endpoints.io"], "resources": ["ephemeralendpoints"], "verbs": ["list"]}
    cluster.create("pr-1", {"className": DEFAULT_CLASS})
    found = json.loads(run("cost", "-o", "json", "--kubeconfig", kubeconfig_with(rule)).stdout)
    assert found["notCounted"] == ["what ended this month, and what is saved: you may not list the classes"]
    assert found["total"]["objects"] == 1


def test_without_objects_there_is_nothing_to_pay(run: Run) -> None:
    result = run("cost")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "There are no endpoints" in result.stderr


@pytest.mark.parametrize(("name", "code"), [("pr-9", 1), ("a b", 2)])
def test_what_is_no_object_is_said_to_be_none(run: Run, name: str, code: int) -> None:
    assert run("cost", name).exit_code == code


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["pr-42", "-o", "json"], id="there is no JSON of one object"),
        pytest.param(["pr-42", "-A"], id="one object is in one namespace"),
        pytest.param(["pr-42", "--by", "object"], id="one object has no sum"),
        pytest.param(["--by", "class", "--by-tag", "Team"], id="two sums"),
        pytest.param(["--by-tag", "", "--by", "object"], id="also of no tag"),
    ],
)
def test_options_that_would_be_dropped_are_refused(options: list[str]) -> None:
    assert eep("cost", *options, KUBECONFIG="/nonexistent").exit_code == 2


def test_an_object_that_nobody_has_seen_has_no_price_yet(run: Run, cluster: Cluster) -> None:
    cluster.create()
    result = run("cost", "pr-42")
    assert result.exit_code == 1
    assert "has no class yet" in result.stderr
