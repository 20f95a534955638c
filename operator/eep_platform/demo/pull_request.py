"""The life of one pull request on the embedded platform, as its reviewer sees it."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests
from typing_extensions import override

from eep_platform import bootstrap
from eep_platform.bootstrap import BUILD_LOGS
from eep_platform.demo.story import Story, counted
from eep_platform.demo.traffic import requests_meanwhile
from eep_platform.errors import PlatformError
from eep_platform.git import files_of
from eep_platform.github.client import GitHubClient, Seen
from eep_platform.workbench import Object, condition, is_ready
from ephemeral_endpoints.features.images.builds.policy import CACHE_PREFIX

MAIN: Final = "wine-main"
NAME: Final = "wine-pr-42"
NUMBER: Final = 42
REPOSITORY: Final = bootstrap.REVIEWED_REPOSITORY
BRANCH: Final = "feature/more-regularization"
_OK: Final = 200
_PAGE_SECONDS: Final = 35
_BUILD_SECONDS: Final = 600
_PUBLISHED_SECONDS: Final = 120
_COMMENT_LINES: Final = 40


@dataclass
class PullRequest(Story):
    """Main's model, a pull request with two commits, its merge, and the empty account."""

    @override
    def run(self) -> None:
        with self.stage("main's model is served: its commit is built, pushed and deployed"):
            main = self._push("main", files_of(self.model, below="model"), "Tell wines apart")
            self.bench.apply(MAIN, self.spec(main))
            self._follow(MAIN)
        with self.stage("a pull request is opened, and one EphemeralEndpoint applied for it"):
            first = self._push(BRANCH, changed_files(self.model, 0.001), "Regularize much more")
            self._github.open(REPOSITORY, first, number=NUMBER, branch=BRANCH, title="Regularize more")
            self.bench.apply(NAME, self.preview(first))
            ready = self._follow(NAME)
        self._show(ready)
        self._predict(ready, first)
        with self.stage("the reviewer sees it on the pull request: what changed, whether it works, what it costs"):
            self._show_comment(self._published(first))
        with self.stage("the reviewer opens its page, tries it there, and votes on the answer"):
            self._try_page(ready)
        with self.stage("the next commit is pushed and applied under the same URL, while requests go on"):
            second = self._push(BRANCH, changed_files(self.model, 0.05), "Regularize a little more")
            self._github.push(REPOSITORY, NUMBER, second, "Regularize a little more")
            ready = self._roll(second, ready)
        self._predict(ready, second)
        self._published(second)
        self.show_monitoring()
        with self.stage("the pull request is merged: the operator deletes everything of it"):
            self._github.merge(REPOSITORY, NUMBER)
            self.bench.wait_gone(NAME)
            self._show_end()
        with self.stage("main's model is not needed any more"):
            self.bench.delete(MAIN)
            self.bench.wait_gone(MAIN)
        with self.stage("nothing is left"):
            self.prove_empty()

    def spec(self, revision: str) -> dict[str, Any]:
        """The spec of the model of the main branch."""
        return {
            "source": {"repository": REPOSITORY, "revision": revision, "branch": "main"},
            "model": {"build": {"context": "model"}},
            # Requests follow one another closely: the last may not be over when the next arrives.
            "serving": {"serverless": {"maxConcurrency": 2}},
            "api": {"samples": [{"name": "barolo", "request": self.request.decode()}]},
        }

    def preview(self, revision: str) -> dict[str, Any]:
        """The spec that CI applies for a commit of the pull request."""
        return {
            **self.spec(revision),
            "source": {"repository": REPOSITORY, "pullRequest": NUMBER, "revision": revision, "branch": BRANCH},
            "checks": [
                {
                    "name": "a-known-wine",
                    "sample": "barolo",
                    "expect": {"values": [{"pointer": "/predictions/0/label", "equals": "class_0"}]},
                }
            ],
            "feedback": {},
            "compare": {
                "with": {"endpoint": MAIN},
                "label": "/predictions/-/label",
                "ignore": ["/revision"],
                "tolerances": [{"pointer": "/predictions/-/probabilities", "absolute": 0.01}],
            },
        }

    @property
    def _github(self) -> GitHubClient:
        return self.bench.platform.github

    def _push(self, branch: str, files: Mapping[str, bytes], message: str) -> str:
        revision = self.bench.platform.git.push(REPOSITORY, branch, files, message=message)
        self.detail(f"{revision[:12]} {message}")
        return revision

    def _follow(self, name: str) -> Object:
        """Report the progress of the image until the object is ready."""
        reported: list[str] = []

        def is_over(obj: Object) -> bool:
            image = condition(obj, "ImageReady")
            is_new = image.get("observedGeneration") == obj["metadata"]["generation"]
            if is_new and (text := f"image: {image['reason']}, {image['message'].split('; log: ')[0]}") not in reported:
                reported.append(text)
                self.detail(text)
            return is_ready(obj)

        return self.bench.wait(name, is_over, seconds=_BUILD_SECONDS, what="ready")

    def _roll(self, revision: str, before: Object) -> Object:
        url, token = before["status"]["url"], self.bench.token(NAME)
        with requests_meanwhile(lambda: self.bench.call(url, self.request, token=token).status_code) as answers:
            self.bench.apply(NAME, self.preview(revision))
            after = self._follow(NAME)
        self.detail(f"{sum(answers.values())} requests meanwhile; answers by status: {dict(answers)}")
        if set(answers) != {_OK} or after["status"]["url"] != url:
            raise PlatformError("the rollout failed requests or changed the URL")
        return after

    def _predict(self, ready: Object, revision: str) -> None:
        answer = self.predict(NAME, ready, f"prediction of revision {revision[:12]}")
        if answer["revision"] != revision:
            raise PlatformError(f"revision {answer['revision']} has answered")

    def _try_page(self, ready: Object) -> None:
        """Get the page as a browser does, send what its button sends, vote, and show the counts."""
        url, token = ready["status"]["url"], self.bench.token(NAME)
        page = requests.get(url, headers={"Accept": "text/html"}, timeout=_PAGE_SECONDS)
        if page.status_code != _OK or not page.headers["content-type"].startswith("text/html"):
            raise PlatformError(f"the page does not open: {page.status_code} {page.text[:200]}")
        self.detail(f"eep open {NAME}: {self.eep('open', NAME, '--show-token')}")
        answer = self.bench.call(f"{url}/invocations", self.request, token=token)
        ballot = {"id": answer.headers["eep-feedback-id"], "vote": "up", "reason": "a Barolo indeed"}
        vote = self.bench.call(f"{url}/feedback", json.dumps(ballot).encode(), token=token)
        if vote.status_code != _OK:
            raise PlatformError(f"the vote was not counted: {vote.status_code} {vote.text}")
        self.detail(f"eep feedback {NAME}:")
        self.quote(self.eep("feedback", NAME))

    def _show(self, ready: Object) -> None:
        status = ready["status"]
        self.detail(f"URL {status['url']}  expires {status['expiresAt']}")
        self.detail(f"in AWS: {counted(Counter(each['kind'] for each in status['resources']))}")

    def _published(self, revision: str) -> Seen:
        """Wait until the commit has its status, and the comment tells of the comparison of this very commit."""

        def is_published(seen: Seen) -> bool:
            statuses = [each["state"] for each in seen.statuses if each["sha"] == revision]
            told = [each["body"] for each in seen.comments]
            is_told = any(revision[:7] in body and "Compared with" in body for body in told)
            return statuses[-1:] == ["success"] and is_told

        def is_compared(obj: Object) -> bool:
            compared = obj.get("status", {}).get("comparison", {}).get("revision")
            return compared == revision and condition(obj, "ChecksPassed").get("status") == "True"

        self.bench.wait(NAME, is_compared, what="checked and compared")
        seen = self._until(is_published, f"{revision[:12]} published")
        states = [each["statuses"][-1]["state"] for each in seen.deployments]
        self.detail(f"{len(seen.comments)} comment; deployments: {', '.join(states)}; commit status: success")
        return seen

    def _until(self, is_so: Callable[[Seen], bool], what: str) -> Seen:
        deadline = time.monotonic() + _PUBLISHED_SECONDS
        while not is_so(seen := self._github.seen(REPOSITORY, NUMBER)):
            if time.monotonic() > deadline:
                raise PlatformError(f"the pull request does not show after {_PUBLISHED_SECONDS} s: {what}: {seen}")
            time.sleep(0.2)
        return seen

    def _show_comment(self, seen: Seen) -> None:
        self.detail(f"page: {self.bench.platform.github_url}/{REPOSITORY}/pull/{NUMBER}")
        body = re.sub("<!--.*?-->", "", seen.comments[-1]["body"], flags=re.DOTALL).strip()
        self.quote("\n".join(body.splitlines()[:_COMMENT_LINES]))

    def _show_end(self) -> None:
        """Wait until the pull request says that everything is gone."""

        def is_ended(seen: Seen) -> bool:
            return all(each["statuses"][-1]["state"] == "inactive" for each in seen.deployments)

        self._show_comment(self._until(is_ended, "the deployments inactive"))

    def show_monitoring(self) -> None:
        """Report what was logged, while everything is there."""
        logs = self.bench.aws("logs")
        self.bench.control.flush_sagemaker()
        for group in [BUILD_LOGS, *self.bench.contents()["LogGroup"]]:
            events = logs.filter_log_events(logGroupName=group)["events"]
            last = events[-1]["message"].strip() if events else ""
            self.detail(f"{group}: {len(events)} lines, last line: {last[:100]}")

    @override
    def prove_empty(self) -> None:
        super().prove_empty()
        self.detail(f"the class's repository keeps for the next pull request: {', '.join(self._tags()) or 'nothing'}")

    def _tags(self) -> list[str]:
        """The tags in the operator's repositories. Raises PlatformError if an image of a commit is left."""
        ecr = self.bench.aws("ecr")
        names = self.bench.contents().get("Repository", [])
        images = [image for name in names for image in ecr.list_images(repositoryName=name)["imageIds"]]
        tags = sorted(image["imageTag"] for image in images if "imageTag" in image)
        if left := [tag for tag in tags if not tag.startswith(CACHE_PREFIX)]:
            raise PlatformError(f"these images are still in ECR: {left}")
        return tags


def changed_files(model: Path, inverse_regularization: float) -> dict[str, bytes]:
    """The model in a commit of the pull request: with another default hyperparameter."""
    files, name = files_of(model, below="model"), "model/hyperparameters.py"
    default = b"inverse_regularization: float = 1.0"
    if default not in files[name]:
        raise PlatformError(f"{name} has no line {default.decode()!r} to change")
    return {**files, name: files[name].replace(default, b"inverse_regularization: float = %g" % inverse_regularization)}
