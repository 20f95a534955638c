"""From data to production: a pull request that trains, its merge, stages, a canary, and a version that goes back."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from typing_extensions import override

from eep_platform import bootstrap
from eep_platform.aws.contents import Contents
from eep_platform.demo.stages import Stages
from eep_platform.demo.story import Story, counted
from eep_platform.demo.traffic import requests_meanwhile
from eep_platform.errors import PlatformError
from eep_platform.git import files_of
from eep_platform.processes import wait_until
from eep_platform.workbench import Object, condition, is_ready
from ephemeral_endpoints.api import API_VERSION, GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS

REPOSITORY: Final = bootstrap.REVIEWED_REPOSITORY
NUMBER: Final = 12
PREVIEW: Final = "wine-pr-12"
MAIN: Final = "wine-main"
PACKAGES: Final = "wine"
STAGING: Final = "staging"
PRODUCTION: Final = "production"
TRAFFIC: Final = "samples/valid/arrays.json"
"""One wine, with which the checks are content, and several, as people send them."""

DATA: Final = bootstrap.DATA_BUCKET

SHARE: Final = 25
"""The percentage of the requests that a canary gets."""

_PACE: Final = 20
_HOURS: Final = 3600
"""How many seconds of deployments and alarms pass in one: always, and where nothing is waited for but time."""

_ROLE: Final = "ephemeral-endpoints-training"
_TRAINING_SECONDS: Final = 600
_CANARY_SECONDS: Final = 300
_SEEN: Final = 3
_OK: Final = 200
_FAILED: Final = "502"
_JOB_LOGS: Final = frozenset({"/aws/sagemaker/ProcessingJobs", "/aws/sagemaker/TrainingJobs"})
_APPLY: Final = "application/apply-patch+yaml"
_SERVER: Final = "model/serve.py"
_CAREFUL: Final = b"predictor.predict, features)"
_CARELESS: Final = b"predictor.predict, features.reshape(1, -1))"
"""What predicts one wine as before, and fails for several."""


@dataclass
class Training(Story):
    """Models are trained, registered and promoted, and one that fails where it matters is taken back."""

    _answers: dict[str, str] = field(default_factory=dict)
    """The versions by what they answer."""

    @override
    def run(self) -> None:
        with self.stage("data lies in S3, and the platform team lets a class train, register and promote"):
            self.prepare()
        with self.stage("a pull request is opened: its code is trained, judged, registered and served"):
            revision = self._push("Tell wines apart", files_of(self.model, below="model"))
            self.bench.platform.github.open(REPOSITORY, revision, number=NUMBER, branch="wines", title="Tell wines")
            self.bench.apply(PREVIEW, self._preview(revision))
            self._predict(PREVIEW, self._follow(PREVIEW))
        with self.stage("it is merged: main's own training takes all from the cache, and registers the same model"):
            self.bench.platform.github.merge(REPOSITORY, NUMBER)
            self.bench.apply(MAIN, self.spec(revision, approval="Approved"))
            first = _version_of(self._follow(MAIN))
            self.quote(self.eep("model", "list", PACKAGES))
        with self.stage("staging takes what is approved, production waits for a person"):
            self._make_stages()
            self._arrives_at_staging(first)
            self._stages.wait_approval(PRODUCTION, first)
            self.quote(self.eep("stage", "list"))
        with self.stage("a person approves exactly that version for production; meanwhile the next one is trained"):
            self.eep("stage", "approve", PRODUCTION, first)
            self.bench.apply(MAIN, self.spec(revision, approval="Approved", inverse_regularization="0.5"))
            self._stages.wait_serving(PRODUCTION, first)
            self._predict(PRODUCTION, self.bench.wait_ready(PRODUCTION))
            second = _version_of(self._follow(MAIN))
        with self.stage(f"the next version goes to production by a canary, which gets {SHARE} % of the requests"):
            self._arrives_at_staging(second)
            self._stages.wait_approval(PRODUCTION, second)
            with requests_meanwhile(self._asking()) as answers:
                self.eep("stage", "approve", PRODUCTION, second)
                files = files_of(self.model, below="model")
                careless = self._push("Reshape features", files | {_SERVER: _made_careless(files[_SERVER])})
                self.bench.apply(MAIN, self.spec(careless, approval="Approved"))
                self._watch_canary(answers, second)
            self._tell(answers, {first, second})
        with self.stage("a careless change passes gate and checks; in production its alarm takes the canary back"):
            third = _version_of(self._follow(MAIN))
            self._arrives_at_staging(third)
            self._stages.wait_approval(PRODUCTION, third)
            with requests_meanwhile(self._asking()) as answers:
                self.eep("stage", "approve", PRODUCTION, third)
                self._stages.wait_pinned(PRODUCTION, second)
            self._tell(answers, {second, _FAILED})
            self.quote(_without_logs(self.eep("stage", "history", PRODUCTION)))
            self._predict(PRODUCTION, self.bench.wait_ready(PRODUCTION))
        with self.stage("nothing is needed any more"):
            self._delete_all()
            self.prove_empty()

    @override
    def left(self) -> Contents:
        """What is in the account but for the log groups of all jobs of the account, which are SageMaker's."""
        found = super().left()
        groups = [name for name in found.get("LogGroup", []) if name not in _JOB_LOGS]
        return {kind: names for kind, names in {**found, "LogGroup": groups}.items() if names}

    def prepare(self) -> None:
        """Upload the data, and extend the class."""
        storage = self.bench.aws("s3")
        with TemporaryDirectory() as folder:
            storage.upload_file(str(self._data(folder)), DATA, "wine/wine.csv")
        bootstrap.event_queue(self.bench.aws("sqs"), self.bench.aws("events"))
        training = {
            "executionRoleArn": f"arn:aws:iam::{self.bench.platform.account}:role/{_ROLE}",
            "artifacts": f"s3://{bootstrap.ARTIFACTS_BUCKET}/artifacts",
            "data": [f"s3://{DATA}/wine"],
            "instanceTypes": ["ml.m5.*"],
        }
        allowed = {
            "events": {"queueName": bootstrap.EVENT_QUEUE},
            "training": training,
            "packages": {"groups": [PACKAGES]},
            "stages": {"allowed": True},
        }
        manifest = {
            "apiVersion": API_VERSION,
            "kind": ENDPOINT_CLASS.name,
            "metadata": {"name": bootstrap.DEFAULT_CLASS},
            "spec": allowed,
        }
        self.bench.objects.patch_cluster_custom_object(
            *(GROUP, VERSION, ENDPOINT_CLASS.plural, bootstrap.DEFAULT_CLASS),
            manifest,
            field_manager="platform-team",
            force=True,
            _content_type=_APPLY,
        )

    def _data(self, folder: str) -> Path:
        """The data set of the example, as the model's own command writes it."""
        argv = [sys.executable, "-m", "model.datasets", "wine", folder]
        done = subprocess.run(argv, cwd=self.model.parent, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            raise PlatformError(f"the data could not be written: {done.stderr.strip()}")
        self.detail(done.stdout.strip())
        return Path(folder) / "wine.csv"

    def spec(
        self, revision: str, *, approval: str = "PendingManualApproval", gate: str = "0.8", **hyperparameters: str
    ) -> dict[str, Any]:
        """The spec of an object that trains."""
        return {
            "source": {"repository": REPOSITORY, "revision": revision},
            "model": {
                "training": {
                    "image": {"build": {"context": "model"}},
                    "data": {"s3Uri": f"s3://{DATA}/wine/", "revision": "2026-11-28"},
                    "hyperparameters": {"seed": "7", **hyperparameters},
                    "resources": {"instanceType": "ml.m5.large"},
                    "gate": {"metric": "multiclass_classification_metrics.accuracy.value", "atLeast": gate},
                    "register": {"group": PACKAGES, "approval": approval},
                }
            },
            "api": {"samples": [self._sample()]},
        }

    def _preview(self, revision: str) -> dict[str, Any]:
        spec = self.spec(revision)
        return {**spec, "source": {**spec["source"], "pullRequest": NUMBER}}

    def _sample(self) -> dict[str, str]:
        return {"name": "barolo", "request": self.request.decode()}

    def _follow(self, name: str) -> Object:
        """Report the progress of the training until the object is ready."""
        reported: list[str] = []

        def is_over(obj: Object) -> bool:
            for type_ in ("ImageReady", "Trained", "ModelRegistered"):
                found = condition(obj, type_)
                is_new = found.get("observedGeneration") == obj["metadata"]["generation"]
                text = f"{type_}: {found.get('reason')}, {str(found.get('message')).split('; log: ')[0]}"
                if is_new and text not in reported:
                    reported.append(text)
                    self.detail(text)
            return is_ready(obj)

        return self.bench.wait(name, is_over, seconds=_TRAINING_SECONDS, what="ready")

    def _push(self, message: str, files: Mapping[str, bytes]) -> str:
        return self.bench.platform.git.push(REPOSITORY, "main", files, message=message)

    def _predict(self, name: str, ready: Object) -> str:
        return _prediction(self.predict(name, ready, f"prediction of {name}"))

    def _make_stages(self) -> None:
        check = {
            "name": "a-known-wine",
            "sample": "barolo",
            "expect": {"values": [{"pointer": "/predictions/0/label", "equals": "class_0"}]},
        }
        checked = {"api": {"samples": [self._sample()]}, "checks": [check]}
        rollout = {"strategy": "Canary", "stepPercent": SHARE, "interval": "1h"}
        guarded = {"serving": {"instances": {"type": "ml.m5.large", "count": 2}, "rollout": rollout}}
        self._set_pace(_PACE)
        self._stages.make(STAGING, source={"group": PACKAGES}, promotion="Auto", template=checked)
        source = {"from": {"stage": STAGING}}
        self._stages.make(PRODUCTION, source=source, promotion="Manual", template={**checked, **guarded})

    @property
    def _stages(self) -> Stages:
        return Stages(self.bench, REPOSITORY, self.detail)

    def _set_pace(self, seconds: int) -> None:
        """Let so many seconds of deployments and alarms pass in one."""
        self.bench.control.set_alarm_pace(seconds)
        self.bench.control.patch_sagemaker_settings({"guardrail_seconds_per_second": seconds})

    def _arrives_at_staging(self, version: str) -> None:
        """Wait until staging has promoted the version, and learn what it answers."""
        self._stages.wait_serving(STAGING, version)
        self._answers[self._predict(STAGING, self.bench.wait_ready(STAGING))] = version

    def _asking(self) -> Callable[[], str]:
        """Sends what people send to production; returns which version answers, or with which status it fails."""
        ready, body = self.bench.wait_ready(PRODUCTION), (self.model / TRAFFIC).read_bytes()
        token = self.bench.token(PRODUCTION)

        def ask() -> str:
            answer = self.bench.call(ready["status"]["url"], body, token=token)
            if answer.status_code != _OK:
                return str(answer.status_code)
            return self._answers.get(_prediction(answer.json()), "another model")

        return ask

    def _watch_canary(self, answers: Counter[str], version: str) -> None:
        """Wait until the version has answered some requests, and let the rest of the canary's time pass."""
        wait_until(lambda: answers[version] >= _SEEN, seconds=_CANARY_SECONDS, what=f"the canary of {version}")
        self.detail(f"the canary answers: {counted(answers)}; the rest of its hour passes")
        self._set_pace(_HOURS)
        self._stages.wait_serving(PRODUCTION, version)
        self._set_pace(_PACE)

    def _tell(self, answers: Counter[str], expected: set[str]) -> None:
        """Tell who has answered the requests. Raises PlatformError if anything else happened to them than expected."""
        self.detail(f"{answers.total()} requests meanwhile: {counted(answers)}")
        if set(answers) != expected:
            raise PlatformError(f"the requests to production were answered by {dict(answers)}")
        if answers[_FAILED] > 1 + answers.total() * SHARE / 100:
            raise PlatformError(f"more than the canary's requests have failed: {dict(answers)}")

    def _delete_all(self) -> None:
        for name in (PRODUCTION, STAGING):
            self._stages.delete(name)
        self.bench.delete(MAIN)
        for name in (PREVIEW, MAIN, PRODUCTION, STAGING):
            self.bench.wait_gone(name)


def _without_logs(text: str) -> str:
    return "\n".join(line.partition("; last lines of the log: ")[0] for line in text.splitlines())


def _version_of(ready: Object) -> str:
    """The version that was registered for an object, as people write it."""
    return str(ready["status"]["training"]["package"]).rpartition(":model-package/")[2]


def _prediction(answer: Mapping[str, Any]) -> str:
    """The first prediction, as exact as it is for any number of rows."""
    probabilities = answer["predictions"][0]["probabilities"]
    return json.dumps({name: round(each, 6) for name, each in probabilities.items()})


def _made_careless(server: bytes) -> bytes:
    if _CAREFUL not in server:
        raise PlatformError(f"{_SERVER} has no {_CAREFUL.decode()!r} to change")
    return server.replace(_CAREFUL, _CARELESS)
