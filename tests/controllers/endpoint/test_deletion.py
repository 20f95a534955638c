"""Nothing of an object stays on the bill: one with every feature, in every state, whatever goes first.

What the account holds is told by lists of the embedded AWS, not by the operator's inventory.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, Final

import pytest
from tests.aws.cloud import DOMAIN
from tests.controllers.endpoint.test_capture import POLICY as CAPTURE
from tests.controllers.endpoint.test_domains import make_domain
from tests.controllers.endpoint.test_publication import publish
from tests.controllers.endpoint.test_sleep import annotate
from tests.controllers.environment import Environment
from tests.controllers.orphans.deps import sweep_deps
from tests.engine.objects import merged
from tests.features.expiry.reaper.conftest import Reaper
from tests.features.training.test_step import REGISTRY, ROLE, Lab
from tests.fixtures.aws import CLUSTER
from tests.fixtures.github import REPOSITORY
from tests.fixtures.issuer import AUDIENCE, Issuer
from tests.fixtures.model_server import serving
from tests.fixtures.platform import Aws
from yarl import URL

from eep_platform.aws.contents import Contents, contents
from eep_platform.aws.faults import Fault, FaultError
from eep_platform.github.client import GitHubClient as EmbeddedGitHub
from ephemeral_endpoints.api import SLEEP_ANNOTATION, WAKE_ANNOTATION
from ephemeral_endpoints.controllers.orphans.runaway_sweep import RunawaySweep
from ephemeral_endpoints.controllers.orphans.sweep import Sweep
from ephemeral_endpoints.engine.clocks import Clocks
from ephemeral_endpoints.engine.errors import AwsError
from ephemeral_endpoints.engine.names import owner_hash
from ephemeral_endpoints.features.reviews.github.limits import Budget
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key, stage_key
from ephemeral_endpoints.kube.errors import Denied
from ephemeral_endpoints.kube.secrets import OwnSecrets

CLASS: Final = class_key("training")
REVISION: Final = "1" * 40
DENIED: Final = FaultError(code="AccessDeniedException", message="not you", status=400)
LOOK_SECONDS: Final = 0.05
PASSES_SECONDS: Final = 20.0
MOST_PASSES: Final = 100
"""By then the rest is swept, however long each pass takes."""

HELD: Final = 3600
WEEK: Final = timedelta(days=7)
REAPED: Final = timedelta(days=40)
"""When the reaper of a class has taken even its repository of images."""

LASTING: Final = frozenset({"ModelPackage", "ModelPackageGroup", "Pipeline"})
"""What trainings leave on purpose, and what costs nothing: the registry is a record."""

AT_WORK: Final = frozenset({"Build", "PipelineExecution", "ProcessingJob", "TrainingJob"})

FULL: Final[Mapping[str, Any]] = {
    "allowedExecutionRoleArns": [ROLE],
    "budgets": {"objectUSD": "25", "namespaceUSD": "500", "classUSD": "2000"},
    "builds": {"codeBuild": {"project": "previews"}, "allowTags": True},
    "capture": CAPTURE,
    "comparisons": {"reportsS3Uri": "s3://artifacts/reports"},
    "lifecycle": {"defaultTtl": "72h"},
    "limits": {"objectsPerNamespace": 10},
    "parameters": {"prefix": "/ml/previews"},
    "results": {"topicArn": "arn:aws:sns:us-east-1:000000000000:predictions"},
    "routing": {
        "allowDedicated": True,
        "domain": {"name": DOMAIN},
        "reservedConcurrency": 5,
    },
    "sleep": {"wakeOn": "Command"},
    "stages": {"allowed": True},
}
ALL: Final[Mapping[str, Any]] = {
    "api": {
        "auth": {"type": "JWT"},
        "throttle": {"rateLimit": 5, "burstLimit": 5},
        "samples": [{"name": "one", "request": "{}"}],
    },
    "capture": {},
    "checks": [{"name": "answers", "sample": "one", "load": {"rate": 1}}],
    "compare": {"with": {"previousRevision": True}},
    "feedback": {},
    "lifecycle": {"budgetUSD": "20"},
    "monitoring": {"alarms": {"latencyMs": 2000}},
    "results": {"includeRequest": True},
}
"""Every feature that an object may have whatever it is served by."""

PROVISIONED: Final = {"serverless": {"memorySizeMB": 1024, "maxConcurrency": 2, "provisionedConcurrency": 1}}
SCALED: Final = {
    "instances": {
        "type": "ml.m5.large",
        "autoscaling": {
            "minCount": 1,
            "maxCount": 2,
            "invocationsPerInstance": 100,
            "schedule": [{"name": "night", "schedule": "cron(0 20 ? * * *)", "minCount": 1, "maxCount": 1}],
        },
    },
    "rollout": {"strategy": "Canary"},
}
QUEUED: Final = {
    "instances": {
        "type": "ml.m5.large",
        "autoscaling": {"minCount": 0, "maxCount": 2, "backlogPerInstance": 5},
    },
    "asynchronous": {"s3Uri": "s3://artifacts/answers"},
}


@dataclass
class Home:
    """An account that is empty but for what a class needs, and the object of which nothing may stay."""

    env: Environment
    aws: Aws
    lab: Lab
    reaper: Reaper
    keys: list[ObjectKey] = field(default_factory=list)
    """What people would delete, in their order."""

    sweeps: bool = False
    passes: int = 0
    """How often time has passed."""

    @property
    def key(self) -> ObjectKey:
        return self.keys[-1]

    def make(self, **spec: Any) -> ObjectKey:  # noqa: ANN401 - members of a spec
        """An object with all features."""
        given = merged({**ALL, "className": CLASS.name, "source": self.source}, spec)
        key = self.owned(self.env.make(**given))
        self.env.api.change(key, {"status": {"revision": REVISION}})
        return key

    def owned(self, key: ObjectKey) -> ObjectKey:
        self.keys.append(key)
        return key

    @property
    def source(self) -> dict[str, Any]:
        return {"repository": REPOSITORY, "pullRequest": 42, "revision": REVISION}

    def behave(self, **behaviour: object) -> None:
        self.aws.control.patch_sagemaker_settings({"behaviour": behaviour})

    def there(self) -> Contents:
        return {kind: names for kind, names in contents(self.aws.client).items() if kind not in LASTING}

    def is_swept(self) -> bool:
        """Whether nothing is there but what the class shares, which bears its owner in the name."""
        owner = owner_hash(self.env.api.kept[CLASS]["metadata"]["uid"])
        left = {kind: names for kind, names in self.there().items() if kind != "ApiMapping"}
        return not left.keys() & AT_WORK and all(owner in name for names in left.values() for name in names)

    async def holds(self, kind: str) -> None:
        await self.env.until(lambda: kind in self.there(), f"a {kind}")

    async def has_endpoint(self, status: str) -> None:
        listed = self.aws.client("sagemaker").list_endpoints
        await self.env.until(lambda: bool(listed(StatusEquals=status)["Endpoints"]), f"an endpoint {status}")

    def change(self) -> None:
        self.env.api.change(self.key, {"spec": {"model": {"environment": {"CHANGED": "1"}}}})

    def release(self) -> None:
        """Let go on what the state held, so that it ends by itself."""
        self.aws.control.clear_faults()
        self.behave(create_seconds=0, update_seconds=0, create_failure=None)
        self.aws.control.patch_sagemaker_settings({"guardrail_seconds_per_second": 1e6})
        self.aws.control.patch_codebuild_settings({"provisioning_seconds": 0.0})

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """Let time pass for the operator, and its regular tasks run."""
        is_over = asyncio.Event()
        working = asyncio.create_task(self._pass(is_over))
        try:
            yield
        finally:
            is_over.set()
            await working

    async def _pass(self, is_over: asyncio.Event) -> None:
        sweep, trainings = self._sweep(), RunawaySweep(sweep_deps(self.env, {}))
        while not is_over.is_set():
            await asyncio.sleep(LOOK_SECONDS)
            await publish(self.env, int(PASSES_SECONDS))
            for key in list(self.env.api.kept):
                self.env.operator.enqueue(key)
            if self.sweeps:
                with suppress(AwsError):  # the next pass lists again
                    await self.env.snapshot()
                await sweep.run()
                await trainings.run()
            self.passes += 1

    async def pass_by(self, passes: int) -> None:
        """Let time pass so many times; the regular tasks know nothing at the beginning."""
        async with self.passing():
            for _ in range(passes):
                await self._next_pass()

    async def _next_pass(self) -> None:
        last = self.passes
        await self.env.until(lambda: self.passes > last, "another pass")

    def _sweep(self) -> Sweep:
        env = self.env
        deps = replace(sweep_deps(env, {"EEP_SWEEP_MIN_AGE_SECONDS": "1"}), disagreement=lambda: None)
        return Sweep(deps, env.operator._resources_changed)  # noqa: SLF001 - as the operator wires it

    async def end(self) -> None:
        """Everything is gone, the class last."""
        async with self.passing():
            await self.env.until(lambda: not set(self.keys) & self.env.api.kept.keys(), "the object gone")
            # Without any class no operator may reach the account.
            last = self.passes + MOST_PASSES
            while self.sweeps and not self.is_swept():
                assert self.passes < last, f"not swept: {self.there()}"
                await self._next_pass()
            if CLASS in self.env.api.kept:
                self.env.api.remove(CLASS)
            await self.env.until(lambda: not self.env.api.kept, "the class gone")
        assert self.there() == {}


async def serverless(home: Home) -> None:
    await home.env.ready(home.make(serving=PROVISIONED))


async def on_instances(home: Home) -> None:
    await home.env.ready(home.make(serving=SCALED, api={"mode": "Dedicated", "auth": {"type": "Token"}}))


async def asynchronous(home: Home) -> None:
    # What is said of answers on the URL does not go with those that are fetched.
    capture = {"s3Uri": "s3://artifacts/captures"}
    key = home.make(serving=QUEUED, checks=[], compare=None, results=None, feedback=None, capture=capture)
    await home.env.ready(key)


async def without_image(home: Home) -> None:
    key = home.make(model={"image": f"{REGISTRY}/models:absent"})
    home.env.api.change(key, {"status": {"image": None}})
    await home.env.until(lambda: home.env.condition(key, "ImageReady").get("status") == "False", "no image")


async def building(home: Home) -> None:
    home.aws.control.patch_codebuild_settings({"provisioning_seconds": HELD})
    key = home.make(model={"image": None, "build": {}})
    home.env.api.change(key, {"status": {"image": None}})
    await home.holds("Build")


async def training(home: Home) -> None:
    key = home.owned(home.lab.make())
    home.env.api.change(key, {"spec": dict(ALL)})
    await home.holds("ProcessingJob")


async def served_as_trained(home: Home) -> None:
    key = home.owned(home.lab.make())
    home.env.api.change(key, {"spec": dict(ALL)})
    await home.lab.finish(0.98)
    await home.env.ready(key)


async def creating(home: Home) -> None:
    home.behave(create_seconds=HELD)
    home.make()
    await home.holds("Endpoint")


async def updating(home: Home) -> None:
    await serverless(home)
    home.behave(update_seconds=HELD)
    home.change()
    await home.has_endpoint("Updating")


async def in_canary(home: Home) -> None:
    await on_instances(home)
    home.change()
    await home.has_endpoint("Updating")


async def asleep(home: Home) -> None:
    await on_instances(home)
    annotate(home.env, home.key, SLEEP_ANNOTATION)
    await home.env.reason(home.key, "Asleep", "Active")
    await home.env.until(lambda: "Endpoint" not in home.there(), "the endpoint gone")


async def waking(home: Home) -> None:
    await asleep(home)
    home.behave(create_seconds=HELD)
    annotate(home.env, home.key, WAKE_ANNOTATION)
    await home.has_endpoint("Creating")


async def retired(home: Home) -> None:
    await serverless(home)
    metadata = {"labels": {"argocd.argoproj.io/instance": "previews"}, "creationTimestamp": "2026-01-01T00:00:00Z"}
    home.env.api.change(home.key, {"metadata": metadata})
    home.env.operator.enqueue(home.key)
    async with home.passing():
        await home.env.reason(home.key, "Expired", "Stalled")


async def failed(home: Home) -> None:
    home.behave(create_failure="the container did not start")
    home.make(serving=SCALED)
    await home.has_endpoint("Failed")


async def unapproved(home: Home) -> None:
    home.env.api.change(CLASS, {"spec": {"packages": {"allowUnapproved": False}}})
    register(home, "PendingManualApproval")
    key = home.make(model={"image": None, "package": {"group": "wine", "version": 1}})
    home.env.api.change(key, {"status": {"image": None}})
    await home.env.reason(key, "WaitingForApproval")


async def half_deleted(home: Home) -> None:
    await on_instances(home)
    home.aws.control.add_faults(Fault(service="sagemaker", operation="DeleteEndpoint", error=DENIED))
    home.env.api.remove(home.key)
    await home.env.until(lambda: "DeleteEndpoint" in home.env.condition(home.key).get("message", ""), "refused")


async def of_a_stage(home: Home) -> None:
    register(home, "Approved")
    template = {"spec": {"serving": SCALED, "api": {"auth": {"type": "Token"}}, "capture": {}, "feedback": {}}}
    spec = {"className": CLASS.name, "repository": REPOSITORY, "source": {"group": "wine"}, "template": template}
    home.env.api.put("ModelStage", "nlp", "pr", {**spec, "promotion": "Auto"})
    home.owned(stage_key("nlp", "pr"))
    key = home.owned(endpoint_key("nlp", "pr"))
    await home.env.until(lambda: key in home.env.api.kept and home.env.is_up_to_date(key), "the stage serves")
    home.keys[:0] = [each for each in home.env.api.kept if each.kind == "ModelPromotion"]


def register(home: Home, approval: str) -> None:
    home.lab.image("1")
    home.lab.sagemaker.create_model_package_group(ModelPackageGroupName="wine")
    home.lab.sagemaker.create_model_package(
        ModelPackageGroupName="wine",
        InferenceSpecification={"Containers": [{"Image": f"{REGISTRY}/models:1"}]},
        ModelApprovalStatus=approval,
        CustomerMetadataProperties={"revision": REVISION},
    )


def remove(home: Home) -> None:
    for key in home.keys:
        if key in home.env.api.kept:
            home.env.api.remove(key)


async def nothing(home: Home) -> None:
    remove(home)
    await home.env.refresh(home.key)
    home.release()


async def the_class(home: Home) -> None:
    home.env.api.remove(CLASS)
    await home.env.refresh(CLASS)
    await nothing(home)


async def the_class_by_force(home: Home) -> None:
    """Whoever did so makes it again: without it nobody knows the role, and the object says what is missing."""
    spec = home.env.api.kept[CLASS]["spec"]
    home.env.api.vanish(CLASS)
    remove(home)
    await home.env.rest()
    home.release()
    home.env.api.put("EphemeralEndpointClass", None, CLASS.name, spec)
    home.sweeps = True


async def the_role(home: Home) -> None:
    home.aws.control.add_faults(Fault(service="*", error=DENIED))
    remove(home)
    await home.env.refresh(home.key)
    await home.env.restart()
    await home.env.refresh(home.key)
    home.release()


async def the_namespace(home: Home) -> None:
    """Nothing can be created there any more, and the Secrets are gone already."""

    async def refused(*_: object, **__: object) -> Any:  # noqa: ANN401 - never answers
        raise Denied("the namespace is being terminated")

    for name in ("create", "token"):
        setattr(home.env.api, name, refused)
    await nothing(home)


async def the_operator_for_a_week(home: Home) -> None:
    """Objects have expired meanwhile, and are deleted without anybody's help but for those that a tool manages."""
    await home.env.stop()
    later(home, WEEK)
    home.release()
    await home.env.start()
    if len(home.keys) > 1 or home.env.api.kept[home.key]["metadata"].get("labels"):
        remove(home)


async def the_operator_for_good(home: Home) -> None:
    """The cluster is destroyed: what remains is the reaper of the class."""
    await home.env.stop()
    home.env.api.kept.clear()
    home.release()
    home.lab.hold("Nothing")
    midnight = (datetime.now(UTC) + REAPED).replace(hour=0, minute=5, second=0)
    later(home, midnight - datetime.now(UTC))
    await asyncio.to_thread(home.reaper.run_until_done)
    await home.env.start()


async def the_finalizer(home: Home) -> None:
    for key in home.keys:
        home.env.api.vanish(key)
    await home.env.rest()
    home.release()
    home.sweeps = True


def later(home: Home, passed: timedelta) -> None:
    home.env.ahead += passed
    home.aws.control.set_ahead(home.env.ahead.total_seconds())


State = Callable[[Home], Awaitable[None]]

STATES: Final[tuple[State, ...]] = (
    without_image,
    building,
    training,
    served_as_trained,
    unapproved,
    creating,
    failed,
    serverless,
    on_instances,
    asynchronous,
    updating,
    in_canary,
    asleep,
    waking,
    retired,
    half_deleted,
    of_a_stage,
)
FIRST: Final[tuple[State, ...]] = (
    nothing,
    the_class,
    the_finalizer,
    the_role,
    the_namespace,
    the_operator_for_a_week,
    the_operator_for_good,
    the_class_by_force,
)

CASES: Final = [
    pytest.param(state, first, id=f"{state.__name__}-{first.__name__}")
    for state, first in zip(STATES, cycle(FIRST), strict=False)
]
"""Each state, and each that goes first at least twice."""


@pytest.fixture(autouse=True)
def time_passes_for_aws_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers of the embedded AWS tell the real time, by which the operator's clock would be ahead."""
    monkeypatch.setattr(Clocks, "note", lambda *_: None)


@pytest.fixture
def forge(github: EmbeddedGitHub, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, Any]:
    """What a class says of a GitHub where the pull request is open; without pauses between writes."""
    token = github.add_token("ada").encode()

    async def data(_: OwnSecrets, __: str) -> Mapping[str, bytes]:
        return {"token": token}

    monkeypatch.setattr(OwnSecrets, "data", data)
    monkeypatch.setattr(Budget, "write_due", lambda _self, _account, _repository, now: now)
    github.open(REPOSITORY, REVISION, number=42)
    grants = [{"repository": REPOSITORY, "namespaces": ["nlp"]}]
    return {"url": github.url, "secretName": "github", "repositories": grants}


@pytest.fixture
def reaper(fresh_aws: Aws, capsys: pytest.CaptureFixture[str]) -> Reaper:
    environment = {"CLUSTER_ID": CLUSTER, "CLASS_NAME": CLASS.name}
    return Reaper(fresh_aws, lambda: capsys.readouterr().out, environment)


@pytest.fixture
async def home(env: Environment, forge: Mapping[str, Any], issuer: Issuer, reaper: Reaper) -> AsyncIterator[Home]:
    aws = reaper.aws
    env.api.vanish(class_key("default"))
    lab = Lab(env, aws)
    make_domain(aws)
    make_project(aws)
    routing = {**FULL["routing"], "auth": {"jwt": {"issuer": issuer.url, "audiences": [AUDIENCE]}}}
    env.api.change(CLASS, {"spec": {**FULL, "reviews": forge, "routing": routing}})
    with serving() as model:
        env.urls.model = URL(model.url())
        yield Home(env, aws, lab, reaper)


def make_project(aws: Aws) -> None:
    """What a platform team has made for builds."""
    aws.client("codebuild").create_project(
        name="previews",
        source={"type": "NO_SOURCE", "buildspec": "{}"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=ROLE,
    )


@pytest.mark.parametrize(("state", "first"), CASES)
async def test_nothing_stays(home: Home, state: State, first: State) -> None:
    await state(home)
    await first(home)
    await home.end()
