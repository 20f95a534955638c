"""What every story has: a platform to work on, stages with durations, and somebody who is told."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import requests

from eep_platform.aws.contents import Contents
from eep_platform.errors import PlatformError
from eep_platform.workbench import Object, Workbench

_EMPTY_SECONDS: Final = 120
REQUEST: Final = "samples/valid/named.json"

Say = Callable[[str], None]


@dataclass
class Story:
    """One run of a demo. ``model`` is the folder of the example model; ``say`` receives one line at a time."""

    bench: Workbench
    model: Path
    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Run the story to the empty account. Raises PlatformError if a stage fails."""
        raise NotImplementedError

    def prove_empty(self) -> None:
        """Wait until nothing is left in AWS. Raises PlatformError if something stays."""
        deadline = time.monotonic() + _EMPTY_SECONDS
        while left := self.left():
            if time.monotonic() > deadline:
                raise PlatformError(f"these resources are still in AWS: {left}")
            time.sleep(0.2)
        self.detail("the lists of SageMaker, Lambda, API Gateway, CloudWatch and Logs are empty")

    def left(self) -> Contents:
        """What is in AWS, without what stays as long as the classes."""
        return self.bench.left()

    def detail(self, text: str) -> None:
        """Tell something of the present stage."""
        self.say(f"   {text}")

    def quote(self, text: str) -> None:
        """Show what somebody sees."""
        for line in text.splitlines():
            self.say(f"      | {line}")

    def eep(self, *arguments: str) -> str:
        """What the command line prints. Raises PlatformError with what it says if it fails."""
        argv = [str(Path(sys.executable).with_name("eep")), *arguments, "--namespace", self.bench.namespace]
        environment = {**os.environ, **self.bench.platform.environment}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            raise PlatformError(f"eep {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    @property
    def request(self) -> bytes:
        """A request that the example model answers."""
        return (self.model / REQUEST).read_bytes()

    def ask(self, name: str, ready: Object) -> requests.Response:
        """What an object's endpoint answers to the request."""
        return self.bench.call(ready["status"]["url"], self.request, token=self.bench.token(name))

    def predict(self, name: str, ready: Object, what: str = "prediction") -> dict[str, Any]:
        """The answer with predictions, of which the first is told. Raises PlatformError for any other answer."""
        answer = self.ask(name, ready)
        if answer.status_code != HTTPStatus.OK:
            raise PlatformError(f"the prediction failed: {answer.status_code} {answer.text}")
        found: dict[str, Any] = answer.json()
        self.detail(f"{what}: {json.dumps(found['predictions'][0])}")
        return found

    @contextmanager
    def stage(self, what: str) -> Iterator[None]:
        """A numbered part of the story, whose duration is told at its end."""
        self.say(f"\n{len(self.seconds) + 1}. {what}")
        began = time.monotonic()
        yield
        self.seconds[what] = time.monotonic() - began
        self.detail(f"{self.seconds[what]:.1f} s")


def counted(counts: Counter[str]) -> str:
    """Counts in a line, by name."""
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
