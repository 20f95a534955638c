"""Versions of models as text for people. What pull requests have written is made harmless. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from ephemeral_endpoints.cli.model_registry import RegisteredVersion
from ephemeral_endpoints.cli.output import age, printable, table
from ephemeral_endpoints.features.packages.lineage import KEYS, Lineage

_REVISION_LENGTH: Final = 12
_NONE: Final = "-"
_ACCURACY: Final = ".accuracy.value"


def listing(versions: Sequence[RegisteredVersion], serving: Mapping[str, Sequence[str]], now: datetime) -> list[str]:
    """A line for each version. ``serving`` are the objects that serve them, by ARN."""
    if not versions:
        return ["no versions"]
    titles = ("VERSION", "APPROVAL", "METRIC", "REPOSITORY", "PR", "REVISION", "DATA", "SERVED BY", "AGE")
    rows = []
    for each in versions:
        lineage = Lineage.of(each.properties)
        approval = each.approval if each.status == "Completed" else each.status
        cells = (
            each.name,
            approval,
            _metric(each),
            lineage.repository,
            lineage.pull_request,
            lineage.revision[:_REVISION_LENGTH],
            lineage.data_revision,
            ", ".join(serving.get(each.arn, ())),
            age(each.created_at, now),
        )
        rows.append([printable(cell) or _NONE for cell in cells])
    return table([titles, *rows])


def described(version: RegisteredVersion) -> list[str]:
    """All that is known of a version, one a line."""
    return _aligned([(name, value) for name, value in _facts(version).items() if value])


def differences(before: RegisteredVersion, after: RegisteredVersion) -> list[str]:
    """In what two versions differ; metrics with the change."""
    old, new = _facts(before), _facts(after)
    names = [*old, *(name for name in new if name not in old)]
    rows = [
        (name, old.get(name) or _NONE, new.get(name) or _NONE, _change(before, after, name))
        for name in names
        if old.get(name) != new.get(name) and name != "version"
    ]
    if not rows:
        return [f"{before.name} and {after.name} do not differ"]
    return table([("", before.name, after.name, "CHANGE"), *rows])


def _change(before: RegisteredVersion, after: RegisteredVersion, name: str) -> str:
    metric = name.removeprefix("metric ")
    if metric not in before.metrics or metric not in after.metrics:
        return ""
    return f"{after.metrics[metric] - before.metrics[metric]:+.4g}"


def _facts(version: RegisteredVersion) -> dict[str, str]:
    known = set(KEYS.values())
    properties = sorted(version.properties.items(), key=lambda each: (each[0] not in known, each[0]))
    facts = {
        "version": version.name,
        "approval": version.approval,
        "comment": version.comment,
        **{f"metric {name}": f"{value:.6g}" for name, value in sorted(version.metrics.items())},
        **dict(properties),
        "image": version.image,
        "digest": version.digest,
        "data": version.data,
        **{f"environment {name}": value for name, value in sorted(version.environment.items())},
    }
    return {printable(name): printable(value) for name, value in facts.items()}


def _metric(version: RegisteredVersion) -> str:
    """The accuracy if it is known, else the first number."""
    names = sorted(version.metrics, key=lambda name: (not name.endswith(_ACCURACY), name))
    return f"{version.metrics[names[0]]:.4g}" if names else ""


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return [f"{name.ljust(width)}  {value}" for name, value in rows]
