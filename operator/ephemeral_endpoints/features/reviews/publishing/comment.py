"""The comment on a pull request, in Markdown: what a reviewer wants to know, the most important first. Pure.

Nothing that the pull request can influence gets here but through ``markdown``. What GitHub shows folded or as a table
is readable as plain text too, as a mail about the comment has it.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final

from ephemeral_endpoints.api.v1alpha1.authentication import AuthType
from ephemeral_endpoints.api.v1alpha1.reviews import PullRequestState, ReviewStatus
from ephemeral_endpoints.engine.reasons import SUSPENDED
from ephemeral_endpoints.engine.tags import RETAINED_TAGS
from ephemeral_endpoints.features.capacity.accrual import accrued, is_incomplete
from ephemeral_endpoints.features.capacity.budget_stage import keeps_asleep, told
from ephemeral_endpoints.features.capacity.cost import usd
from ephemeral_endpoints.features.expiry.policy import EndCause, is_abandoned
from ephemeral_endpoints.features.expiry.stage import EXPIRING
from ephemeral_endpoints.features.reviews.forge import CheckState, DeploymentState
from ephemeral_endpoints.features.reviews.publishing.assessment import APPROVAL_REQUIRED, Assessment
from ephemeral_endpoints.features.reviews.publishing.figures import cents, lasting, money, when
from ephemeral_endpoints.features.reviews.publishing.markdown import code, commit, details, is_plain_url, joined, link
from ephemeral_endpoints.features.reviews.publishing.results import checks, comparison
from ephemeral_endpoints.features.routing.callers import auth_type
from ephemeral_endpoints.features.sleep.policy import answers_asleep, can_sleep, stops_asleep, wakes_on_request
from ephemeral_endpoints.features.sleep.stage import is_resting
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.client import secret_name

_MESSAGE: Final = 700


def live(subject: Subject, assessment: Assessment, commands: Collection[str] = ()) -> str:
    """The comment of an object that lives. ``commands`` are those that the class takes by comment, such as extend."""
    return joined(
        (
            _heading(subject, assessment),
            *_notices(subject, assessment),
            _expiry(subject, commands),
            comparison(subject.endpoint, is_open=True),
            _call(subject),
            checks(subject.endpoint, is_open=True),
            _footer(subject, assessment, commands),
        )
    )


def ended(subject: Subject, at: datetime) -> str:
    """The last edit: the object is gone since ``at``."""
    endpoint = subject.endpoint
    results = joined((comparison(endpoint, is_open=False), checks(endpoint, is_open=False)))
    return joined(
        (
            f"### 🗑️ {_name(subject)} is gone since {when(at)}",
            _bill(subject, at),
            _return(subject, at),
            details("Its last results", results) if results else "",
        )
    )


def lost(name: str, at: datetime) -> str:
    """The last edit for an object that went while the operator was not running; ``at`` is when that was noticed."""
    return joined(
        (
            f"### 🗑️ {code(name)} is gone",
            f"The operator noticed that on {when(at)}. What it cost is not known any more.",
            _AGAIN,
        )
    )


def _name(subject: Subject) -> str:
    metadata = subject.endpoint.metadata
    return code(f"{metadata.namespace}/{metadata.name}", 320)


def _heading(subject: Subject, assessment: Assessment) -> str:
    name, revision = _name(subject), commit(subject.endpoint.revision)
    if assessment.deployment is DeploymentState.SUCCESS:
        mark, rest = {
            CheckState.SUCCESS: ("✅", ""),
            CheckState.PENDING: ("⏳", "; its checks are running"),
            CheckState.ERROR: ("❔", ", but checks could not be carried out"),
        }.get(assessment.check, ("❌", ", but checks failed"))
        if is_resting(subject.endpoint):
            return f"### {'💤' if mark == '✅' else mark} {name} is asleep with {revision}{rest}"
        return f"### {mark} {name} serves {revision}{rest}"
    if assessment.reason == APPROVAL_REQUIRED:
        return f"### ✋ {name}: {revision} waits for an approval"
    if assessment.reason == SUSPENDED.name:
        return f"### ⏸️ {name} is suspended: {revision} is not rolled out while its `spec.suspend` is true"
    if assessment.deployment is DeploymentState.FAILURE:
        return f"### ❌ {name} does not serve {revision}"
    return f"### 🚧 {name}: {revision} is on its way"


def _notices(subject: Subject, assessment: Assessment) -> Iterator[str]:
    """What is not as it should be, with what to do."""
    endpoint = subject.endpoint
    revision, review = endpoint.revision, endpoint.status.review or ReviewStatus()
    if review.state is PullRequestState.OPEN and review.head and not review.head.startswith(revision):
        follows = endpoint.spec.source.follow
        until = "the operator rolls it out" if follows else "`spec.source.revision` of the object names the newer one"
        yield (
            f"> ⚠️ The pull request has a newer commit, {commit(review.head)}. This endpoint is about "
            f"{commit(revision)} until {until}."
        )
    if budget := told(endpoint):
        yield f"> 💰 {code(budget.message, _MESSAGE)}"
    if assessment.deployment is DeploymentState.SUCCESS and is_resting(endpoint) and not keeps_asleep(endpoint):
        yield _asleep(subject)
    if assessment.reason == APPROVAL_REQUIRED:
        yield _approval(subject)
    elif assessment.deployment is DeploymentState.FAILURE:
        yield _failure(subject, assessment)
    if endpoint.status.revision and endpoint.status.revision != revision and endpoint.status.url:
        yield f"Until then the URL serves {commit(endpoint.status.revision)}."


def _expiry(subject: Subject, commands: Collection[str]) -> str:
    """That it ends soon, from when the status says so: it is told by the text alone, so that time edits nothing."""
    metadata = subject.endpoint.metadata
    if not any(each.type == EXPIRING and each.status == "True" for each in subject.endpoint.status.conditions):
        return ""
    said = f"> ⏰ **It ends soon, at {when(subject.end.at)}.**"
    if subject.is_at_its_latest:
        return f"{said} Its class lets no endpoint live longer. {_AGAIN}"
    extend = f"`eep extend {metadata.name} 24h --namespace {metadata.namespace}`"
    how = f"comment `/preview extend 24h`, or use {extend}" if "extend" in commands else f"use {extend}"
    return f"{said} To keep it longer, {how}."


def _asleep(subject: Subject) -> str:
    request = "a request to its URL, " if wakes_on_request(subject) else ""
    wake = code(f"eep wake {subject.endpoint.metadata.name}")
    what, then = "instances are", "That takes some minutes."
    if answers_asleep(subject.endpoint.spec.serving):
        what, then = "provisioned concurrency is", "It answers meanwhile, with cold starts."
    return f"Its {what} given up until it wakes, by {request}{wake} or a new commit. {then}"


def _approval(subject: Subject) -> str:
    metadata, source = subject.endpoint.metadata, subject.endpoint.spec.source
    fork = source.head_repository
    origin = f"comes from the fork {code(fork)}" if fork else "is of a class that wants every commit approved"
    return (
        f"The commit {origin}. **Nothing of it is built or run before somebody who may approve has read it:**\n\n"
        f"```sh\neep approve {metadata.name} --namespace {metadata.namespace}\n```\n\n"
        "The command shows exactly what would be built, and asks. Another commit needs another approval."
    )


def _failure(subject: Subject, assessment: Assessment) -> str:
    metadata = subject.endpoint.metadata
    return (
        f"**{code(assessment.reason, 64)}:** {code(assessment.message, _MESSAGE)}\n\n"
        "Push a commit that fixes it. If the cause was elsewhere, have it tried again with "
        f"`eep retry {metadata.name} --namespace {metadata.namespace}`."
    )


def _call(subject: Subject) -> str:
    """How the URL is called; its token is named only, by the Secret that has it."""
    url, metadata = subject.endpoint.status.url, subject.endpoint.metadata
    if not url:
        return ""
    title = f"**Call it:** {link(url)}"
    if not is_plain_url(url):
        return title
    token, header = "", ""
    if auth_type(subject) is AuthType.JWT:
        header = ' -H "Authorization: Bearer $JWT"'
    elif auth_type(subject) is AuthType.IAM:
        header = f' --aws-sigv4 aws:amz:{subject.endpoint_class.spec.region}:execute-api --user "$KEY_ID:$SECRET_KEY"'
    elif auth_type(subject) is AuthType.TOKEN:
        secret = f"kubectl get secret {secret_name(metadata.name)} --namespace {metadata.namespace}"
        token = f"token=$({secret} -o jsonpath='{{.data.token}}' | base64 -d)\n"
        header = ' -H "Authorization: Bearer $token"'
    curl = f"curl{header} -H 'Content-Type: application/json' -d @request.json {url}"
    return f"{title}\n\n```sh\n{token}{curl}\n```"


def _footer(subject: Subject, assessment: Assessment, commands: Collection[str]) -> str:
    """When it ends, what it costs, and how to change that. The price moves during a rollout, and is not shown then."""
    metadata = subject.endpoint.metadata
    costs = _costs(subject) if assessment.deployment is DeploymentState.SUCCESS else ()
    lines = [" · ".join([*costs, f"lives until {when(subject.end.at)}"])]
    taken = set(commands) - (_RESTING if not can_sleep(subject.endpoint.spec.serving) else set())
    how = [f"`/preview {command}` to {end}" for name, command, end in _COMMANDS if name in taken]
    if how:
        lines.append(f"Comment {', or '.join(how)}.")
    else:
        lines.append("Raise `spec.lifecycle.ttl` of the object to keep it longer; delete the object to end it.")
    lines.append(f"All details: `kubectl describe eep {metadata.name} --namespace {metadata.namespace}`")
    return "---\n" + "  \n".join(lines)


def _costs(subject: Subject) -> Iterator[str]:
    """What it costs an hour, and will have cost at its end: what it cost until now would be an edit at any time."""
    cost = subject.endpoint.status.cost
    hourly = usd(cost.hourly_usd) if cost else None
    if hourly is not None:
        by_use = "costs nothing while it is asleep" if _is_stopped(subject) else "costs by use only"
        yield f"{money(hourly)} an hour" if hourly else by_use
    total = accrued(cost, subject.end.at)
    if cost and hourly and total is not None:
        yield f"{'at least' if is_incomplete(cost) else 'about'} {cents(total)} in all by its end"


def _is_stopped(subject: Subject) -> bool:
    """Whether there is no endpoint while the object sleeps, or until it is awake."""
    return is_resting(subject.endpoint) and stops_asleep(subject.endpoint.spec.serving)


_RESTING: Final = {"sleep", "wake"}
_COMMANDS: Final = (
    ("extend", "extend 24h", "keep it longer"),
    ("rebuild", "rebuild", "build it again"),
    ("sleep", "sleep", "give up for a while what it costs by the hour"),
    ("wake", "wake", "get that back"),
    ("delete", "delete", "end it"),
)


def _bill(subject: Subject, at: datetime) -> str:
    life, cost = lasting(at - subject.created_at), subject.endpoint.status.cost
    total = accrued(cost, at)
    if cost is None or total is None or (is_incomplete(cost) and not total):
        return f"It lived {life}. What it cost is not known."
    if is_incomplete(cost):
        return f"It lived {life}, and cost at least {cents(total)}: not all prices are known."
    if not total and subject.endpoint.spec.serving.instances is None:
        return f"It lived {life}, and cost by use only."
    return f"It lived {life}, and cost about {cents(total)}."


_AGAIN: Final = (
    "To get it back, apply the object again: push a commit, or run the workflow again that made it. The URL and the "
    "token are then new."
)

_ABANDONED: Final = (
    "**The object was abandoned: AWS resources of it may be left, and keep costing until the operator's sweep has "
    f"deleted them.** {_AGAIN}"
)

_AFTER: Final = {
    EndCause.MERGED: "The pull request is merged. Nothing of the endpoint is left in AWS.",
    EndCause.OVER_BUDGET: "A budget is spent. Once it has room again, push a commit to get the endpoint back; where "
    "the object is gone too, the workflow that made it has to run again.",
    EndCause.CLOSED: "The pull request is closed. Reopen it to get the endpoint back; where the object is gone "
    "too, the workflow that made it has to run again.",
}


def _return(subject: Subject, at: datetime) -> str:
    """What is left of it, and how to get it back."""
    endpoint = subject.endpoint
    if is_abandoned(endpoint):
        return _ABANDONED
    if subject.is_retained:
        tag = "=".join(RETAINED_TAGS[0])
        return (
            "**Its AWS resources stay, as its `deletionPolicy` asks, and keep costing.** Nobody deletes them but you: "
            f"they have the tag `{tag}`."
        )
    end = subject.end
    if end.is_over(at) and end.cause in _AFTER:
        return _AFTER[end.cause]
    if end.is_over(at) and endpoint.metadata.deletion_timestamp is None:
        return (
            "Its time to live is over. The object stays, because a tool would create it again: remove it there, or "
            "raise its `spec.lifecycle.ttl` to get the endpoint back."
        )
    return f"Its time to live is over. {_AGAIN}" if end.is_over(at) else _AGAIN
