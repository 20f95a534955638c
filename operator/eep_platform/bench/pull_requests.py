"""The benchmark of pull requests: how soon one that was merged leaves nothing, what a revision writes, and memory."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eep_platform import operator, platform
from eep_platform.bench import front, rest_of_reviews
from eep_platform.bench.counting import process
from eep_platform.bench.results import Counts, OffAndOn, ReviewMemory
from eep_platform.bench.scenario import wait_reconciled
from eep_platform.bench.watching import EndpointWatch
from eep_platform.bootstrap import DEFAULT_CLASS, REVIEWED_REPOSITORY
from eep_platform.github.client import sha_of
from eep_platform.workbench import Object, Workbench, condition, is_ready
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS

MERGES: Final = 3
"""With a webhook, and as many without."""

_NAMESPACE: Final = "default"
_SETTINGS: Final = {"EEP_LOG_LEVEL": "WARNING"}
_APART_SECONDS: Final = 17.0
"""Between two merges: not a fraction of the interval of polls, so that no phase of it is favoured."""

FEW: Final = 10
"""Objects with which the memory that the code takes once is measured: most of it is loaded with the first one."""

_FIRST_OF_MANY: Final = 5000
_GONE_SECONDS: Final = 600.0
_SETTLED_SECONDS: Final = 30.0
"""Without a write, before a revision counts as published: nothing waits that long."""

_TIMEOUT_SECONDS: Final = 900.0
_POLL_SECONDS: Final = 0.5
_SECONDS_OF_AWS: Final = 1.0
_BASE: Final = "main"
_REVIEWED: Final = "reviewed"

Say = Callable[[str], None]


def measure(state: Path, objects: int, memory_objects: int, *, provider: str, say: Say) -> dict[str, Any]:
    """Measure on a new platform, which is removed afterwards; returns the fields of ``Reviews`` but the machine.

    ``objects`` are those at rest, ``memory_objects`` those whose memory is measured. Raises PlatformError.
    """
    began = time.monotonic()

    def log(what: str) -> None:
        say(f"[pull requests, {time.monotonic() - began:5.0f} s] {what}")

    log("starting a platform")
    try:
        running = platform.up(state, provider=provider, report=log)
        front.install(running)
        bench = Workbench(running, _NAMESPACE)
        behaviour = dict.fromkeys(("create_seconds", "update_seconds", "delete_seconds"), _SECONDS_OF_AWS)
        quotas = dict.fromkeys(("serverless_endpoints", "serverless_concurrency"), "unlimited")
        bench.control.patch_sagemaker_settings({"containers": "off", "quotas": quotas, "behaviour": behaviour})
        with EndpointWatch(running, _NAMESPACE) as watch:
            return _Measurement(bench, watch, log, objects, memory_objects).run()
    finally:
        platform.down(state, report=lambda _: None)


@dataclass(frozen=True, slots=True)
class _Measurement:
    bench: Workbench
    watch: EndpointWatch
    log: Say
    objects: int
    memory_objects: int

    def run(self) -> dict[str, Any]:
        """All of them, one after the other."""
        settings = {**_SETTINGS, **operator.take_events(self.bench.platform)}
        operator.start(self.bench.platform, settings)
        first, following = self._revisions()
        self.log(f"a revision takes {sum(following.values()):g} writing requests")
        notified = self._merged("notified", 1000)
        self.bench.platform.github.settings(webhook=None)
        polled = self._merged("polled", 2000)
        self.log(f"gone {max(notified):.1f} s after the merge, without a webhook {max(polled):.1f} s")
        left = self._clean()
        memory = self._memory()
        self.log(f"{memory.growth(1000) / 1024**2:.1f} MB for 1,000 objects")
        operator.end(self.bench.platform)
        at_rest = rest_of_reviews.measure(self.bench.platform.github, self.objects)
        self.log(f"{at_rest.requests_per_minute:.1f} requests a minute at rest")
        return {
            "grace": _grace(self._class()),
            "notified": notified,
            "polled": polled,
            "left_behind": left,
            "first_revision": first,
            "next_revision": following,
            "memory": memory,
            "at_rest": at_rest,
        }

    def _revisions(self) -> tuple[Counts, Counts]:
        """What is written for the first revision of an object with checks and a comparison, and for the next."""
        self._image(_BASE)
        self.bench.apply(_BASE, self._spec(_BASE, None))
        self.watch.wait_ready([_BASE], 1, seconds=_TIMEOUT_SECONDS)
        found: list[Counts] = []
        for revision in ("first", "next"):
            if not found:
                self.bench.platform.github.open(REVIEWED_REPOSITORY, sha_of("first"), number=1)
            else:
                self.bench.platform.github.push(REVIEWED_REPOSITORY, 1, sha_of("next"))
            self._image(revision)
            self.bench.platform.github.forget_calls()
            self.bench.apply(_REVIEWED, _with_reviews(self._spec(revision, 1)))
            self.bench.wait(_REVIEWED, _is_reviewed, what="compared and published", seconds=_TIMEOUT_SECONDS)
            found.append(self._writes())
        self.bench.delete(_REVIEWED)
        return found[0], found[1]

    def _writes(self) -> Counts:
        """The requests that changed something, once there are no more of them."""
        before, since = -1, time.monotonic()
        while time.monotonic() - since < _SETTLED_SECONDS:
            writes = self.bench.platform.github.writes()
            if len(writes) != before:
                before, since = len(writes), time.monotonic()
            time.sleep(_POLL_SECONDS)
        return dict(Counter(writes))

    def _merged(self, what: str, first_number: int) -> list[float]:
        """The seconds from the merge until the object is gone, which it is when all that it had in AWS is."""
        github, numbers = self.bench.platform.github, range(first_number, first_number + MERGES)
        names = {number: f"{what}-{number}" for number in numbers}
        for number, name in names.items():
            github.open(REVIEWED_REPOSITORY, sha_of(name), number=number)
            self._image(name)
            self.bench.apply(name, self._spec(name, number))
        for name in names.values():
            self.bench.wait(name, _is_seen_open, what="seen open", seconds=_TIMEOUT_SECONDS)
        merged: dict[str, float] = {}
        for number, name in names.items():
            github.merge(REVIEWED_REPOSITORY, number)
            merged[name] = time.time()
            time.sleep(_APART_SECONDS)
        gone = self.watch.wait_gone(list(names.values()), seconds=_GONE_SECONDS)
        return [gone[name] - at for name, at in merged.items()]

    def _clean(self) -> int:
        """Delete what is left, and return how many resources in AWS outlive that."""
        self.bench.delete(_BASE)
        self.watch.wait_gone([_BASE, _REVIEWED], seconds=_GONE_SECONDS)
        return sum(len(each) for kind, each in self.bench.left().items() if kind != "Api")

    def _memory(self) -> ReviewMemory:
        """The memory of a restarted operator without any of it and with all of it, with few objects and with many."""
        base, names = f"{_BASE}-2", [f"many-{number:04}" for number in range(self.memory_objects)]
        self.bench.platform.github.open_many(REVIEWED_REPOSITORY, map(_number, names))
        for name in (base, *names):
            self._image(name)
        self.bench.apply(base, self._spec(base, None))
        few, _ = self._sizes(names[:FEW], base)
        many, after_runs = self._sizes(names, base)
        return ReviewMemory(few, many, after_runs)

    def _sizes(self, names: Sequence[str], base: str) -> tuple[OffAndOn, int]:
        """The memory with these objects, and that of the operator that has carried out their checks."""
        reviews = self._class()["spec"]["reviews"]
        self._set_reviews(None)
        for name in names:
            self.bench.apply(name, self._spec(name, _number(name)))
        self._wait(names, is_ready, "ready")
        off = self._restarted(len(names))
        self.log(f"{len(names)} objects: {off / 1024**2:.0f} MB without reviews, checks and comparisons")
        self._set_reviews(reviews)
        for name in names:
            self.bench.apply(name, _with_reviews(self._spec(name, _number(name)), base))
        self._wait(names, _is_compared, "compared")
        after_runs = self._resident()
        on = self._restarted(len(names))
        self.log(f"{len(names)} objects: {on / 1024**2:.0f} MB with them, {after_runs / 1024**2:.0f} before a restart")
        return OffAndOn(len(names), off, on), after_runs

    def _wait(self, names: Sequence[str], until: Callable[[Object], bool], what: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        for name in names:
            self.bench.wait(name, until, what=what, seconds=max(0.0, deadline - time.monotonic()))

    def _restarted(self, objects: int) -> int:
        """The resident memory of a new operator that has reconciled so many objects, and is at rest."""
        operator.end(self.bench.platform)
        url = operator.start(self.bench.platform, _SETTINGS)
        wait_reconciled(url, objects, seconds=_TIMEOUT_SECONDS)
        time.sleep(_SETTLED_SECONDS)
        return self._resident()

    def _resident(self) -> int:
        return int(process(self.bench).memory_info().rss)

    def _class(self) -> Object:
        found: Any = self.bench.objects.get_cluster_custom_object(GROUP, VERSION, ENDPOINT_CLASS.plural, DEFAULT_CLASS)
        return dict(found)

    def _set_reviews(self, reviews: Mapping[str, Any] | None) -> None:
        self.bench.objects.patch_cluster_custom_object(
            GROUP,
            VERSION,
            ENDPOINT_CLASS.plural,
            DEFAULT_CLASS,
            {"spec": {"reviews": reviews}},
            _content_type="application/merge-patch+json",
        )

    def _image(self, tag: str) -> None:
        front.put_image(self.bench, tag)

    def _spec(self, tag: str, number: int | None) -> dict[str, Any]:
        source = {"repository": REVIEWED_REPOSITORY, "revision": sha_of(tag), "branch": "feature/bench"}
        return {
            "className": DEFAULT_CLASS,
            "source": source if number is None else {**source, "pullRequest": number},
            "model": {"image": self.bench.image_uri(tag)},
        }


def _number(name: str) -> int:
    """The pull request of one of many objects."""
    return _FIRST_OF_MANY + int(name.rpartition("-")[2])


def _with_reviews(spec: Mapping[str, Any], base: str = _BASE) -> dict[str, Any]:
    """The spec with three samples, five checks, of which some fail, and a comparison with another object."""
    samples = [{"name": f"sample-{each}", "request": f'{{"text": "wine number {each} of the list"}}'} for each in "abc"]
    values = [{"pointer": "/label", "oneOf": ["neutral", "positive"]}, {"pointer": "/scores/positive", "min": 0.2}]
    checks = [
        {"name": f"check-{number}", "sample": f"sample-{'abc'[number % 3]}", "expect": {"values": values}}
        for number in range(5)
    ]
    return {
        **spec,
        "api": {"samples": samples},
        "checks": checks,
        "compare": {"with": {"endpoint": base}, "label": "/label"},
    }


def _is_seen_open(found: Object) -> bool:
    return condition(found, "PullRequestOpen").get("status") == "True" and _is_published(found)


def _is_published(found: Object) -> bool:
    is_current = found.get("status", {}).get("review", {}).get("revision") == found["spec"]["source"]["revision"]
    return is_current and condition(found, "Published").get("status") == "True"


def _is_compared(found: Object) -> bool:
    status = found.get("status", {})
    results: Sequence[Any] = [status.get(name, {}) for name in ("checks", "comparison")]
    return all(each.get("revision") == found["spec"]["source"]["revision"] for each in results)


def _is_reviewed(found: Object) -> bool:
    return _is_compared(found) and _is_published(found)


def _grace(endpoint_class: Object) -> float:
    """The class's grace in seconds, which the platform's default class gives in seconds."""
    return float(str(endpoint_class["spec"]["reviews"]["closeGrace"]).removesuffix("s"))
