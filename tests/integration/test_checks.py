"""Checks on the whole platform: through the public URL, the forwarder and SageMaker to a model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import V1ObjectMeta, V1Secret
from tests.fixtures.github import REPOSITORY
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess
from tests.fixtures.waiting import eventually

import ephemeral_endpoints
from eep_platform.github.client import GitHubClient, sha_of
from eep_platform.kubelet import Image, Kubelet
from eep_platform.workbench import Object, condition

REVIEWED = "measured"
SECRET = "forge"  # noqa: S105 - the name of a Secret
ANSWER = '{"label": "positive"}'


def test_checks_are_run_through_the_public_url_and_again_when_they_change(bench: Bench) -> None:
    model = {"image": bench.image, "environment": {"SAY": ANSWER}}
    check = {"name": "praise", "request": {"body": '{"text": "lovely"}'}}
    expected = {"values": [{"pointer": "/label", "equals": "positive"}], "schema": {"required": ["label"]}}
    bench.apply("pr", bench.spec(model=model, checks=[check | {"expect": expected}]))
    obj = bench.wait_condition("pr", "ChecksPassed", reason="ChecksPassed")
    assert [each["outcome"] for each in obj["status"]["checks"]["results"]] == ["Passed"]
    other = {"values": [{"pointer": "/label", "equals": "negative"}]}
    bench.apply("pr", bench.spec(model=model, checks=[check | {"expect": other}]))
    obj = bench.wait_condition("pr", "ChecksPassed", reason="ChecksFailed")
    assert 'praise (/label: expected "negative", found "positive")' in condition(obj, "ChecksPassed")["message"]
    assert condition(obj, "Ready")["status"] == "True"


@pytest.fixture
def reviewed(bench: Bench, operator_process: OperatorProcess, github: GitHubClient, tmp_path: Path) -> Iterator[Bench]:
    """A class that publishes, an operator that knows its image, and a node that runs it."""
    operator_process.run({**DEFAULT_SETTINGS, "EEP_OWN_NAMESPACE": bench.namespace, "EEP_IMAGE": "operator:1"})
    body = V1Secret(metadata=V1ObjectMeta(name=SECRET), string_data={"token": github.add_token("ada")})
    bench.core.create_namespaced_secret(bench.namespace, body)
    grants = [{"repository": REPOSITORY, "namespaces": [bench.namespace]}]
    bench.make_class(REVIEWED, reviews={"url": github.url, "secretName": SECRET, "repositories": grants})
    image = Image(environment={"PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1])})
    with Kubelet(bench.platform.kubeconfig, bench.namespace, state=tmp_path, image=image):
        yield bench
    if bench.get("pr"):
        bench.delete("pr")
        bench.wait_gone("pr")
    bench.delete_class(REVIEWED)
    bench.wait_class_gone(REVIEWED)


def checked(bench: Bench, revision: str) -> Any:  # noqa: ANN401 - a member of a status
    """Wait for the run of a revision; returns it."""

    def is_checked(obj: Object) -> bool:
        run: Mapping[str, Any] = obj.get("status", {}).get("checks", {})
        return run.get("revision") == revision

    return bench.wait("pr", is_checked, what=f"checked at {revision}")["status"]["checks"]


@pytest.mark.settings(None)
def test_load_comes_from_a_job_and_is_compared_with_the_previous_revision_and_shown_by_variant(
    reviewed: Bench, github: GitHubClient
) -> None:
    bench, revisions = reviewed, [sha_of("first"), sha_of("second")]
    github.open(REPOSITORY, revisions[0], number=42)
    # More than a loaded machine ever needs: what is to be seen is the way of the figures, not that they are good.
    load = {"rate": 10, "duration": "2s", "warmUp": 1, "base": {"previousRevision": True}, "p50RatioToBase": 100.0}
    check = {"name": "steady", "request": {"body": "{}"}, "load": load}
    variants = [{"name": name, "weight": 1, "model": {"environment": {"SAY": ANSWER}}} for name in "ab"]
    serving = {"serverless": {"maxConcurrency": 100}, "variants": variants}
    for revision in revisions:
        source = {"repository": REPOSITORY, "pullRequest": 42, "revision": revision}
        bench.apply("pr", bench.spec(className=REVIEWED, source=source, serving=serving, checks=[check]))
        run = checked(bench, revision)
        if revision == revisions[0]:
            github.push(REPOSITORY, 42, revisions[1])
    [result] = run["results"]
    assert result["outcome"] == "Passed", result
    assert result["load"]["base"]["revision"] == revisions[0]
    assert {each["name"] for each in result["load"]["variants"]} == {"a", "b"}

    def text() -> str:
        return "\n".join(each["body"] for each in github.seen(REPOSITORY, 42).comments)

    wanted = ("| variant `a` |", "| variant `b` |", f"| the previous revision at `{revisions[0][:7]}` |")
    eventually(lambda: all(each in text() for each in wanted), "the figures in the comment")
