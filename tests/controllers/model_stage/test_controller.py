"""Stages on the embedded registry; what becomes of their endpoints is said by the tests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from tests.controllers.endpoint.test_publication import publish
from tests.controllers.endpoint.test_pull_requests import put_image
from tests.controllers.environment import IMAGE, Environment, Object
from tests.features.notifications.test_delivery import subscribed
from tests.fixtures.github import REPOSITORY
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from ephemeral_endpoints.api import APPROVED_BY_ANNOTATION, APPROVED_VERSION_ANNOTATION, RECONCILE_AT_ANNOTATION
from ephemeral_endpoints.api.kinds import ENDPOINT, PROMOTION, STAGE
from ephemeral_endpoints.features.reviews.github.limits import Budget
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key, stage_key
from ephemeral_endpoints.kube.secrets import OwnSecrets

NAMESPACE = "nlp"
CHECK = {"name": "answers", "request": {"body": "{}"}}


@dataclass
class Stages:
    """Stages of a class, a registry, and the endpoints of stages by their statuses alone."""

    env: Environment
    aws: Aws
    count: int = 0

    def make(self, name: str, **spec: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
        given = {
            "className": "default",
            "repository": "acme/wine",
            "source": {"group": "wine"},
            "promotion": "Auto",
            "template": {"spec": {}},
            **spec,
        }
        self.env.api.put("ModelStage", NAMESPACE, name, given)
        return stage_key(NAMESPACE, name)

    def ask(self, name: str, stage: str, **spec: object) -> ObjectKey:
        """A promotion that a person makes."""
        self.env.api.put("ModelPromotion", NAMESPACE, name, {"stage": stage, **spec})
        return ObjectKey(PROMOTION.name, NAMESPACE, name)

    def register(self, approval: str = "Approved") -> str:
        sagemaker = self.aws.client("sagemaker")
        self.count += 1
        if self.count == 1:
            put_image(self.aws)
            sagemaker.create_model_package_group(ModelPackageGroupName="wine")
        made = sagemaker.create_model_package(
            ModelPackageGroupName="wine",
            InferenceSpecification={
                "Containers": [{"Image": IMAGE}],
                "SupportedContentTypes": ["application/json"],
            },
            ModelApprovalStatus=approval,
            CustomerMetadataProperties={"revision": str(self.count) * 40},
        )
        return str(made["ModelPackageArn"])

    async def judge(self, arn: str, approval: str) -> None:
        self.aws.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus=approval)
        await self.look()

    async def look(self) -> None:
        """Have all stages read the registry afresh."""
        for key in [each for each in self.env.api.kept if each.kind == STAGE.name]:
            self.env.api.change(key, {"metadata": {"annotations": {RECONCILE_AT_ANNOTATION: str(self.env.api.writes)}}})
        await self.env.rest()

    def version(self, stage: str) -> int:
        """The version that the spec of a stage's endpoint names; 0 if there is no endpoint."""
        endpoint = self.env.api.kept.get(endpoint_key(NAMESPACE, stage))
        return int(endpoint["spec"]["model"]["package"]["version"]) if endpoint else 0

    async def becomes(self, stage: str, *, failure: str = "", checks: str = "") -> None:
        """What the operator reports of a stage's endpoint."""
        key = endpoint_key(NAMESPACE, stage)
        await self.env.until(lambda: key in self.env.api.kept, "an endpoint")
        raw = self.env.api.kept[key]
        types = {"Ready": "False" if failure else "True", "Stalled": "True" if failure else "False"}
        types |= {"ChecksPassed": checks} if checks else {}
        reasons = {"Ready": failure or "Serving", "Stalled": failure or "NotStalled", "ChecksPassed": "ChecksFailed"}
        made = [
            {
                "type": type_,
                "status": status,
                "reason": reasons[type_],
                "message": "said by the test",
                "observedGeneration": raw["metadata"]["generation"],
                "lastTransitionTime": "2026-12-01T12:00:00Z",
            }
            for type_, status in types.items()
        ]
        status = {"conditions": made, "revision": raw["spec"]["source"]["revision"], "url": f"https://{stage}"}
        self.env.api.change(key, {"status": status})
        await self.env.rest()
        self.env.operator.enqueue(stage_key(NAMESPACE, stage))
        await self.env.rest()

    def status(self, stage: str) -> Mapping[str, Any]:
        found: Object = self.env.api.kept[stage_key(NAMESPACE, stage)]["status"]
        return found

    def outcomes(self, stage: str) -> list[str]:
        """The history of a stage in words, the newest first."""
        return [f"{each['version']} {each['outcome']}" for each in self.status(stage).get("history", [])]

    async def state(self, stage: str, reason: str) -> str:
        return await self.env.reason(stage_key(NAMESPACE, stage), reason, "Promoted")


async def _nothing(_: ObjectKey) -> float | None:
    return None


@pytest.fixture
async def stages(env: Environment, fresh_aws: Aws) -> Stages:
    env.api.change(class_key("default"), {"spec": {"stages": {"allowed": True}, "packages": {"groups": ["wine"]}}})
    # The tests say what becomes of endpoints.
    env.operator.reconcilers = {**env.operator.reconcilers, ENDPOINT.name: _nothing}
    return Stages(env, fresh_aws)


async def test_an_approved_version_serves_and_the_stage_tells_the_story(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    await stages.state("staging", "Promoting")
    child = stages.env.api.kept[endpoint_key(NAMESPACE, "staging")]
    assert child["spec"]["model"]["package"] == {"group": "wine", "version": 1}
    assert child["spec"]["source"]["revision"] == "1" * 40
    (owner,) = child["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ModelStage", "staging", True)
    await stages.becomes("staging")
    await stages.state("staging", "Promoted")
    status = stages.status("staging")
    assert status["current"]["version"] == "wine/1"
    assert status["url"] == "https://staging"
    assert "candidate" not in status
    assert stages.outcomes("staging") == ["wine/1 Succeeded"]
    (promotion,) = (each for each in stages.env.api.kept.values() if each["kind"] == PROMOTION.name)
    conditions = {each["type"]: each["status"] for each in promotion["status"]["conditions"]}
    assert conditions == {"Approved": "True", "RolledOut": "True", "Verified": "True", "Complete": "True"}


async def test_an_endpoint_is_reconciled_once_its_stage_has_written_it(stages: Stages) -> None:
    """The watch, which comes later than the answer of the write, has no news of it."""
    reconciled: list[ObjectKey] = []

    async def note(key: ObjectKey) -> None:
        reconciled.append(key)

    stages.env.operator.reconcilers = {**stages.env.operator.reconcilers, ENDPOINT.name: note}
    stages.register()
    stages.make("staging")
    await stages.state("staging", "Promoting")
    await stages.env.until(lambda: endpoint_key(NAMESPACE, "staging") in reconciled, "the endpoint reconciled")


async def test_at_rest_nothing_is_written_and_nothing_is_called(stages: Stages) -> None:
    stages.register()
    key = stages.make("staging")
    await stages.becomes("staging")
    await stages.state("staging", "Promoted")
    await stages.env.rest()
    writes = stages.env.api.writes
    stages.aws.control.reset_meter()
    await stages.env.refresh(key)
    assert stages.env.api.writes == writes
    assert not stages.aws.control.log()


async def test_production_waits_for_a_person_while_staging_goes_on(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    key = stages.make("production", source={"from": {"stage": "staging"}}, promotion="Manual")
    await stages.state("production", "NothingToPromote")
    await stages.becomes("staging")
    message = await stages.state("production", "AwaitingApproval")
    assert "wine/1" in message
    assert stages.status("production")["candidate"] == "wine/1"
    assert stages.version("production") == 0
    approval = {APPROVED_VERSION_ANNOTATION: "wine/1", APPROVED_BY_ANNOTATION: "anna"}
    stages.env.api.change(key, {"metadata": {"annotations": approval}})
    await stages.becomes("production")
    await stages.state("production", "Promoted")
    assert stages.status("production")["history"][0]["by"] == "anna"


async def test_an_approver_is_told_what_waits(stages: Stages) -> None:
    topic, url = subscribed(stages.aws, "ephemeral-endpoints-approvals")
    target = {"name": "approvers", "topic": {"arn": topic}, "events": ["AwaitingApproval"]}
    stages.env.api.change(class_key("default"), {"spec": {"notifications": {"targets": [target]}}})
    stages.register("PendingManualApproval")
    stages.make("production", promotion="Manual")
    told: list[dict[str, str]] = []

    def is_told() -> bool:
        found = stages.aws.client("sqs").receive_message(QueueUrl=url).get("Messages", [])
        told.extend(json.loads(each["Body"]) for each in found)
        return bool(told)

    await stages.env.until(is_told, "a notification")
    assert told[0]["Subject"] == "nlp/production waits for an approval of wine/1"
    assert "eep stage approve production wine/1 -n nlp" in told[0]["Message"]


async def test_a_bad_version_goes_back_and_pins_until_a_person_promotes(stages: Stages) -> None:
    stages.register()
    stages.make("staging", template={"spec": {"checks": [CHECK]}})
    await stages.becomes("staging", checks="True")
    stages.register()
    await stages.look()
    assert stages.version("staging") == 2
    await stages.becomes("staging", checks="False")
    await stages.state("staging", "StagePinned")
    assert stages.version("staging") == 1
    assert stages.status("staging")["pinnedTo"] == "wine/1"
    assert stages.outcomes("staging") == ["wine/2 RolledBack", "wine/1 Succeeded"]
    stages.register()
    await stages.look()
    assert stages.version("staging") == 1, "nothing is promoted by itself"
    stages.ask("by-hand", "staging", version="wine/3")
    await stages.env.rest()
    assert stages.version("staging") == 3
    await stages.becomes("staging", checks="True")
    await stages.state("staging", "Promoted")
    assert "pinnedTo" not in stages.status("staging")


async def test_a_version_that_does_not_start_goes_back(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    await stages.becomes("staging")
    stages.register()
    await stages.look()
    await stages.becomes("staging", failure="RolledBack")
    assert stages.version("staging") == 1
    assert "RolledBack" in await stages.state("staging", "StagePinned")


async def test_a_rejection_goes_back_to_what_is_approved_or_serves_on(stages: Stages) -> None:
    first = stages.register()
    stages.make("staging")
    await stages.becomes("staging")
    second = stages.register()
    await stages.look()
    await stages.becomes("staging")
    await stages.judge(second, "Rejected")
    assert stages.version("staging") == 1
    await stages.becomes("staging")
    await stages.state("staging", "StagePinned")
    await stages.judge(first, "Rejected")
    await stages.state("staging", "RejectedButServing")
    assert stages.version("staging") == 1


async def test_a_freeze_and_suspend_stop_promotions_and_no_rollback(stages: Stages) -> None:
    stages.register()
    key = stages.make("staging")
    await stages.becomes("staging")
    stages.register()
    await stages.look()
    await stages.becomes("staging")
    always = {"hours": ["Mon-Sun 00:00-24:00"]}
    stages.env.api.change(key, {"spec": {"suspend": True, "freeze": always}})
    stages.register()
    await stages.look()
    await stages.state("staging", "PromotionSuspended")
    stages.env.api.change(key, {"spec": {"suspend": False}})
    await stages.state("staging", "Frozen")
    assert stages.version("staging") == 2
    stages.ask("back", "staging", kind="Rollback")
    await stages.env.rest()
    assert stages.version("staging") == 1


async def test_a_rollback_ends_the_promotion_that_runs(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    await stages.becomes("staging")
    stages.register()
    await stages.look()
    assert stages.version("staging") == 2
    stages.ask("back", "staging", kind="Rollback", message="latency")
    await stages.env.rest()
    assert stages.version("staging") == 1
    await stages.becomes("staging")
    assert stages.outcomes("staging") == ["wine/1 Succeeded", "wine/2 Superseded", "wine/1 Succeeded"]
    assert "latency" in stages.status("staging")["history"][0]["message"]


@pytest.mark.parametrize(
    ("spec", "of_class", "reason", "why"),
    [
        ({}, {"stages": {"allowed": False}}, "StagesNotAllowed", "the class has no stages"),
        ({"className": "other"}, {}, "StageInvalid", "there is no such class"),
        ({"freeze": {"hours": ["Fri 16:00-24:00"], "timeZone": "No/Where"}}, {}, "StageInvalid", "no such time zone"),
    ],
)
async def test_a_stage_that_cannot_be_says_whom_to_ask(
    stages: Stages, spec: dict[str, Any], of_class: dict[str, Any], reason: str, why: str
) -> None:
    stages.register()
    stages.env.api.change(class_key("default"), {"spec": of_class})
    key = stages.make("staging", **spec)
    await stages.env.reason(key, reason, "Stalled")
    assert stages.version("staging") == 0, why


async def test_a_right_that_is_withdrawn_takes_nothing_down(stages: Stages) -> None:
    stages.register()
    key = stages.make("staging")
    await stages.becomes("staging")
    await stages.state("staging", "Promoted")
    stages.env.api.change(class_key("default"), {"spec": {"stages": {"allowed": False}}})
    await stages.env.reason(key, "StagesNotAllowed", "Stalled")
    assert stages.version("staging") == 1
    assert stages.status("staging")["current"]["version"] == "wine/1"
    assert stages.outcomes("staging") == ["wine/1 Succeeded"]


async def test_an_endpoint_of_somebody_else_is_left_alone(stages: Stages) -> None:
    stages.register()
    other = stages.env.make("staging")
    before = stages.env.api.kept[other]
    key = stages.make("staging")
    await stages.env.reason(key, "StageNameTaken", "Stalled")
    assert stages.env.api.kept[other] == before


async def test_a_registry_that_is_denied_stops_promotions_alone(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    await stages.becomes("staging")
    stages.register()
    await stages.look()
    await stages.becomes("staging")
    denied = FaultError(code="AccessDeniedException", message="not you", status=403)
    stages.aws.control.add_faults(Fault(service="sagemaker", operation="ListModelPackages", error=denied))
    await stages.look()
    await stages.state("staging", "RegistryUnavailable")
    stages.ask("back", "staging", kind="Rollback")
    await stages.env.rest()
    assert stages.version("staging") == 1


@pytest.mark.parametrize(
    ("spec", "reason", "why"),
    [
        ({"stage": "staging", "version": "wine/9"}, "Refused", "a version that is gone"),
        ({"stage": "staging", "kind": "Rollback"}, "Refused", "nothing served before"),
        ({"stage": "nowhere", "version": "wine/1"}, "StageNotFound", "a stage that does not exist"),
    ],
)
async def test_promotions_that_cannot_begin_say_so(stages: Stages, spec: dict[str, Any], reason: str, why: str) -> None:
    stages.register()
    stages.make("staging")
    await stages.becomes("staging")
    key = stages.ask("asked", **spec)
    assert await stages.env.reason(key, reason, "Complete"), why
    assert stages.outcomes("staging") == ["wine/1 Succeeded"], "it never began"


async def test_a_bypass_is_told_in_an_event(stages: Stages) -> None:
    stages.register("PendingManualApproval")
    stages.make("staging")
    await stages.state("staging", "NothingToPromote")
    stages.ask("now", "staging", version="wine/1", bypassApproval=True, requestedBy="anna")
    await stages.becomes("staging")
    (event,) = {each.message for each in stages.env.api.events if each.reason == "ApprovalBypassed"}
    assert event == "anna promotes wine/1 to staging without an approval"
    assert stages.status("staging")["history"][0]["by"] == "anna"


async def test_two_stages_of_one_group_do_not_wait_for_each_other(stages: Stages) -> None:
    stages.register()
    for name in ("one", "two"):
        stages.make(name)
    await stages.becomes("one")
    await stages.state("one", "Promoted")
    assert stages.version("two") == 1
    await stages.state("two", "Promoting")


async def test_a_stage_that_goes_leaves_its_promotion_alone(stages: Stages) -> None:
    stages.register()
    key = stages.make("staging")
    await stages.state("staging", "Promoting")
    stages.env.api.remove(key)
    await stages.env.rest()
    writes = stages.env.api.writes
    stages.env.operator.enqueue(key)
    await stages.env.rest()
    assert stages.env.api.writes == writes


async def test_an_operator_that_starts_anew_goes_on_with_what_runs(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    await stages.becomes("staging")
    stages.register()
    await stages.look()
    await stages.env.restart()
    stages.env.operator.reconcilers = {**stages.env.operator.reconcilers, ENDPOINT.name: _nothing}
    await stages.becomes("staging")
    await stages.state("staging", "Promoted")
    assert stages.outcomes("staging") == ["wine/2 Succeeded", "wine/1 Succeeded"]


async def test_only_so_many_promotions_are_kept(stages: Stages) -> None:
    stages.register()
    stages.make("staging", historyLimit=1)
    await stages.becomes("staging")
    stages.register()
    await stages.look()
    await stages.becomes("staging")
    await stages.state("staging", "Promoted")
    kept = [each for each in stages.env.api.kept if each.kind == PROMOTION.name]
    assert [stages.env.api.kept[each]["spec"]["version"] for each in kept] == ["wine/2"]
    assert stages.outcomes("staging") == ["wine/2 Succeeded", "wine/1 Succeeded"]


async def test_a_version_is_watched_before_it_goes_on(stages: Stages) -> None:
    stages.register()
    stages.make("staging")
    key = stages.make("production", source={"from": {"stage": "staging", "verifiedFor": "1h"}})
    await stages.becomes("staging")
    await stages.state("production", "Soaking")
    stages.env.ahead = timedelta(hours=2)
    await stages.env.refresh(key)
    assert stages.version("production") == 1


def granted_to(github: EmbeddedGitHub, *namespaces: str) -> dict[str, Any]:
    grants = [{"repository": REPOSITORY, "namespaces": [*namespaces]}]
    return {"spec": {"reviews": {"url": github.url, "secretName": "github", "repositories": grants}}}


@pytest.fixture
async def shown(stages: Stages, github: EmbeddedGitHub, monkeypatch: pytest.MonkeyPatch) -> Stages:
    """Stages of a class that publishes at ``github``, without pauses between its writes. It has their commits."""
    token = github.add_token("ada").encode()

    async def data(_: OwnSecrets, name: str) -> Mapping[str, bytes]:
        assert name == "github"
        return {"token": token}

    monkeypatch.setattr(OwnSecrets, "data", data)
    monkeypatch.setattr(Budget, "write_due", lambda _self, _account, _repository, now: now)
    github.open(REPOSITORY, "1" * 40, number=1)
    github.push(REPOSITORY, 1, "2" * 40)
    stages.env.api.change(class_key("default"), granted_to(github, NAMESPACE))
    return stages


def deployed(github: EmbeddedGitHub) -> dict[str, list[str]]:
    """The states of each version's deployment, the oldest first."""
    found = github.seen(REPOSITORY, 1).deployments
    versions = [each["payload"]["ephemeral-endpoints.io"]["version"] for each in found]
    assert len(set(versions)) == len(versions), "a version has one deployment"
    states = [[one["state"] for one in each["statuses"]] for each in found]
    return dict(zip(versions, states, strict=True))


async def test_the_versions_of_a_stage_are_deployments_of_their_commits(shown: Stages, github: EmbeddedGitHub) -> None:
    first = shown.register("PendingManualApproval")
    key = shown.make("production", promotion="Manual")
    await shown.state("production", "AwaitingApproval")
    await publish(shown.env)
    assert deployed(github) == {"wine/1": ["queued"]}
    await shown.judge(first, "Approved")
    await publish(shown.env)
    await shown.becomes("production")
    await publish(shown.env)
    assert deployed(github) == {"wine/1": ["queued", "in_progress", "success"]}
    (deployment,) = github.seen(REPOSITORY, 1).deployments
    assert (deployment["sha"], deployment["environment"]) == ("1" * 40, "production")
    assert (deployment["transient_environment"], deployment["production_environment"]) == (False, True)
    assert deployment["statuses"][-1]["environment_url"] == "https://production"
    message = await shown.env.reason(key, "Shown", "Published")
    assert message == "shown as deployments to production of acme/wine"

    shown.register()
    await shown.look()
    await publish(shown.env)
    await shown.becomes("production", failure="RolledBack")
    await publish(shown.env)
    expected = {"wine/1": ["queued", "in_progress", "success"], "wine/2": ["in_progress", "failure"]}
    assert deployed(github) == expected, "what serves stays a success"

    await shown.env.restart()
    shown.env.operator.reconcilers = {**shown.env.operator.reconcilers, ENDPOINT.name: _nothing}
    await shown.env.rest()
    github.forget_calls()
    await shown.env.refresh(key)
    await publish(shown.env)
    assert not [each["path"] for each in github.log() if "deployments/" in each["path"]], "what is there is remembered"
    assert (github.writes(), deployed(github)) == ([], expected)

    shown.env.api.remove(key)
    await shown.env.rest()
    await publish(shown.env)
    assert [states[-1] for states in deployed(github).values()] == ["inactive", "inactive"]


async def test_a_newer_version_and_the_way_back_move_the_deployments(shown: Stages, github: EmbeddedGitHub) -> None:
    for _ in range(2):
        shown.register()
        if shown.count == 1:
            shown.make("staging")
        await shown.look()
        await shown.becomes("staging")
        await publish(shown.env)
    assert {version: states[-1] for version, states in deployed(github).items()} == {
        "wine/1": "inactive",
        "wine/2": "success",
    }
    shown.ask("back", "staging", kind="Rollback")
    await shown.env.rest()
    await shown.becomes("staging")
    await publish(shown.env)
    assert {version: states[-1] for version, states in deployed(github).items()} == {
        "wine/1": "success",
        "wine/2": "inactive",
    }


async def test_a_repository_that_the_class_grants_no_longer_shows_nothing_new(
    shown: Stages, github: EmbeddedGitHub
) -> None:
    shown.register()
    key = shown.make("staging")
    await shown.becomes("staging")
    await publish(shown.env)
    assert deployed(github)["wine/1"][-1] == "success"
    shown.env.api.change(class_key("default"), granted_to(github, "other"))
    github.forget_calls()
    shown.register()
    await shown.look()
    await shown.becomes("staging")
    await shown.env.reason(key, "RepositoryNotGranted", "Published")
    assert shown.version("staging") == 2, "it is promoted all the same"
    shown.env.api.remove(key)
    await shown.env.rest()
    await publish(shown.env)
    assert github.writes() == []


async def test_a_commit_that_the_repository_does_not_have_is_said_and_asked_for_seldom(
    shown: Stages, github: EmbeddedGitHub
) -> None:
    for _ in range(3):
        shown.register()
    key = shown.make("staging")
    await shown.becomes("staging")
    await publish(shown.env)
    await shown.env.reason(key, "ForgeInvalid", "Published")
    github.forget_calls()
    await shown.look()
    await publish(shown.env)
    assert github.writes() == []
