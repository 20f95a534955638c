"""The part of the page that is about the forge: every request, every kind of fault, and its outcome."""

from collections.abc import Iterable, Sequence
from typing import Final

from eep_platform.chaos.forge.fault_kinds import LIMIT_SECONDS, FaultKind
from eep_platform.chaos.forge.matrix import Recording, Result
from eep_platform.chaos.forge.points import Phase

_ABOUT: Final[dict[FaultKind, str]] = {
    FaultKind.FAILED: "answered 500, nothing was done",
    FaultKind.NOT_FOUND: "answered 404 once, as if nothing were there",
    FaultKind.FORBIDDEN: "refused once with 403",
    FaultKind.UNAUTHORIZED: "refused once with 401, as if the token were revoked",
    FaultKind.LIMITED: f"refused by the primary limit, for {LIMIT_SECONDS} s",
    FaultKind.SECONDARY: f"refused by the secondary limit, for {LIMIT_SECONDS} s",
    FaultKind.HTML: "answered with a page of HTML and status 200, nothing was done",
    FaultKind.EMPTY: "answered with status 200 and nothing, nothing was done",
    FaultKind.RESET: "the connection is reset, nothing was done",
    FaultKind.TIMED_OUT: "no answer within the operator's timeout, nothing was done",
    FaultKind.LOST: "done, but the connection ends before the answer",
    FaultKind.KILLED_BEFORE: "the operator loses all that it has in memory during the request, which is never made",
    FaultKind.KILLED_AFTER: "the operator loses all that it has in memory during the request, which is made",
}
_PHASES: Final[dict[Phase, str]] = {
    Phase.CONNECT: "A class names the forge, with the credentials of an App, until it is connected.",
    Phase.BUILD: "Objects of three pull requests are applied: one is being built, two are ready.",
    Phase.SERVE: "The first object becomes ready.",
    Phase.PUSH: "Its pull request gets another commit, which the object serves.",
    Phase.COMMAND: "Three commands are given by comment, two of which are refused.",
    Phase.START: "An object vanishes unseen, and an operator is started.",
    Phase.MERGE: "The first pull request is merged, until its object is gone.",
}
_HEAD: Final = """\
## The forge

The requests to GitHub are treated likewise: those that the operator sends in the life of pull requests were recorded
on the embedded GitHub, and the first of each operation in each phase was made to go wrong in {ways}, one at a time. The
operator's reviews are the real ones; the clocks are virtual, so that seconds are those that the operator waits by
itself, and objects are kept in memory. A case counts as converged when

- the pull requests show exactly what they show without the fault: the same deployments with the same statuses, the
  same commit statuses, comments and reactions, each once and in the same order;
- a reply to a refused command is there once at most: one that may have arrived is not repeated, and the reaction says
  the same;
- what belongs to others is untouched: a comment of somebody else with the operator's own marker, and the object of a
  pull request to which nothing happens;
- the objects say the same as without the fault, and none has ended that should not.

"""


def render(recording: Recording, results: Sequence[Result]) -> str:
    """The part in Markdown."""
    capitals = _capitals(results)
    parts = [_HEAD.format(ways=_ways(results)), _summary(results), _legend(capitals)]
    by_phase = {phase: [result for result in results if result.case.point.phase is phase] for phase in Phase}
    parts += [_table(phase, recording, own, capitals) for phase, own in by_phase.items() if own]
    if wrong := [result for result in results if result.violations]:
        parts.append("".join(f"- {each.case}: {'; '.join(each.violations)}\n" for each in wrong))
    return "\n".join(parts)


def _ways(results: Sequence[Result]) -> str:
    is_all = len(results) == len({result.case.point for result in results}) * len(FaultKind)
    return f"each of {len(FaultKind)} ways" if is_all else f"one of {len(FaultKind)} ways"


def _summary(results: Sequence[Result]) -> str:
    converged, calls = sum(not result.violations for result in results), len({result.case.point for result in results})
    lines = [
        f"**{converged} of {len(results)} cases converged** ({calls} requests).",
        "",
        "| fault | what happens | cases | converged | longest s |",
        "|---|---|---:|---:|---:|",
    ]
    for kind in FaultKind:
        if own := [result for result in results if result.case.kind is kind]:
            good, longest = sum(not result.violations for result in own), max(result.seconds for result in own)
            lines.append(f"| {kind} | {_ABOUT[kind]} | {len(own)} | {good} | {longest:.0f} |")
    return "\n".join(lines) + "\n"


def _legend(capitals: dict[str, str]) -> str:
    reasons = ", ".join(f"{letter} `{reason}`" for reason, letter in capitals.items())
    return (
        "The tables show the seconds from the beginning of the phase to convergence, by how many the writing requests "
        "differ from a phase without the fault, and the reasons that conditions reported because of it: "
        f"{reasons}.\n"
    )


def _table(phase: Phase, recording: Recording, results: Iterable[Result], capitals: dict[str, str]) -> str:
    cells = {(result.case.point, result.case.kind): _cell(result, capitals) for result in results}
    rows = sorted({point for point, _ in cells})
    usual = recording[phase]
    lines = [
        f"### {phase.capitalize()}",
        "",
        f"{_PHASES[phase]} Without a fault: {usual.seconds:.0f} s, {usual.writes} writing requests.",
        "",
        f"| request | {' | '.join(FaultKind)} |",
        f"|---|{'---|' * len(FaultKind)}",
    ]
    lines += [
        f"| `{point.operation}` | {' | '.join(cells.get((point, kind), '') for kind in FaultKind)} |" for point in rows
    ]
    return "\n".join(lines) + "\n"


def _cell(result: Result, capitals: dict[str, str]) -> str:
    if result.violations:
        return "**wrong**"
    difference = f" {result.writes:+d}" if result.writes else ""
    reasons = " ".join(sorted(capitals[reason] for reason in result.reasons))
    return f"{result.seconds:.0f}{difference}{f' {reasons}' if reasons else ''}"


def _capitals(results: Iterable[Result]) -> dict[str, str]:
    """The capitals of each reason, as its abbreviation."""
    reasons = sorted({reason for result in results for reason in result.reasons})
    return {reason: "".join(each for each in reason if each.isupper()) for reason in reasons}
