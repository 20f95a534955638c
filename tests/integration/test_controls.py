"""What people ask of single objects, on real parts."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from kubernetes import client
from tests.fixtures.operator import WATCHFUL, Bench, OperatorProcess, wait_reconciled
from tests.fixtures.waiting import eventually
from tests.integration.test_lifecycle import created_at, expiring_in
from tests.integration.test_sweep import MERGE_PATCH, SWEEPING, metric, swept, tear_off, wait_contents, wait_swept

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.workbench import condition
from ephemeral_endpoints.api import ABANDON_ANNOTATION, GROUP, RECONCILE_AT_ANNOTATION, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT
from ephemeral_endpoints.engine.tags import EXPIRES_AT, RETAIN

DENIED = FaultError(code="AccessDeniedException", message="not you")
WRITER = "writer"
RETAINING = {"deletionPolicy": "Retain"}


def annotate(bench: Bench, name: str, annotation: str, value: str) -> None:
    body = {"metadata": {"annotations": {annotation: value}}}
    bench.objects.patch_namespaced_custom_object(
        GROUP, VERSION, bench.namespace, ENDPOINT.plural, name, body, _content_type=MERGE_PATCH
    )


def alarms(bench: Bench) -> list[str]:
    return bench.left().get("Alarm", [])


def function_tags(bench: Bench) -> dict[str, str]:
    lambda_ = bench.aws("lambda")
    [function] = lambda_.list_functions()["Functions"]
    return dict(lambda_.list_tags(Resource=function["FunctionArn"])["Tags"])


@pytest.mark.settings(WATCHFUL)
def test_a_suspended_object_is_left_as_it_is_until_it_is_resumed_and_can_be_deleted(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    url = operator_process.resume()
    bench.apply("pr", bench.spec())
    ready = bench.wait_ready("pr")
    bench.wait_throttle()
    bench.apply("pr", bench.spec(suspend=True))
    bench.wait_condition("pr", "Reconciling", reason="Suspended")
    bench.aws("cloudwatch").delete_alarms(AlarmNames=alarms(bench))
    bench.control.reset_meter()
    bench.apply("pr", bench.spec(suspend=True, monitoring={"logRetentionDays": 30}))
    listed = metric(url, "eep_aws_calls_total", operation="DescribeAlarms")
    eventually(
        lambda: metric(url, "eep_aws_calls_total", operation="DescribeAlarms") >= listed + 2,
        "two snapshots",
    )
    assert bench.mutations() == []
    answer = bench.call(ready["status"]["url"], b"{}", token=bench.token("pr"))
    assert answer.ok, "what serves goes on serving"

    bench.apply("pr", bench.spec(monitoring={"logRetentionDays": 30}))
    bench.wait_ready("pr")
    assert len(alarms(bench)) == 2
    assert {group.get("retentionInDays") for group in bench.log_groups()} == {30}

    bench.apply("pr", bench.spec(suspend=True))
    bench.wait_condition("pr", "Reconciling", reason="Suspended")
    bench.delete("pr")
    bench.wait_gone("pr")
    bench.wait_empty()


def test_a_fresh_look_that_is_asked_for_repairs_at_once_and_forgets_failures(bench: Bench) -> None:
    bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    before = alarms(bench)
    bench.aws("cloudwatch").delete_alarms(AlarmNames=before)
    bench.control.add_faults(Fault(service="cloudwatch", operation="PutMetricAlarm", error=DENIED))
    annotate(bench, "pr", RECONCILE_AT_ANNOTATION, "first")
    bench.wait_condition("pr", "Monitored", reason="AccessDenied")
    bench.control.clear_faults()
    annotate(bench, "pr", RECONCILE_AT_ANNOTATION, "second")
    eventually(lambda: alarms(bench) == before, "repaired")


@pytest.mark.settings(SWEEPING)
def test_an_abandoned_object_goes_and_the_sweep_takes_what_it_left(bench: Bench) -> None:
    made = bench.apply("pr", bench.spec())
    bench.wait_ready("pr")
    bench.control.add_faults(Fault(service="lambda", operation="DeleteFunction", error=DENIED))
    bench.delete("pr")
    eventually(lambda: set(bench.left()) <= {"Function", "LogGroup", "HttpApi"}, "what can go gone")
    assert bench.get("pr") is not None
    annotate(bench, "pr", ABANDON_ANNOTATION, "true")
    bench.wait_gone("pr")
    [reported] = [event for event in bench.events(made) if event.reason == "Abandoned"]
    assert reported.type == "Warning"
    [function] = bench.left()["Function"]
    assert f"Function {function}" in reported.message
    bench.control.clear_faults()
    wait_contents(bench, {})
    eventually(lambda: function in {line["resource"] for line in swept(bench)}, "the function in the log")


def refusal_for_a_writer(bench: Bench, name: str) -> str:
    """What the API server answers to somebody who may write objects and no more, and sets the annotation."""
    rbac = client.RbacAuthorizationV1Api(bench.objects.api_client)
    rule = {"apiGroups": [GROUP], "resources": [ENDPOINT.plural], "verbs": ["get", "patch", "delete"]}
    role: Any = {"metadata": {"name": WRITER}, "rules": [rule]}
    subject = {"kind": "User", "name": WRITER, "apiGroup": "rbac.authorization.k8s.io"}
    named = {"kind": "Role", "name": WRITER, "apiGroup": "rbac.authorization.k8s.io"}
    binding: Any = {"metadata": {"name": WRITER}, "roleRef": named, "subjects": [subject]}
    rbac.create_namespaced_role(bench.namespace, role)
    rbac.create_namespaced_role_binding(bench.namespace, binding)
    configuration = bench.objects.api_client.configuration
    api = client.ApiClient(configuration, header_name="Impersonate-User", header_value=WRITER)
    writer, body = client.CustomObjectsApi(api), {"metadata": {"annotations": {ABANDON_ANNOTATION: "true"}}}
    place = (GROUP, VERSION, bench.namespace, ENDPOINT.plural, name)
    answers = [""]

    def is_judged() -> bool:
        with pytest.raises(client.ApiException) as refused:
            writer.patch_namespaced_custom_object(*place, body, _content_type=MERGE_PATCH)
        answers.append(str(refused.value.body))
        return "cannot patch resource" not in answers[-1]  # until the API server has heard of the role

    eventually(is_judged, "an answer to the writer")
    return answers[-1]


@pytest.mark.settings(SWEEPING)
def test_many_abandoned_objects_stop_nobodys_sweep_and_only_who_has_the_right_abandons(bench: Bench) -> None:
    """An attack on the sweep: so many objects are released at once that it takes that for a mistake and stops."""
    elsewhere = f"{bench.namespace}-other"
    bench.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=elsewhere)))
    other = replace(bench, namespace=elsewhere)
    names = [f"pr-{number}" for number in range(6)]
    for name in names:
        bench.apply(name, bench.spec(lifecycle={"ttl": "5m"}))
    other.apply("dead", other.spec())
    for name in names:
        bench.wait_ready(name)
    other.wait_ready("dead")
    assert "lacks the verb abandon" in refusal_for_a_writer(bench, names[0])

    bench.control.add_faults(Fault(service="sagemaker", operation="DeleteEndpoint", error=DENIED))
    for name in names:
        annotate(bench, name, ABANDON_ANNOTATION, "true")
        bench.delete(name)
    for name in names:
        bench.wait_gone(name)
    assert len(bench.left()["Endpoint"]) == len(names) + 1
    tear_off(other, "dead")
    bench.control.clear_faults()
    wait_contents(bench, {})
    wanted = {(bench.namespace, name) for name in names}
    eventually(
        lambda: wanted <= {(line["namespace"], line["object_name"]) for line in swept(bench)}, "all owners in the log"
    )


def test_what_is_retained_serves_on_and_no_sweep_takes_it_until_it_is_given_up(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    made = bench.apply("pr", bench.spec(lifecycle=RETAINING))
    ready = bench.wait_ready("pr")
    token, everything = bench.token("pr"), bench.left()
    bench.delete("pr")
    bench.wait_gone("pr")
    assert bench.left() == everything
    [reported] = [event for event in bench.events(made) if event.reason == "Retained"]
    assert f"{RETAIN}=true" in reported.message
    assert function_tags(bench)[RETAIN] == "true"

    url = operator_process.run(SWEEPING)
    eventually(lambda: metric(url, "eep_aws_calls_total", operation="ListTagsForResource") > 0, "a sweep")
    listed = metric(url, "eep_aws_calls_total", operation="ListModels")
    eventually(lambda: metric(url, "eep_aws_calls_total", operation="ListModels") >= listed + 3, "rounds")
    assert bench.left() == everything
    assert metric(url, "eep_orphans") == 0
    answer = bench.call(ready["status"]["url"], b"{}", token=token)
    assert answer.ok, answer.text

    give_up(bench)
    operator_process.stop()  # that they stay is known for an hour
    operator_process.run(SWEEPING)
    wait_contents(bench, {})
    wait_swept(bench, made)


def give_up(bench: Bench) -> None:
    """Take off the tag that keeps what was retained."""
    keys = [RETAIN]
    lambda_, logs, cloudwatch, sagemaker = map(bench.aws, ("lambda", "logs", "cloudwatch", "sagemaker"))
    for function in lambda_.list_functions()["Functions"]:
        lambda_.untag_resource(Resource=function["FunctionArn"], TagKeys=keys)
    for group in bench.log_groups():
        logs.untag_resource(resourceArn=group["logGroupArn"], tagKeys=keys)
    for alarm in cloudwatch.describe_alarms()["MetricAlarms"]:
        cloudwatch.untag_resource(ResourceARN=alarm["AlarmArn"], TagKeys=keys)
    of_sagemaker = [
        *(each["ModelArn"] for each in sagemaker.list_models()["Models"]),
        *(each["EndpointConfigArn"] for each in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        *(each["EndpointArn"] for each in sagemaker.list_endpoints()["Endpoints"]),
    ]
    for arn in of_sagemaker:
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=keys)


def test_an_operator_that_is_killed_while_tagging_leaves_nothing_untagged(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    bench.apply("pr", bench.spec(lifecycle=RETAINING))
    bench.wait_ready("pr")
    everything = bench.left()
    bench.control.reset_meter()
    bench.control.add_faults(Fault(service="lambda", operation="TagResource", error=DENIED))
    bench.delete("pr")
    bench.wait_condition("pr", "Ready", reason="Retaining")
    operator_process.kill()
    assert bench.get("pr") is not None
    assert RETAIN not in function_tags(bench)
    bench.control.clear_faults()
    operator_process.run()
    bench.wait_gone("pr")
    assert bench.left() == everything
    assert function_tags(bench)[RETAIN] == "true"
    give_up(bench)
    operator_process.run(SWEEPING)
    wait_contents(bench, {})


def test_a_retained_tombstone_is_revived_with_tags_of_its_new_end(
    bench: Bench, operator_process: OperatorProcess
) -> None:
    labels = {"argocd.argoproj.io/instance": "previews"}
    made = bench.apply("pr", bench.spec(lifecycle=RETAINING), labels=labels)
    bench.wait_ready("pr")
    bench.wait_throttle()
    everything = bench.left()
    bench.apply("pr", bench.spec(lifecycle=RETAINING | expiring_in(1, created_at(made))), labels=labels)
    reported = bench.wait_condition("pr", "Ready", reason="Retained")
    assert condition(reported, "Reconciling")["status"] == "False"
    assert bench.left() == everything
    bench.control.reset_meter()
    wait_reconciled(operator_process.restart(), objects=1)
    assert bench.mutations() == []

    bench.apply("pr", bench.spec(lifecycle={"ttl": "50h"}), labels=labels)
    revived = bench.wait_ready("pr")
    tags = function_tags(bench)
    assert tags[RETAIN] == "false"
    assert datetime.fromisoformat(tags[EXPIRES_AT]) == datetime.fromisoformat(revived["status"]["expiresAt"])


def test_a_class_works_by_the_role_that_it_names_and_one_that_cannot_disturbs_no_other(bench: Bench) -> None:
    account, name = bench.platform.account, f"role-{bench.namespace}"
    bench.make_class(name, assumeRole={"roleArn": f"arn:aws:iam::{account}:role/operator", "externalId": "eep"})
    bench.control.reset_meter()
    bench.apply("mine", bench.spec(className=name))
    bench.wait_ready("mine")
    assert bench.control.calls()["sts"]["AssumeRole"] == 1
    bench.delete("mine")
    bench.wait_gone("mine")
    bench.delete_class(name)
    bench.wait_class_gone(name)

    denied = FaultError(code="AccessDenied", message="User: operator is not authorized")
    bench.control.add_faults(Fault(service="sts", operation="AssumeRole", error=denied))
    other = f"denied-{bench.namespace}"
    bench.make_class(other, assumeRole={"roleArn": f"arn:aws:iam::{account}:role/other"})
    bench.apply("far", bench.spec(className=other))
    far = bench.wait_condition("far", "Ready", reason="AccessDenied")
    assert "spec.assumeRole.roleArn" in condition(far, "Ready")["message"]
    bench.apply("near", bench.spec())
    bench.wait_ready("near")
    bench.delete("far")
    bench.wait_gone("far")
    bench.delete_class(other)
    bench.wait_class_gone(other)
