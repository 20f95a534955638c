"""The texts of notifications. Pure.

Names of branches and messages of conditions are written by whoever opens a pull request: they are bounded, shown on one
line, and escaped. What looks like a credential or an account number is masked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.notifications import NotificationEvent
from ephemeral_endpoints.engine.redaction import MASK, redacted

SUBJECT_LENGTH: Final = 99
"""https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""

MOST_DETAIL: Final = 600
MOST_BRANCH: Final = 80
SHOWN_REVISION: Final = 12

# The digits of an account are in ARNs and in the names of registries.
_ACCOUNT: Final = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
_URL: Final = re.compile("https?://[!-~]{1,512}")

_TITLES: Final[Mapping[NotificationEvent, str]] = {
    NotificationEvent.READY: "is ready",
    NotificationEvent.FAILED: "has failed",
    NotificationEvent.CHECKS_FAILED: "does not pass its checks",
    NotificationEvent.EXPIRING: "ends soon",
    NotificationEvent.BUDGET: "has reached a threshold of a budget",
    NotificationEvent.GONE: "is gone",
}


@dataclass(frozen=True, slots=True)
class Notification:
    """What a person is told. ``branch`` and ``detail`` are others' words, on one line each.

    Of two with the same ``id``, one is a repetition, because the answer to the other was lost.
    """

    title: str
    about: str = ""
    branch: str = ""
    detail: str = ""
    url: str = ""
    advice: str = ""
    id: str = field(default_factory=lambda: uuid4().hex)


def notification(event: NotificationEvent, endpoint: EphemeralEndpoint, detail: str = "") -> Notification:
    """The notification of an event of an object, as it was when its status was written. ``detail`` explains it."""
    metadata, source, url = endpoint.metadata, endpoint.spec.source, endpoint.status.url or ""
    number = f"#{source.pull_request}" if source.pull_request is not None else ""
    return Notification(
        title=f"{metadata.namespace}/{metadata.name} {_TITLES[event]}",
        about=f"{source.repository}{number}, revision {endpoint.revision[:SHOWN_REVISION]}",
        branch=safe(source.branch or "", MOST_BRANCH),
        detail=safe(detail),
        url=shown_url(url) if event is NotificationEvent.READY else "",
        advice=_advice(event, f"{metadata.name} -n {metadata.namespace}"),
    )


def dropped(counts: Mapping[NotificationEvent, int]) -> Notification:
    """The notification of how many others were not sent, because there were too many at once."""
    total, numbers = sum(counts.values()), ", ".join(f"{count} {event}" for event, count in sorted(counts.items()))
    return Notification(
        title=f"{total} more notification{'s were' if total > 1 else ' was'} not sent: {numbers}",
        advice="There were too many at once. `eep list --all-namespaces` shows all previews.",
    )


def plain(notification: Notification) -> str:
    """The notification as plain text."""
    about = f"{notification.about}, branch {notification.branch}" if notification.branch else notification.about
    lines = (notification.title, about, notification.detail, notification.url, notification.advice)
    return "\n".join(filter(None, lines))


def subject(notification: Notification) -> str:
    """The title as the subject that SNS takes: ASCII of a limited length."""
    return notification.title[:SUBJECT_LENGTH]


def slack(notification: Notification) -> dict[str, object]:
    """The notification as Slack's incoming webhooks take it.

    https://docs.slack.dev/messaging/formatting-message-text. The words of others are in code, which takes no formatting
    and makes no links, and nobody is mentioned.
    """
    branch = f", branch `{_escaped(notification.branch)}`" if notification.branch else ""
    lines = (
        f"*{_escaped(notification.title)}*",
        f"{_escaped(notification.about)}{branch}",
        f"```{_escaped(notification.detail)}```" if notification.detail else "",
        f"<{_escaped(notification.url)}>" if notification.url else "",
        _escaped(notification.advice),
    )
    return {"text": "\n".join(filter(None, lines)), "unfurl_links": False, "unfurl_media": False}


def _advice(event: NotificationEvent, name: str) -> str:
    match event:
        case NotificationEvent.READY:
            return f"Try it: `eep invoke {name}`"
        case NotificationEvent.EXPIRING:
            return f"To keep it longer: `eep extend {name} 24h`"
        case NotificationEvent.GONE:
            return "To get it back, create it again or push to the pull request."
    return f"More: `eep status {name}`"


def shown_url(url: str) -> str:
    """The URL, or nothing where it is not a plain one."""
    return url if _URL.fullmatch(url) else ""


def safe(text: str, most: int = MOST_DETAIL) -> str:
    """Somebody else's text: on one line, without credentials, account numbers and the end of a code."""
    line = "".join(each if each.isprintable() else " " for each in _ACCOUNT.sub(MASK, redacted(text)))
    flat = " ".join(line.replace("`", "'").split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
