"""The demo: the life of one pull request on the embedded platform."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from eep_platform import operator, platform
from eep_platform.bootstrap import BUILD_LOGS
from eep_platform.errors import PlatformError
from eep_platform.git import files_of
from eep_platform.workbench import Object, Workbench, condition, is_ready
from ephemeral_endpoints.api.v1alpha1.duration import parse_duration
from ephemeral_endpoints.features.images.builds.policy import CACHE_PREFIX

NAME: Final = "wine-pr-42"
REPOSITORY: Final = "acme/wine"
BRANCH: Final = "feature/less-regularization"
REQUEST: Final = "samples/valid/named.json"
_OK: Final = 200
_BUILD_SECONDS: Final = 600
_EMPTY_SECONDS: Final = 120
_SETTINGS: Final = {"EEP_SNAPSHOT_SECONDS": "2", "EEP_SWEEP_MIN_AGE_SECONDS": "2"}
"""SageMaker recreates a log group for late lines; with short intervals the sweep deletes it within seconds."""

_EXPIRY_SECONDS: Final = 3

Say = Callable[[str], None]


@dataclass
class Story:
    """One run of the demo. ``model`` is the folder of the example model; ``say`` receives one line at a time."""

    bench: Workbench
    model: Path
    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Run everything from the first commit to the empty account. Raises PlatformError if a step fails."""
        with self._stage("a pull request is opened: its first commit is pushed to a Git repository"):
            first = self._push(files_of(self.model, below="model"), "Tell wines apart")
        with self._stage("apply one EphemeralEndpoint: the commit is built, pushed and served"):
            self.bench.apply(NAME, spec(first))
            ready = self._follow()
        self._show(ready)
        self._predict(ready, first)
        with self._stage("the next commit is pushed"):
            second = self._push(changed_files(self.model), "Regularize less")
        with self._stage("apply the new revision under the same URL, while requests go on"):
            ready = self._roll(second, ready)
        self._predict(ready, second)
        self.show_monitoring()
        with self._stage("the time to live runs out"):
            self._expire(second, ready)
        with self._stage("nothing is left"):
            self.prove_empty()

    def _push(self, files: Mapping[str, bytes], message: str) -> str:
        revision = self.bench.platform.git.push(REPOSITORY, BRANCH, files, message=message)
        self._detail(f"{revision[:12]} {message}")
        return revision

    def _follow(self) -> Object:
        """Report the progress of the image until the object is ready."""
        reported: list[str] = []

        def is_over(obj: Object) -> bool:
            image = condition(obj, "ImageReady")
            is_new = image.get("observedGeneration") == obj["metadata"]["generation"]
            if is_new and (text := f"image: {image['reason']}, {image['message'].split('; log: ')[0]}") not in reported:
                reported.append(text)
                self._detail(text)
            return is_ready(obj)

        return self.bench.wait(NAME, is_over, seconds=_BUILD_SECONDS, what="ready")

    def _roll(self, revision: str, before: Object) -> Object:
        url, token = before["status"]["url"], self.bench.token(NAME)
        with requests_meanwhile(lambda: self.bench.call(url, self._request(), token=token).status_code) as answers:
            self.bench.apply(NAME, spec(revision))
            after = self._follow()
        self._detail(f"{sum(answers.values())} requests meanwhile; answers by status: {dict(answers)}")
        if set(answers) != {_OK} or after["status"]["url"] != url:
            raise PlatformError("the rollout failed requests or changed the URL")
        return after

    def _predict(self, ready: Object, revision: str) -> None:
        answer = self.bench.call(ready["status"]["url"], self._request(), token=self.bench.token(NAME))
        if answer.status_code != _OK or answer.json()["revision"] != revision:
            raise PlatformError(f"the prediction failed: {answer.status_code} {answer.text}")
        self._detail(f"prediction of revision {revision[:12]}: {json.dumps(answer.json()['predictions'][0])}")

    def _show(self, ready: Object) -> None:
        status = ready["status"]
        self._detail(f"URL {status['url']}  expires {status['expiresAt']}")
        self._detail(f"in AWS: {_counted(Counter(each['kind'] for each in status['resources']))}")

    def show_monitoring(self) -> None:
        """Report what was logged, while everything is there."""
        logs = self.bench.session.client("logs", endpoint_url=self.bench.platform.aws_endpoint)
        self.bench.control.flush_sagemaker()
        for group in [BUILD_LOGS, *self.bench.contents()["LogGroup"]]:
            events = logs.filter_log_events(logGroupName=group)["events"]
            last = events[-1]["message"].strip() if events else ""
            self._detail(f"{group}: {len(events)} lines, last line: {last[:100]}")

    def _expire(self, revision: str, ready: Object) -> None:
        age = datetime.now(UTC) - datetime.fromisoformat(ready["metadata"]["creationTimestamp"])
        ttl = f"{int(age.total_seconds()) + _EXPIRY_SECONDS}s"
        self._detail(f"spec.lifecycle.ttl becomes {parse_duration(ttl)}")
        self.bench.apply(NAME, spec(revision) | {"lifecycle": {"ttl": ttl}})
        self.bench.wait_gone(NAME)

    def prove_empty(self) -> None:
        """Wait until nothing is left in AWS. Raises PlatformError if something stays."""
        deadline = time.monotonic() + _EMPTY_SECONDS
        while left := self.bench.left():
            if time.monotonic() > deadline:
                raise PlatformError(f"these resources are still in AWS: {left}")
            time.sleep(0.2)
        self._detail("the lists of SageMaker, Lambda, API Gateway, CloudWatch and Logs are empty")
        self._detail(f"the class's repository keeps for the next pull request: {', '.join(self._tags()) or 'nothing'}")

    def _tags(self) -> list[str]:
        """The tags in the operator's repositories. Raises PlatformError if an image of a commit is left."""
        ecr = self.bench.session.client("ecr", endpoint_url=self.bench.platform.aws_endpoint)
        names = self.bench.contents().get("Repository", [])
        images = [image for name in names for image in ecr.list_images(repositoryName=name)["imageIds"]]
        tags = sorted(image["imageTag"] for image in images if "imageTag" in image)
        if left := [tag for tag in tags if not tag.startswith(CACHE_PREFIX)]:
            raise PlatformError(f"these images are still in ECR: {left}")
        return tags

    def _request(self) -> bytes:
        return (self.model / REQUEST).read_bytes()

    @contextmanager
    def _stage(self, what: str) -> Iterator[None]:
        self.say(f"\n{len(self.seconds) + 1}. {what}")
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began
        self._detail(f"{self.seconds[what]:.1f} s")

    def _detail(self, text: str) -> None:
        self.say(f"   {text}")


def run(state: Path, model: Path, *, provider: str, say: Say) -> None:
    """Start a new platform, run the demo, and stop the platform. Raises PlatformError if a step fails."""
    began = time.monotonic()
    say("starting Kubernetes and AWS on this machine")
    try:
        running = platform.up(state, provider=provider, report=lambda text: say(f"   {text}"))
        operator.start(running, _SETTINGS)
        say(f"   {time.monotonic() - began:.1f} s")
        bench = Workbench(running)
        bench.control.reset_meter()
        Story(bench, model, say).run()
        say(f"\nAWS calls in total: {_counted(_totals(bench))}")
    finally:
        platform.down(state, report=lambda _: None)
    say(f"the demo took {time.monotonic() - began:.1f} s")


def spec(revision: str) -> dict[str, Any]:
    """The spec that CI applies for a commit of the pull request."""
    return {
        "source": {
            "repository": REPOSITORY,
            "pullRequest": 42,
            "revision": revision,
            "branch": BRANCH,
        },
        "model": {"build": {"context": "model"}},
        # Requests follow one another without a pause: the last may not be over when the next arrives.
        "serving": {"serverless": {"maxConcurrency": 2}},
    }


def changed_files(model: Path) -> dict[str, bytes]:
    """The model in the pull request's next commit: with another default hyperparameter."""
    files, name = files_of(model, below="model"), "model/hyperparameters.py"
    default = b"inverse_regularization: float = 1.0"
    if default not in files[name]:
        raise PlatformError(f"{name} has no line {default.decode()!r} to change")
    return {**files, name: files[name].replace(default, b"inverse_regularization: float = 0.05")}


@contextmanager
def requests_meanwhile(send: Callable[[], int]) -> Iterator[Counter[int]]:
    """Send requests one after the other in the background during the block; counts the results of ``send``."""
    answers: Counter[int] = Counter()
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            answers[send()] += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield answers
    finally:
        done.set()
        thread.join()


def _totals(bench: Workbench) -> Counter[str]:
    return Counter({service: sum(operations.values()) for service, operations in bench.control.calls().items()})


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
