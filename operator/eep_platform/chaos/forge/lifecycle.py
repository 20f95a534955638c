"""The phases in the life of pull requests: what starts each, and what is to be seen afterwards."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import aiohttp

from eep_platform.chaos.forge.cluster import NAMESPACE, Cluster
from eep_platform.chaos.forge.desk import CLASS, Desk, Time
from eep_platform.chaos.forge.points import Phase
from eep_platform.github.client import GitHubClient, Installed, sha_of
from ephemeral_endpoints.controllers.reasons import TO_ACT_ON
from ephemeral_endpoints.features.reviews.github.transport import TIMEOUT_SECONDS
from ephemeral_endpoints.kube.cache import ObjectKey, class_key, endpoint_key

BEGAN: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
REPOSITORY: Final = "acme/wine"
PULL_REQUESTS: Final = {42: "changed", 7: "bystander", 9: "lost"}
"""The one that everything happens to, one that nothing happens to, and one whose object goes unseen."""

_APP: Final = "previews"
_IMAGE: Final = "123456789012.dkr.ecr.us-east-1.amazonaws.com/wine:1"
_ROLE: Final = "arn:aws:iam::123456789012:role/any"
_MARKED: Final = f"<!-- ephemeral-endpoints: c1/{NAMESPACE}/pr-42 -->\nThis is a comment of somebody else."
_VARYING: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z| UTC)?|\d+ \w+ \d{4}, \d\d:\d\d UTC|about \$[0-9.]+|lived [^,.]+"
)

Seen = Mapping[str, Any]


@dataclass
class Lifecycle:
    """The objects of three pull requests on a GitHub of their own. ``time`` is also GitHub's."""

    github: GitHubClient
    app: Installed
    desk: Desk

    @classmethod
    def start(
        cls, github: GitHubClient, session: aiohttp.ClientSession, time: Time, timeout_seconds: float = TIMEOUT_SECONDS
    ) -> "Lifecycle":
        """Prepare everything but the class and its objects."""
        github.reset()
        github.settings(strict=True)
        github.add_repository(REPOSITORY)
        github.add_collaborator(REPOSITORY, "ada", "write")
        github.add_collaborator(REPOSITORY, "eve", "read")
        app = github.add_app(_APP, [REPOSITORY])
        for number in PULL_REQUESTS:
            github.open(REPOSITORY, sha_of(f"{number} first"), number=number)
        github.comment(REPOSITORY, 42, "eve", _MARKED)
        secret = {"appId": str(app.id).encode(), "privateKey": app.private_key.encode()}
        desk = Desk(session, Cluster(), time, secret, failures=TO_ACT_ON, timeout_seconds=timeout_seconds)
        return cls(github, app, desk)

    @property
    def changes(self) -> tuple[int, int]:
        """What differs whenever something may have changed that can be seen."""
        return self.desk.written, self.desk.cluster.version

    async def act(self, phase: Phase) -> None:
        """Start the phase."""
        desk, github, cluster = self.desk, self.github, self.desk.cluster
        match phase:
            case Phase.CONNECT:
                cluster.create("EphemeralEndpointClass", CLASS, self._class(), desk.time.now())
                desk.enqueue(class_key(CLASS))
            case Phase.BUILD:
                for number in PULL_REQUESTS:
                    key = cluster.create("EphemeralEndpoint", f"pr-{number}", _spec(number), desk.time.now())
                    self._report(number, "first", reason="Building" if number == 42 else "Serving")  # noqa: PLR2004 - see PULL_REQUESTS
                    desk.enqueue(key)
            case Phase.SERVE:
                self._report(42, "first")
            case Phase.PUSH:
                github.push(REPOSITORY, 42, sha_of("42 second"))
                cluster.change(_key(42), spec=_spec(42, "second"), status={})
                self._report(42, "second")
            case Phase.COMMAND:
                github.comment(REPOSITORY, 42, "ada", "/preview extend 100h")
                github.comment(REPOSITORY, 42, "eve", "/preview delete")
                github.comment(REPOSITORY, 42, "ada", "/preview sleep")
            case Phase.START:
                cluster.vanish(_key(9))
                await desk.stop()
                desk.restart()
            case Phase.MERGE:
                github.merge(REPOSITORY, 42)

    def seen(self) -> Seen:
        """What is on the pull requests, and what the objects say, without what differs between lifecycles."""
        objects = {
            key.name: {
                "annotations": raw["metadata"].get("annotations", {}),
                "ends": "deletionTimestamp" in raw["metadata"],
                "conditions": [
                    (each["type"], each["status"], each["reason"])
                    for each in raw.get("status", {}).get("conditions", ())
                ],
            }
            for key, raw in self.desk.cluster.kept.items()
        }
        pulls = {str(number): _shown(self.github, number) for number in PULL_REQUESTS}
        text = _VARYING.sub("…", json.dumps({"objects": objects, **pulls}, sort_keys=True))
        found: Seen = json.loads(text)
        return found

    def replies(self) -> Sequence[str]:
        """The replies to refused commands: they are no part of what is seen, since a lost one is not repeated."""
        comments = self.github.seen(REPOSITORY, 42).comments
        return [each["body"] for each in comments if _is_reply(each)]

    def _class(self) -> Mapping[str, Any]:
        return {
            "region": "us-east-1",
            **dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), _ROLE),
            "reviews": {
                "url": self.github.url,
                "secretName": "github",
                "closeGrace": "1m",
                "repositories": [{"repository": REPOSITORY, "namespaces": [NAMESPACE]}],
            },
        }

    def _report(self, number: int, commit: str, reason: str = "Serving") -> None:
        """What the rest of the operator finds out of an object."""
        key, is_ready = _key(number), reason == "Serving"
        others = [
            each
            for each in self.desk.cluster.kept[key].get("status", {}).get("conditions", ())
            if each["type"] != "Ready"
        ]
        ready = {
            "type": "Ready",
            "status": str(is_ready),
            "reason": reason,
            "message": "a message",
            "observedGeneration": 1,
            "lastTransitionTime": BEGAN.isoformat(),
        }
        served = {"url": f"https://a1b2c3.execute-api.us-east-1.amazonaws.com/{NAMESPACE}/pr-{number}"}
        status = {
            "observedGeneration": 1,
            "conditions": [*others, ready],
            "cost": {"hourlyUSD": "0.115"},
            **({"revision": sha_of(f"{number} {commit}"), **served} if is_ready else {}),
        }
        self.desk.cluster.change(key, spec={}, status=status)
        self.desk.report(key)


def duplicates(seen: Seen, replies: Sequence[str]) -> Sequence[str]:
    """What is there twice although once is enough: statuses that say what the one before said, and the like."""
    found = [f"the reply {each}" for each in set(replies) if replies.count(each) > 1]
    for number in map(str, PULL_REQUESTS):
        shown = seen[number]
        for deployment in shown["deployments"]:
            found += _repeated(f"a status of a deployment on {number}", deployment["statuses"])
        commits = sorted({each[0] for each in shown["statuses"]})
        for commit in commits:
            found += _repeated(
                f"a commit status on {number}", [each for each in shown["statuses"] if each[0] == commit]
            )
        owned = [each["body"].splitlines()[0] for each in shown["comments"] if each["author"] == f"{_APP}[bot]"]
        found += [f"a comment on {number}" for each in set(owned) if owned.count(each) > 1]
        refs = [each["ref"] for each in shown["deployments"]]
        found += [f"a deployment on {number}" for each in set(refs) if refs.count(each) > 1]
    return found


def _repeated(what: str, statuses: Sequence[Any]) -> list[str]:
    return [what for before, after in pairwise(statuses) if before == after]


def _shown(github: GitHubClient, number: int) -> dict[str, Any]:
    seen = github.seen(REPOSITORY, number)
    return {
        "state": seen.pull["state"],
        "deployments": [
            {
                "ref": each["ref"],
                "environment": each["environment"],
                "statuses": [
                    (one["state"], one["description"], one.get("environment_url")) for one in each["statuses"]
                ],
            }
            for each in seen.deployments
        ],
        "statuses": [
            (each["sha"], each["context"], each["state"], each["description"], each["target_url"])
            for each in seen.statuses
        ],
        "comments": [
            {
                "author": each["user"]["login"],
                "body": each["body"],
                "reactions": sorted(map(list, each["all_reactions"])),
            }
            for each in seen.comments
            if not _is_reply(each)
        ],
    }


def _is_reply(comment: Mapping[str, Any]) -> bool:
    return comment["user"]["login"] == f"{_APP}[bot]" and str(comment["body"]).startswith("@")


def _key(number: int) -> ObjectKey:
    return endpoint_key(NAMESPACE, f"pr-{number}")


def _spec(number: int, commit: str = "first") -> Mapping[str, Any]:
    source = {"repository": REPOSITORY, "pullRequest": number, "revision": sha_of(f"{number} {commit}")}
    return {"className": CLASS, "source": source, "model": {"image": _IMAGE}}
