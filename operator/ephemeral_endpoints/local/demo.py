"""The whole story of one pull request on the embedded platform, told as it happens."""

import hashlib
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ephemeral_endpoints.api.duration import parse_duration
from ephemeral_endpoints.local import operator, platform
from ephemeral_endpoints.local.errors import PlatformError
from ephemeral_endpoints.local.workbench import Object, Workbench

NAME: Final = "wine-pr-42"
REQUEST: Final = "samples/valid/named.json"
_OK: Final = 200
_EMPTY_SECONDS: Final = 30
_EXPIRY_SECONDS: Final = 3

Say = Callable[[str], None]


@dataclass
class Story:
    """One telling. ``model`` is the folder of the example model; ``say`` gets a line at a time."""

    bench: Workbench
    model: Path
    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    def tell(self) -> None:
        """Everything from the first push to the empty account. Raises PlatformError where the story goes wrong."""
        with tempfile.TemporaryDirectory() as folder:
            changed = changed_model(self.model, Path(folder))
            first, second = revision_of(self.model), revision_of(changed)
            with self._stage("build and push the image of the pull request's first commit"):
                image = self.bench.push(self.model, first, report=self._detail)
            with self._stage("apply one EphemeralEndpoint and wait until it is ready"):
                self.bench.apply(NAME, spec(first, image))
                ready = self.bench.wait_ready(NAME)
            self._show(ready)
            self._predict(ready, first)
            with self._stage("build and push the image of the next commit"):
                image = self.bench.push(changed, second, report=self._detail)
        with self._stage("apply the new revision under the same URL, while requests go on"):
            ready = self._roll(second, image, ready)
        self._predict(ready, second)
        self._show_monitoring()
        with self._stage("the time to live runs out"):
            self._expire(second, image, ready)
        with self._stage("nothing is left"):
            self._prove_empty()

    def _roll(self, revision: str, image: str, before: Object) -> Object:
        url, token = before["status"]["url"], self.bench.token(NAME)
        with requests_meanwhile(lambda: self.bench.call(url, self._request(), token=token).status_code) as answers:
            self.bench.apply(NAME, spec(revision, image))
            after = self.bench.wait_ready(NAME)
        self._detail(f"{sum(answers.values())} requests meanwhile, answers by status: {dict(answers)}")
        if set(answers) != {_OK} or after["status"]["url"] != url:
            raise PlatformError("the rollout was not seamless")
        return after

    def _predict(self, ready: Object, revision: str) -> None:
        answer = self.bench.call(ready["status"]["url"], self._request(), token=self.bench.token(NAME))
        if answer.status_code != _OK or answer.json()["revision"] != revision:
            raise PlatformError(f"the prediction failed: {answer.status_code} {answer.text}")
        self._detail(f"prediction of revision {revision[:12]}: {json.dumps(answer.json()['predictions'][0])}")

    def _show(self, ready: Object) -> None:
        told = ready["status"]
        self._detail(f"URL {told['url']}  expires {told['expiresAt']}")
        self._detail(f"in AWS: {_counted(Counter(each['kind'] for each in told['resources']))}")

    def _show_monitoring(self) -> None:
        logs = self.bench.session.client("logs", endpoint_url=self.bench.platform.aws_endpoint)
        self.bench.control.flush_sagemaker()
        for group in self.bench.contents()["LogGroup"]:
            events = logs.filter_log_events(logGroupName=group)["events"]
            last = events[-1]["message"].strip() if events else ""
            self._detail(f"{group}: {len(events)} lines, the last: {last[:100]}")

    def _expire(self, revision: str, image: str, ready: Object) -> None:
        age = datetime.now(UTC) - datetime.fromisoformat(ready["metadata"]["creationTimestamp"])
        ttl = f"{int(age.total_seconds()) + _EXPIRY_SECONDS}s"
        self._detail(f"spec.lifecycle.ttl becomes {parse_duration(ttl)}")
        self.bench.apply(NAME, spec(revision, image) | {"lifecycle": {"ttl": ttl}})
        self.bench.wait_gone(NAME)

    def _prove_empty(self) -> None:
        deadline = time.monotonic() + _EMPTY_SECONDS
        while left := self.bench.contents():
            if time.monotonic() > deadline:
                raise PlatformError(f"still in AWS: {left}")
            time.sleep(0.2)
        self._detail("the lists of SageMaker, Lambda, API Gateway, CloudWatch and Logs are empty")

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
    """Start a platform of its own, tell the story, and end the platform. Raises PlatformError where it goes wrong."""
    began = time.monotonic()
    say("starting Kubernetes and AWS on this machine")
    try:
        running = platform.up(state, provider=provider, report=lambda text: say(f"   {text}"))
        operator.start(running)
        say(f"   {time.monotonic() - began:.1f} s")
        bench = Workbench(running)
        bench.control.reset_meter()
        Story(bench, model, say).tell()
        say(f"\nAWS calls in all: {_counted(_totals(bench))}")
    finally:
        platform.down(state, report=lambda _: None)
    say(f"the whole story took {time.monotonic() - began:.1f} s")


def spec(revision: str, image: str) -> dict[str, Any]:
    """The spec that CI would apply for a commit of the pull request."""
    return {
        "source": {
            "repository": "acme/wine",
            "pullRequest": 42,
            "revision": revision,
            "branch": "feature/less-regularization",
        },
        "model": {"image": image},
        "api": {"path": "/pr-42"},
    }


def changed_model(model: Path, folder: Path) -> Path:
    """The model as the pull request's next commit has it: a copy with another default hyperparameter."""
    changed = Path(shutil.copytree(model, folder / "model", ignore=shutil.ignore_patterns("__pycache__")))
    source = changed / "hyperparameters.py"
    text = source.read_text()
    default = "inverse_regularization: float = 1.0"
    if default not in text:
        raise PlatformError(f"{source} has no line {default!r} to change")
    source.write_text(text.replace(default, "inverse_regularization: float = 0.05"))
    return changed


def revision_of(folder: Path) -> str:
    """The commit that a folder is of; where git does not say, a hash of its files, which looks the same."""
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command
            ["git", "-C", str(folder), "rev-parse", "HEAD"],  # noqa: S607 - whichever git the user has
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return _content_hash(folder)
    return answer.stdout.strip()


@contextmanager
def requests_meanwhile(send: Callable[[], int]) -> Iterator[Counter[int]]:
    """Send requests one after the other, in the background, as long as the block runs; counts what ``send`` returns."""
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


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _totals(bench: Workbench) -> Counter[str]:
    return Counter({service: sum(operations.values()) for service, operations in bench.control.calls().items()})


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
