"""With exactly the generated policies the whole life of objects of all kinds goes well, and with none less."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.fixtures.issuer import AUDIENCE, running_issuer
from tests.fixtures.operator import Bench, OperatorProcess
from tests.fixtures.waiting import eventually
from tests.integration.test_controls import give_up
from tests.integration.test_serving import ask
from tests.integration.test_sweep import SWEEPING, tear_off, wait_contents

from eep_platform import bootstrap
from eep_platform.aws import ministack
from eep_platform.aws.faults import Fault
from eep_platform.workbench import Object
from ephemeral_endpoints.deploy.policies import Policy, Principal, of
from ephemeral_endpoints.features.reaping.iam import RULES
from ephemeral_endpoints.features.training.iam import TRAINING

KEY = "operator"
FORWARDERS = ministack.ACCOUNT
"""The embedded Lambda has functions sign with the account's id."""

ELSEWHERE = f"arn:aws:iam::{ministack.ACCOUNT}:role/ephemeral-endpoints-operator"
BUCKET = "data"
SETTINGS = {**SWEEPING, "AWS_ACCESS_KEY_ID": KEY}
ECHO = Path(__file__).parent / "echo"

SERVERLESS: Mapping[str, Any] = {"serverless": {"maxConcurrency": 2}}
ON_INSTANCES: Mapping[str, Any] = {"instances": {"type": "ml.m5.large"}}
SCALED: Mapping[str, Any] = {"minCount": 1, "maxCount": 2, "invocationsPerInstance": 100}

SAMPLE: Mapping[str, Any] = {"name": "nothing", "request": "{}"}

FAILING = ("broken", "unbuildable")
SLOW = b"FROM python:3.11-slim\nRUN sleep 600\n"

NOT_IN_THE_STORY = {
    ("ChangeRepositories", "ecr:DeleteRepository"),  # the default class stays
    ("ChangeScaling", "application-autoscaling:DeleteScheduledAction"),  # what is scheduled goes with its target
    *(
        (sid, f"firehose:{action}")
        for sid, action in (
            ("ReadStreams", "DescribeDeliveryStream"),
            ("ReadStreams", "ListTagsForDeliveryStream"),
            ("CreateStreams", "CreateDeliveryStream"),
            ("CreateStreams", "TagDeliveryStream"),
            ("ChangeStreams", "DeleteDeliveryStream"),
            ("ChangeStreams", "UpdateDestination"),
        )
    ),  # nothing is captured
    *((sid, f"apigateway:{verb}") for sid, verb in (("MapDomains", "POST"), ("ChangeMappings", "PATCH"))),
    ("ChangeMappings", "apigateway:DELETE"),  # no class names a domain
    ("DeleteRouteSettings", "apigateway:DELETE"),  # no object gives up a throttle
    ("RetagApis", "apigateway:POST"),  # or has an API of its own
    ("PassDeliveryRole", "iam:PassRole"),
    # No class has a reaper.
    *((each.sid, action) for each in RULES for action in each.actions if each.sid != "ListRules"),
    ("ReadPrices", "pricing:GetProducts"),  # no class reads the Price List
    ("DeletePackageGroups", "sagemaker:DeleteModelPackageGroup"),  # the class allows no packages
    ("DeletePackages", "sagemaker:DeleteModelPackage"),
    ("ListPackages", "sagemaker:ListModelPackageGroups"),
    ("ListPackages", "sagemaker:ListModelPackages"),
    ("ReadPackageGroups", "sagemaker:ListTags"),
    ("ReadPackages", "sagemaker:DescribeModelPackage"),
    ("ServePackages", "sagemaker:CreateModel"),
    *((each.sid, action) for each in TRAINING for action in each.actions),  # nothing is trained
    ("GrantVolumeKeys", "kms:CreateGrant"),  # the classes name no keys
    ("ListReportsAndRecordings", "s3:ListBucket"),  # nothing is compared
    ("PassOtherExecutionRoles", "iam:PassRole"),  # and no other roles
    ("PublishNotifications", "sns:Publish"),  # nobody is notified
    ("ReadChosenRoles", "iam:GetRole"),
    ("ReadImages", "ecr:DescribeImageScanFindings"),  # the class minds no findings
    ("ReadLogs", "logs:GetLogEvents"),  # the endpoint that fails has no container that could say why
    ("ReadRecordings", "s3:GetObject"),
    ("UseTables", "dynamodb:BatchGetItem"),  # votes are counted once an hour
    ("WriteReports", "s3:GetObject"),
    ("WriteReports", "s3:PutObject"),
}
"""Used all the same, in tests/deploy/test_sufficient.py."""

NOT_ALWAYS_IN_THE_STORY = {
    ("ReadOwnRepositories", "ecr:ListTagsForResource"),
    ("ReadParameterTags", "ssm:ListTagsForResource"),
}
"""Used where the operator has not yet asked the index of tags whose the repository or the parameter is."""

WRITTEN_BY_LAMBDA = {("WriteLogs", "logs:CreateLogStream"), ("WriteLogs", "logs:PutLogEvents")}
"""The embedded Lambda writes the logs of functions without asking itself for permission."""

CAPTURED = {
    ("PutRecords", "firehose:PutRecord"),
    ("PutRecordsElsewhere", "firehose:PutRecord"),
    ("PutRecordsToKinesis", "kinesis:PutRecord"),
    ("PublishResults", "sns:Publish"),
}
"""Nothing is captured or published in the story."""

ENCRYPTED_BY_S3 = {("UseKeys", "kms:Decrypt"), ("UseKeys", "kms:GenerateDataKey")}
"""The embedded S3 asks for no permission to use a key."""

USED_IN_CHAINS = {("InvokePostprocessors", "sagemaker:InvokeEndpoint")}
"""The class lists no endpoints; tests/integration/test_chains.py has one that does."""


def cluster_of(bench: Bench) -> str:
    """The id that the operator derives for the cluster."""
    system: Any = bench.core.read_namespace("kube-system")
    return hashlib.sha256(system.metadata.uid.encode()).hexdigest()[:8]


def values(bench: Bench) -> dict[str, str]:
    return {
        "Region": bench.platform.region,
        "AccountId": bench.platform.account,
        "ClusterId": cluster_of(bench),
        "BuildProject": bootstrap.BUILD_PROJECT,
        "EventQueue": bootstrap.EVENT_QUEUE,
        "AssumedRole": ELSEWHERE,
        "DataBucket": BUCKET,
    }


@pytest.fixture
def held(bench: Bench, operator_process: OperatorProcess) -> Iterator[Bench]:
    """A bench whose operator, and whose forwarders, may do what is generated and nothing else."""
    given = values(bench)
    operator = [each.document(given) for each in of(Principal.OPERATOR)]
    bench.control.hold_to(KEY, operator)
    bench.control.hold_to(ELSEWHERE, [each.document(given) for each in of(Principal.OPERATOR)])
    bench.control.hold_to(FORWARDERS, [each.document(given) for each in of(Principal.FORWARDER)])
    operator_process.stop()
    for name in bench.contents().get("Repository", []):
        # One that another test has left: what makes it would not be seen to be needed.
        bench.aws("ecr").delete_repository(repositoryName=name, force=True)
    operator_process.run(SETTINGS)
    yield bench
    bench.control.release()
    bench.control.hold_tag_index(is_held=False)
    give_up(bench)
    operator_process.stop()
    operator_process.run(SETTINGS)


def commit(bench: Bench, dockerfile: bytes) -> dict[str, Any]:
    """The source of a new commit with that Dockerfile."""
    files = {"Dockerfile": dockerfile, "server.py": (ECHO / "server.py").read_bytes()}
    revision = bench.platform.git.push("acme/echo", bench.namespace, files, message="Echo")
    return {"repository": "acme/echo", "pullRequest": 8, "revision": revision}


def objects(bench: Bench) -> dict[str, dict[str, Any]]:
    """One of every kind."""
    scaled = {"instances": {"type": "ml.m5.large", "autoscaling": SCALED}}
    queue = {"s3Uri": f"s3://{BUCKET}/queue"}
    return {
        "plain": bench.spec(serving=SERVERLESS, compare={"with": {"endpoint": "scaled"}}, api={"samples": [SAMPLE]}),
        "scaled": bench.spec(serving=scaled, capture={"s3Uri": f"s3://{BUCKET}/captures"}, feedback={}),
        "queued": bench.spec(serving={**ON_INSTANCES, "asynchronous": queue}),
        "kept": bench.spec(serving=SERVERLESS, lifecycle={"deletionPolicy": "Retain"}),
        "built": {"source": commit(bench, (ECHO / "Dockerfile").read_bytes()), "model": {"build": {}}},
        "elsewhere": bench.spec(className=f"elsewhere-{bench.namespace}", serving=SERVERLESS),
        "broken": bench.spec(),
        "unbuildable": {"source": commit(bench, b"FROM scratch\nCOPY missing /\n"), "model": {"build": {}}},
    }


def all_ready(bench: Bench, names: Iterable[str]) -> dict[str, Object]:
    return {name: bench.wait_ready(name) for name in names}


def change(bench: Bench, specs: Mapping[str, dict[str, Any]]) -> None:
    """Another model behind one URL; schedules in place of a metric, on other instances; another end for one."""
    by_night = {
        "minCount": 1,
        "maxCount": 2,
        "schedule": [{"name": "night", "schedule": "cron(0 20 ? * * *)", "minCount": 1, "maxCount": 1}],
    }
    api = {"auth": {"type": "None"}, "samples": [SAMPLE]}
    other = {"model": bench.saying("other"), "lifecycle": {"ttl": "8h"}, "api": api}
    bench.apply("plain", specs["plain"] | other)
    scaled = {"serving": {"instances": {"type": "ml.m5.large", "autoscaling": by_night}}, "lifecycle": {"ttl": "8h"}}
    bench.apply("scaled", specs["scaled"] | scaled)
    pushed = {"source": {**specs["elsewhere"]["source"], "revision": "2" * 40}}
    bench.apply("elsewhere", {**specs["elsewhere"], **pushed, "lifecycle": {"ttl": "8h"}})


def spoil(bench: Bench) -> None:
    """What somebody does by hand, with the rights to, to what is of one object and its class."""
    gateway, ecr = bench.aws("apigatewayv2"), bench.aws("ecr")
    there = bench.contents()
    [function] = (name for name in there["Function"] if "-built-" in name)
    [api] = (each["ApiId"] for each in gateway.get_apis()["Items"])
    [integration] = (
        each["IntegrationId"]
        for each in gateway.get_integrations(ApiId=api)["Items"]
        if each["IntegrationUri"].endswith(function)
    )
    [route] = (
        each["RouteId"] for each in gateway.get_routes(ApiId=api)["Items"] if each["RouteKey"].endswith("/built")
    )
    gateway.update_integration(ApiId=api, IntegrationId=integration, Description="by hand")
    gateway.update_route(ApiId=api, RouteId=route, Target="integrations/elsewhere")
    bench.aws("lambda").update_function_configuration(FunctionName=function, MemorySize=1024)
    bench.aws("lambda").put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=3)
    bench.aws("cloudwatch").delete_alarms(AlarmNames=[f"{function}:latency"])
    bench.aws("logs").put_retention_policy(logGroupName=f"/aws/lambda/{function}", retentionInDays=365)
    [repository] = there["Repository"]
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE")
    ecr.put_image_scanning_configuration(repositoryName=repository, imageScanningConfiguration={"scanOnPush": False})


def is_mended(bench: Bench) -> bool:
    [repository] = bench.aws("ecr").describe_repositories(repositoryNames=bench.contents()["Repository"])[
        "repositories"
    ]
    effects = bench.effects()
    return (
        repository["imageTagMutability"] != "MUTABLE"
        and repository["imageScanningConfiguration"]["scanOnPush"]
        and all(effects[each] >= 2 for each in ("UpdateIntegration", "UpdateRoute", "UpdateFunctionConfiguration"))
        and effects["DeleteFunctionConcurrency"] >= 2  # the first with the object of the class that reserves
    )


def left_of(bench: Bench, *names: str) -> list[str]:
    """What is in AWS that has one of these names in its own."""
    bench.control.flush_sagemaker()
    found = (thing for things in bench.left().values() for thing in things)
    return [thing for thing in found if any(f"-{name}-" in thing or thing.endswith(f"/{name}") for name in names)]


def begin(bench: Bench) -> dict[str, dict[str, Any]]:
    """One object of every kind, of which two fail, and two calls of which the answers are lost; returns the others."""
    lost = [("sagemaker", "CreateModel"), ("lambda", "CreateFunction")]
    failing = {"*-broken-*": {"create_failure": "no capacity of this kind"}}
    bench.control.patch_sagemaker_settings({"overrides": failing})
    bench.control.add_faults(*(Fault(service=each[0], operation=each[1], answer_lost=True, times=1) for each in lost))
    bench.aws("s3").create_bucket(Bucket=BUCKET)
    bootstrap.event_queue(bench.aws("sqs"), bench.aws("events"))
    bench.make_class(
        f"elsewhere-{bench.namespace}",
        assumeRole={"roleArn": ELSEWHERE},
        events={"queueName": bootstrap.EVENT_QUEUE},
        routing={"reservedConcurrency": 5, "auth": {"jwt": {"issuer": running_issuer().url, "audiences": [AUDIENCE]}}},
        parameters={"prefix": "/previews"},
    )
    specs = objects(bench)
    for name, spec in specs.items():
        bench.apply(name, spec)
    return {name: spec for name, spec in specs.items() if name not in FAILING}


def vote(bench: Bench, obj: Object) -> None:
    """A vote, another one on the same answer, and the list of both."""
    url, token = f"{obj['status']['url']}/feedback", bench.token(obj["metadata"]["name"])
    id_ = ask(bench, obj).headers["eep-feedback-id"]

    def listed() -> requests.Response:
        return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    eventually(lambda: listed().status_code == 200, "the table, for which no object waits")
    for each in ("up", "down"):
        counted = bench.call(url, json.dumps({"id": id_, "vote": each}).encode(), token=token)
        assert counted.status_code == 200, counted.text
    assert listed().json()["counts"] == {"main": {"up": 0, "down": 1}}


def describe(bench: Bench, obj: Object) -> None:
    """What the URL says of itself, with the end that is in the status."""
    headers = {"Authorization": f"Bearer {bench.token(obj['metadata']['name'])}"}
    found = requests.get(f"{obj['status']['url']}/openapi.json", headers=headers, timeout=60).json()
    assert found["info"]["x-ephemeral-endpoint"]["expiresAt"] == obj["status"]["expiresAt"]


def compare(bench: Bench, obj: Object, base: Object) -> None:
    """The answer of the base, which names the base's commit."""
    url, token = f"{obj['status']['url']}/invocations", bench.token(obj["metadata"]["name"])
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "eep-target": "base"}
    answer = requests.post(url, "{}", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.headers["eep-revision"] == base["status"]["revision"][:12]


def fail(bench: Bench) -> None:
    """What fails says why, and is given up; so is a build that runs."""
    bench.wait_condition("broken", "EndpointReady", reason="EndpointFailed")
    bench.wait_condition("unbuildable", "ImageReady", reason="BuildFailed")
    builds = bench.effects()["StartBuild"]
    bench.apply("unbuildable", {**bench.spec(), "source": commit(bench, SLOW), "model": {"build": {}}})
    eventually(lambda: bench.effects()["StartBuild"] > builds, "another build")
    for name in FAILING:
        bench.delete(name)
    for name in FAILING:
        bench.wait_gone(name)


def live(bench: Bench, operator_process: OperatorProcess) -> None:
    """The whole life: made, called, changed, spoiled and mended, forgotten, retained, deleted."""
    specs = begin(bench)
    ready = all_ready(bench, specs)
    for name, obj in ready.items():
        assert ask(bench, obj).status_code == (202 if name == "queued" else 200), name
    vote(bench, ready["scaled"])
    describe(bench, ready["plain"])
    compare(bench, ready["plain"], ready["scaled"])
    fail(bench)
    change(bench, specs)
    all_ready(bench, specs)
    for name in ("elsewhere", "kept"):
        bench.delete(name)
    for name in ("elsewhere", "kept"):
        bench.wait_gone(name)
    bench.delete_class(f"elsewhere-{bench.namespace}")
    bench.wait_class_gone(f"elsewhere-{bench.namespace}")
    give_up(bench)
    operator_process.stop()
    tear_off(bench, "scaled")
    spoil(bench)
    # A new process has proof of nothing, and the index knows nothing yet: it asks for the tags of all that it changes.
    bench.control.hold_tag_index()
    operator_process.run(SETTINGS)
    eventually(lambda: is_mended(bench), "all mended")
    eventually(lambda: not left_of(bench, "kept", "scaled"), "orphans swept")
    rest = specs.keys() - {"elsewhere", "kept", "scaled"}
    for name in rest:
        bench.delete(name)
    for name in rest:
        bench.wait_gone(name)
    wait_contents(bench, {})


def test_the_whole_life_of_objects_of_every_kind_needs_what_is_granted_and_nothing_more(
    held: Bench, operator_process: OperatorProcess
) -> None:
    live(held, operator_process)
    operator, assumed, forwarders = map(held.control.permissions, (KEY, ELSEWHERE, FORWARDERS))
    assert operator.denied + assumed.denied + forwarders.denied == []
    used = {(use.sid, use.action) for use in operator.used | assumed.used if use.needed}
    assert {*granted(of(Principal.OPERATOR))} - used - NOT_ALWAYS_IN_THE_STORY == NOT_IN_THE_STORY
    of_forwarders = {(use.sid, use.action) for use in forwarders.used if use.needed}
    left = WRITTEN_BY_LAMBDA | ENCRYPTED_BY_S3 | USED_IN_CHAINS | CAPTURED
    assert {*granted(of(Principal.FORWARDER))} - of_forwarders == left


def granted(policies: Iterable[Policy]) -> Iterator[tuple[str, str]]:
    return ((row.sid, action) for each in policies for row in each.statements for action in row.actions)
