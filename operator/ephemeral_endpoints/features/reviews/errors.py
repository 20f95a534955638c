"""What can go wrong with a forge, translated once.

ForgeError
├── ForgeUnavailable   no answer, 5xx, or an answer that is none: the outcome is unknown
│   └── ForgeLimited   refused for its rate, before anything was done
├── ForgeSecretMissing the Secret that the class names does not exist, or may not be read
├── ForgeSecretInvalid the Secret lacks keys, or the private key in it cannot be read
├── ForgeDenied        the credentials are refused, or access was lost
│   └── ForgePermissionMissing  the credentials lack a permission
├── ForgeNotFound      the repository, pull request or comment does not exist, or may not be seen
└── ForgeInvalid       no retry can help before the request changes
    └── ForgeReadOnly  nothing can be written there: a conversation is locked, or a repository archived
"""

from typing import Final, Self

from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.engine.reasons import Finality, ReasonGroup

FORGE_CONNECTED: Final = "ForgeConnected"
"""The condition of a class that says whether its forge can be used."""

REASONS: Final = ReasonGroup(FORGE_CONNECTED)

CONNECTED: Final = REASONS.normal(
    "ForgeConnected", meaning="The forge takes the class's credentials, and they lack no permission that was found."
)


class ForgeError(ReconcileError):
    """A request to a forge that did not succeed."""


class ForgeUnavailable(ForgeError):
    """The forge does not answer, or not in its own words."""

    reason = REASONS.transient(
        "ForgeUnavailable", meaning="The forge does not answer, or fails. Objects live on; the operator tries again."
    )


class ForgeLimited(ForgeUnavailable):
    """The forge refused a request for its rate. ``retry_after`` is in seconds."""

    reason = REASONS.transient(
        "ForgeLimited", meaning="The forge limits the rate of requests. The operator waits as long as it says."
    )

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ForgeSecretMissing(ForgeError):
    """The Secret that the class names does not exist, or the operator may not read it."""

    reason = REASONS.for_platform(
        "ForgeSecretMissing",
        meaning="The Secret that `spec.reviews.secretName` of the class names does not exist in the operator's "
        "namespace, or the operator may not read it.",
        remedy="create the Secret, and name it in the chart's value `secrets`, see [GitHub](github.md); the "
        "operator looks again within five minutes",
    )


class ForgeSecretInvalid(ForgeError):
    """The Secret lacks keys, or what they hold cannot be used."""

    reason = REASONS.for_platform(
        "ForgeSecretInvalid",
        meaning="The Secret with the class's credentials lacks a key, or its private key cannot be read.",
        remedy="correct the Secret, see [GitHub](github.md); the operator looks again within five minutes",
    )

    @classmethod
    def with_advice(cls, problem: str) -> Self:
        """The error with who must act, and when it heals."""
        return cls(f"{problem}; a platform engineer must correct it, and the operator looks again within 5 minutes")


class ForgeDenied(ForgeError):
    """The credentials are wrong, were revoked, or access was lost."""

    reason = REASONS.for_platform(
        "ForgeDenied",
        meaning="The forge refuses the class's credentials: the token was revoked or has expired, or the App is "
        "suspended or not installed where it is needed. Nothing is concluded from that about pull requests.",
        remedy="renew the Secret that the class names, or install the App, see [GitHub](github.md)",
    )


class ForgePermissionMissing(ForgeDenied):
    """The credentials lack a permission, which the message names."""

    reason = REASONS.for_platform(
        "ForgePermissionMissing",
        meaning="The App or token of the class lacks the permission that the message names.",
        remedy="grant it, see [GitHub](github.md); of an App, an owner of the organization must also accept it",
    )


class ForgeNotFound(ForgeError):
    """What the request names does not exist, or may not be seen."""

    reason = REASONS.for_platform(
        "ForgeNotFound",
        meaning="The repository or pull request does not exist, or the class's credentials may not see it.",
        remedy="correct `spec.source`, or install the App in the repository",
    )


class ForgeInvalid(ForgeError):
    """The forge refuses the request as it is."""

    reason = REASONS.for_platform(
        "ForgeInvalid",
        meaning="The forge refuses what the operator asks for.",
        remedy="report the message: it is a fault of the operator, or a rule of the repository",
    )


class ForgeReadOnly(ForgeInvalid):
    """The pull request or the repository takes nothing more, whatever the credentials may do."""

    reason = REASONS.for_author(
        "ForgeReadOnly",
        finality=Finality.RECOVERABLE,
        meaning="The conversation of the pull request is locked, so that the forge takes no comment of an App there, "
        "or the repository is archived. The object is served nevertheless.",
        remedy="unlock the conversation, or unarchive the repository; the operator tries again",
    )
