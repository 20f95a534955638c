"""The life of an installation, under the rights that the chart and the generated policies give, and no other."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import pytest
import yaml
from kubernetes.client import V1ConfigMap, V1ObjectMeta
from tests.fixtures.operator import Bench
from tests.fixtures.waiting import eventually
from tests.installation.caller import Caller
from tests.installation.releases import CHART, RESTRICTED
from tests.installation.rights import Account, Right, deeds, granted, unused
from tests.installation.site import LocalRelease, Site, released
from tests.integration.test_controls import annotate
from tests.integration.test_least_privilege import KEY, values

from eep_platform.aws.guard.record import Permissions
from eep_platform.controlplane.binaries import CONTROLLER_MANAGER
from eep_platform.kubelet.runner import process_name
from eep_platform.processes import find
from ephemeral_endpoints.api import GROUP, ROTATE_TOKEN_ANNOTATION
from ephemeral_endpoints.deploy.policies import Principal, of
from ephemeral_endpoints.engine.sharding import Shard
from ephemeral_endpoints.kube.client import secret_name

ENDPOINTS: Final = "/apis/ephemeral-endpoints.io/v1alpha1/ephemeralendpoints"
CLASSES: Final = "/apis/ephemeral-endpoints.io/v1alpha1/ephemeralendpointclasses"
CRD: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ephemeralendpoints.ephemeral-endpoints.io"
TEAM: Final = "team-a"
BUILDS: Final = "builds"
FIELD: Final = "suspend"
pytestmark = pytest.mark.timeout(1200)
"""Whichever test comes first waits for the whole story."""

_STAGES: Final = "no model is promoted here; tests/controllers/model_stage and tests/integration/test_promotion.py do"
UNUSED: Final = {
    **{
        Right("", GROUP, resource, verb): _STAGES
        for resource, verb in (
            ("ephemeralendpoints", "create"),
            ("modelpromotions", "create"),
            ("modelpromotions", "delete"),
            ("modelpromotions/status", "patch"),
            ("modelstages", "delete"),
            ("modelstages/status", "patch"),
        )
    },
    Right(BUILDS, "batch", "jobs", "get"): "asked for only if a Job exists whose creation was never answered;"
    " tests/features/images/builds/test_jobs.py shows that it is needed then",
}
"""Rights that this story does not use, each with its reason."""


@dataclass
class Outcome:
    """What is known when the story is over."""

    answers: dict[str, dict[str, int]] = field(default_factory=dict)
    """What callers of the URL heard, by what happened meanwhile."""

    mutations: dict[str, list[str]] = field(default_factory=dict)
    """The calls that changed something in AWS, by what happened meanwhile."""

    fields: dict[str, bool] = field(default_factory=dict)
    """Whether the CRD had the newer field, after what."""

    leaders: dict[str, list[str]] = field(default_factory=dict)
    """The Pods that led, after what."""

    holders: list[str] = field(default_factory=list)
    """Who held the Lease before the crash of the leader and after it."""

    refusal: str = ""
    rights: set[Right] = field(default_factory=set)
    done: list[tuple[Right, int]] = field(default_factory=list)
    permissions: Permissions = field(default_factory=Permissions)
    """What the operator used in AWS, and what it was denied."""

    left_objects: list[Any] = field(default_factory=list)
    left_classes: list[Any] = field(default_factory=list)
    left_in_aws: Any = None
    has_kinds: bool = False
    is_known: bool = True
    """Whether Helm still knows the release."""


class Story:
    """One installation, from the previous chart to its end."""

    def __init__(self, site: Site, release: LocalRelease, bench: Bench, previous: Path) -> None:
        self.site, self.release, self.bench, self.previous = site, release, bench, previous
        self.outcome = Outcome()
        job = {"job": {"namespace": BUILDS, "serviceAccountName": "default"}, "allowTags": True}
        jobs = {"spec": {**site.class_spec, "builds": job}}
        classes = {"default": {"default": True, "spec": site.class_spec}, "jobs": jobs}
        self.values = site.values(classes=classes, builds={"namespaces": [BUILDS]})
        self.began = time.monotonic()

    def run(self) -> None:
        """All of it, in order."""
        self._install()
        self._upgrade()
        self._kill_the_leader()
        self._drain_the_leader()
        self._come_back_under_the_same_name()
        self._rotate_the_token()
        self._build_in_the_cluster()
        self._refuse_to_go()
        self._roll_back()
        self._go()

    def _lap(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:5.1f} s  {what}")  # noqa: T201 - shown by pytest -s

    def _note(self, what: str) -> None:
        self.release.wait_settled()
        leaders = eventually(self.release.leaders, "a leader")
        self.outcome.fields[what] = has_field(self.site)
        self.outcome.leaders[what] = [pod["metadata"]["name"] for pod in leaders]
        self._lap(what)

    def _install(self) -> None:
        self.release.install(self.site.values(), self.previous)
        self._lap("installed")
        self.bench.control.reset_meter()
        self.bench.apply("pr", self.bench.spec())
        self.bench.wait_ready("pr")
        self.bench.wait_throttle()
        self._note("installation")

    @contextmanager
    def _witnessed(self, what: str) -> Iterator[None]:
        found = self.bench.wait_ready("pr")
        self.bench.control.reset_meter()
        with Caller(found["status"]["url"], self.bench.token("pr")) as caller:
            yield
            self.release.wait_settled()
            self.release.wait_leader()
            self._lap("…")
        self.outcome.answers[what] = dict(caller.answers)
        self.outcome.mutations[what] = [f"{call.operation} {call.resource}" for call in self.bench.mutations()]
        self._note(what)

    def _upgrade(self) -> None:
        with self._witnessed("upgrade"):
            self.release.upgrade(self.values)
        self.release.test()
        self._lap("tested")

    def _kill_the_leader(self) -> None:
        """Nothing is lost meanwhile: neither a change nor the end of an object's time."""
        self.bench.apply("brief", self.bench.spec(lifecycle={"ttl": "5s"}))
        leader = self.release.wait_leader()
        process = find(process_name(leader["metadata"]["uid"], "operator"), self.site.platform.state)
        assert process is not None
        self.outcome.holders.append(self.release.holder())
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        words = V1ConfigMap(metadata=V1ObjectMeta(name="words"), data={"greeting": "after the crash"})
        self.bench.core.create_namespaced_config_map(TEAM, words)
        source = {"name": "SAY", "configMapKeyRef": {"name": "words", "key": "greeting"}}
        self.bench.apply("pr", self.bench.spec(model={"image": self.bench.image, "environmentFrom": [source]}))
        self.bench.wait_ready("pr")
        self.outcome.holders.append(self.release.holder())
        self.bench.wait_gone("brief")
        self._note("crash")

    def _drain_the_leader(self) -> None:
        with self._witnessed("eviction"):
            self.release.evict(self.release.wait_leader())

    def _come_back_under_the_same_name(self) -> None:
        """Before Kubernetes has collected the Secret of the predecessor, which the operator has to do then."""
        collector = find(CONTROLLER_MANAGER, self.site.platform.state)
        assert collector is not None
        psutil.Process(collector.pid).suspend()
        try:
            self.bench.delete("pr")
            self.bench.wait_gone("pr")
            before = self.bench.core.read_namespaced_secret(secret_name("pr"), TEAM)
            self.bench.apply("pr", self.bench.spec())
            self.bench.wait_ready("pr")
            after = self.bench.core.read_namespaced_secret(secret_name("pr"), TEAM)
            assert before.data != after.data
        finally:
            psutil.Process(collector.pid).resume()
        self._lap("the same name again")

    def _rotate_the_token(self) -> None:
        before = self.bench.token("pr")
        annotate(self.bench, "pr", ROTATE_TOKEN_ANNOTATION, "1")
        eventually(lambda: self.bench.token("pr") != before, "another token")
        self._lap("rotated")

    def _build_in_the_cluster(self) -> None:
        """No image comes of it, for nobody runs these Pods: the newer commit stops the first, whose build fails."""
        source = {"repository": "acme/echo", "pullRequest": 8}
        spec: dict[str, Any] = {"className": "jobs", "model": {"build": {}}}
        pods: list[Any] = []
        for revision in ("a" * 40, "b" * 40):
            self.bench.apply("built", {**spec, "source": {**source, "revision": revision}})
            pods = eventually(lambda old=pods: self._new_pods(old), "the Pod of the build")  # type: ignore[misc]
        (pod,) = pods
        ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        container = {"name": "build", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": ended}
        status = {"phase": "Failed", "containerStatuses": [container]}
        path = f"/api/v1/namespaces/{BUILDS}/pods/{pod['metadata']['name']}/status"
        self.site.api("PATCH", path, {"status": status}, content_type="application/merge-patch+json")
        self.bench.wait_condition("built", "ImageReady", reason="BuildFailed")
        self.bench.delete("built")
        self.bench.wait_gone("built")
        self._lap("built")

    def _new_pods(self, old: list[Any]) -> list[Any]:
        """The Pods of builds, when those of the older build are gone."""
        pods = self.site.api("GET", f"/api/v1/namespaces/{BUILDS}/pods")["items"]
        known = {pod["metadata"]["uid"] for pod in old}
        return [] if any(pod["metadata"]["uid"] in known for pod in pods) else list(pods)

    def _refuse_to_go(self) -> None:
        refused = self.release.uninstall()
        assert refused.returncode != 0
        self.outcome.refusal = refused.stdout + refused.stderr
        self._note("refusal")

    def _roll_back(self) -> None:
        with self._witnessed("rollback"):
            self.release.roll_back(1)

    def _go(self) -> None:
        self.release.upgrade({**self.values, "uninstall": {"policy": "Delete", "timeoutSeconds": 240}})
        self._note("second upgrade")
        account = Account(self.release.namespace, "eep-ephemeral-endpoints")
        self.outcome.rights = granted(self.site.api, account)
        self.release.uninstall_all()
        self._lap("uninstalled")
        self.outcome.done = deeds(self.site.platform.state, account, until="-uninstall-")
        self.outcome.left_objects = list(self.site.api("GET", ENDPOINTS)["items"])
        self.outcome.left_classes = list(self.site.api("GET", CLASSES)["items"])
        self.bench.wait_empty()
        self.outcome.permissions = self.bench.control.permissions(KEY)
        self.outcome.left_in_aws = self.bench.contents()
        self.outcome.has_kinds = has_field(self.site)
        self.outcome.is_known = self.release.exists()


def kind_of(right: Right) -> tuple[str, str, str]:
    return right.group, right.resource, right.verb


def has_field(site: Site) -> bool:
    """Whether the API server knows the field that the previous chart did not have."""
    (version,) = site.api("GET", CRD)["spec"]["versions"]
    return FIELD in version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart as an earlier version might have been: its CRD lacks a field."""
    chart = tmp_path_factory.mktemp("previous") / "ephemeral-endpoints"
    shutil.copytree(CHART, chart)
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    (chart / "Chart.yaml").write_text(yaml.safe_dump({**about, "version": "0.0.1"}))
    path = chart / "files" / "crds" / "ephemeralendpoints.ephemeral-endpoints.io.yaml"
    text = path.read_text()
    crd = yaml.safe_load(text)
    del crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"][FIELD]
    path.write_text(yaml.safe_dump(crd, sort_keys=False))
    return chart


@pytest.fixture(scope="module")
def outcome(site: Site, echo: str, previous: Path) -> Outcome:
    """The whole story, outcome once."""
    site.make_namespace(TEAM)
    site.make_namespace(BUILDS)
    bench = Bench(site.platform, namespace=TEAM, image=echo)
    bench.control.hold_to(KEY, [each.document(values(bench)) for each in of(Principal.OPERATOR)])
    with released(site, "eep", AWS_ACCESS_KEY_ID=KEY) as release:
        story = Story(site, release, bench, previous)
        story.run()
    return story.outcome


def test_the_url_answers_through_upgrade_eviction_and_rollback(outcome: Outcome) -> None:
    assert set(outcome.answers) == {"upgrade", "eviction", "rollback"}
    for what, answers in outcome.answers.items():
        assert set(answers) == {"200"}, what


def test_nothing_in_aws_is_touched_by_another_version_of_the_operator(outcome: Outcome) -> None:
    assert outcome.mutations == {"upgrade": [], "eviction": [], "rollback": []}


def test_the_kinds_are_upgraded_with_the_release_and_rolled_back_with_it(outcome: Outcome) -> None:
    has = {"upgrade": True, "rollback": False, "second upgrade": True, "installation": False}
    assert {what: outcome.fields[what] for what in has} == has


def test_one_replica_leads_whatever_happens(outcome: Outcome) -> None:
    assert {what: len(leaders) for what, leaders in outcome.leaders.items()} == dict.fromkeys(outcome.leaders, 1)
    assert outcome.leaders["upgrade"] != outcome.leaders["installation"]
    assert outcome.leaders["eviction"] != outcome.leaders["crash"]


def test_another_replica_takes_over_from_one_that_was_killed(outcome: Outcome) -> None:
    before, after = outcome.holders
    assert before
    assert after
    assert after != before


def test_every_right_is_used_and_none_is_missing(outcome: Outcome) -> None:
    """By the API server's audit log of the whole story: taking any right away would have been seen."""
    assert [str(deed) for deed, code in outcome.done if code == 403] == []
    assert outcome.rights
    assert {str(right) for right in unused(outcome.rights, outcome.done)} == {str(right) for right in UNUSED}


def test_the_generated_policies_are_enough_in_aws(outcome: Outcome) -> None:
    """Exactly those of the operator; that none of them is too much, tests/integration/test_least_privilege.py shows."""
    assert outcome.permissions.denied == []
    assert "CreateSageMaker" in {use.sid for use in outcome.permissions.used}


def test_the_release_refuses_to_go_and_says_what_to_do(outcome: Outcome) -> None:
    assert "1 EphemeralEndpoint" in outcome.refusal
    assert f"{TEAM}/pr" in outcome.refusal
    assert "kubectl delete ephemeralendpoints" in outcome.refusal


def test_nothing_is_left_when_it_goes_with_everything(outcome: Outcome) -> None:
    assert (outcome.left_objects, outcome.left_classes, outcome.left_in_aws) == ([], [], {})
    assert outcome.has_kinds, "the CRDs stay, which belong to everybody who has objects of them"
    assert not outcome.is_known


def test_two_shards_divide_the_namespaces(site: Site, echo: str, outcome: Outcome) -> None:
    """In a second release under the first one's name, on the kinds that it has left."""
    assert not outcome.is_known
    shards = [Shard(index, 2) for index in range(2)]
    teams = [next(name for name in (f"shard-{n}" for n in range(99)) if shard.takes(name)) for shard in shards]
    for team in teams:
        site.make_namespace(team)
    values = site.values(shards=2, replicaCount=1, uninstall={"policy": "Delete", "timeoutSeconds": 240})
    with released(site, "eep") as release:
        release.install(values)
        benches = [Bench(site.platform, namespace=team, image=echo) for team in teams]
        for bench in benches:
            bench.apply("pr", bench.spec())
        for bench in benches:
            bench.wait_ready("pr")
        eventually(lambda: len(release.leaders()) == 2, "a leader of each shard")
        release.uninstall_all()
    assert site.api("GET", ENDPOINTS)["items"] == []


def test_an_installation_for_one_namespace_has_no_rights_in_another(site: Site, echo: str, outcome: Outcome) -> None:
    assert not outcome.is_known
    for name in ("mine", "others"):
        site.make_namespace(name, RESTRICTED)
    mine, others = (Bench(site.platform, namespace=name, image=echo) for name in ("mine", "others"))
    values = site.values(
        namespaces=["mine"],
        replicaCount=1,
        crds={"install": False},
        admission={"approval": {"enabled": False}},
        uninstall={"policy": "Delete", "timeoutSeconds": 240},
    )
    with released(site, "narrow") as release:
        release.install(values)
        others.apply("pr", others.spec())
        mine.apply("pr", mine.spec())
        mine.wait_ready("pr")
        account = Account(release.namespace, "narrow-ephemeral-endpoints")
        rights = granted(site.api, account)
        # Events about classes, which have no namespace, are in the default one.
        assert {right.namespace for right in rights} == {"", "default", "mine", release.namespace}
        assert {right.resource for right in rights if not right.namespace} == {
            "ephemeralendpointclasses",
            "ephemeralendpointclasses/status",
            "namespaces",
        }
        needed = {kind_of(each) for each in (*(deed for deed, _ in outcome.done), *UNUSED)}
        assert {kind_of(right) for right in rights} <= needed, "all of it is needed"
        release.uninstall_all()
        done = deeds(site.platform.state, account, until="-uninstall-")
    assert [str(deed) for deed, code in done if code == 403] == []
    untouched = others.get("pr")
    assert untouched is not None
    assert "finalizers" not in untouched["metadata"]
    assert untouched["status"] == {"observedGeneration": -1}
    others.delete("pr")
    assert mine.names() == []
