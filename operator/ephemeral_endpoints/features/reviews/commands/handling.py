"""Handles one comment that may be a command: who may give it, what it does, and how it is answered."""

import logging
import re
from collections.abc import Callable, Sequence
from typing import Final

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass
from ephemeral_endpoints.api.v1alpha1.review_commands import ReviewCommand
from ephemeral_endpoints.features.reviews.commands.allowance import Allowance
from ephemeral_endpoints.features.reviews.commands.authority import Authority
from ephemeral_endpoints.features.reviews.commands.execution import Execution
from ephemeral_endpoints.features.reviews.commands.parser import Command, Misspelt, parse, usage
from ephemeral_endpoints.features.reviews.errors import (
    ForgeDenied,
    ForgeError,
    ForgeInvalid,
    ForgeLimited,
    ForgeNotFound,
)
from ephemeral_endpoints.features.reviews.forge import Comment, Discussion, Reaction
from ephemeral_endpoints.kube.cache import ObjectKey

logger = logging.getLogger(__name__)

REFUSALS: Final = (60, 3600.0)
"""How many comments of people with rights are refused in how many seconds, and as many of others: half as many for one
namespace alone."""

_ANSWERED: Final = frozenset({Reaction.DONE, Reaction.REFUSED})
_LOGIN: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
NO_RIGHTS: Final = "commands need the permission to write to this repository"


class CommandHandler:
    """Handles comments. ``clock`` is monotonic seconds."""

    def __init__(self, execution: Execution, clock: Callable[[], float]) -> None:
        self._execution = execution
        self._authority = Authority(clock)
        self._refusals = {has_rights: Allowance(*REFUSALS, clock) for has_rights in (False, True)}

    async def handle(
        self,
        forge: Discussion,
        comment: Comment,
        endpoint_class: EphemeralEndpointClass,
        keys: Sequence[ObjectKey],
        *,
        is_old: bool,
    ) -> None:
        """Carry out and answer the comment, if it is a command for these objects.

        ``is_old``: another process may have handled it, which the reactions tell. May be repeated. Raises Later,
        ForgeError and KubernetesError if it has to be.
        """
        is_by_person = not comment.is_bot and not comment.is_edited and _LOGIN.fullmatch(comment.author)
        command = parse(comment.body) if is_by_person and keys else None
        if command is None or self._authority.is_known_without(comment):
            return
        group = " ".join(sorted({key.namespace or "" for key in keys}))
        has_rights = await self._authority.may_write(forge, comment, group)
        if not has_rights and self._refusals[has_rights].wait(group):
            return
        if is_old and await _is_answered(forge, comment):
            return
        why = await self._carry_out(forge, comment, command, endpoint_class, keys) if has_rights else NO_RIGHTS
        if why and self._refusals[has_rights].take(group):
            await _refuse(forge, comment, why)

    async def _carry_out(
        self,
        forge: Discussion,
        comment: Comment,
        command: Command | Misspelt,
        endpoint_class: EphemeralEndpointClass,
        keys: Sequence[ObjectKey],
    ) -> str | None:
        """Do it and say so; returns why it is not done."""
        if isinstance(command, Misspelt):
            return command.why
        if command.name not in (allowed := allowed_commands(endpoint_class)):
            return f"the class of this preview does not allow that: {usage(allowed)}"
        if not await _react(forge, comment, Reaction.SEEN):
            return None
        if why := await self._execution.execute(command, comment, endpoint_class, keys):
            return why
        await _react(forge, comment, Reaction.DONE)
        return None


def allowed_commands(endpoint_class: EphemeralEndpointClass) -> tuple[ReviewCommand, ...]:
    """The commands that a class allows."""
    reviews = endpoint_class.spec.reviews
    return reviews.commands if reviews else ()


async def _is_answered(forge: Discussion, comment: Comment) -> bool:
    try:
        return bool(await forge.reactions(comment) & _ANSWERED)
    except ForgeNotFound:
        return True  # the comment was deleted


async def _react(forge: Discussion, comment: Comment, reaction: Reaction) -> bool:
    """React if that is allowed, as it is not where a conversation is locked; returns whether the comment exists.

    A refusal is final only if it is repeated: nobody comes back to a missing reaction.
    """
    refused: ForgeError | None = None
    for _ in range(2):
        try:
            await forge.react(comment, reaction)
        except ForgeNotFound:
            return False
        except (ForgeDenied, ForgeInvalid) as error:
            refused = error
        else:
            return True
    if refused:
        _log_unanswered(comment, refused)
    return True


async def _refuse(forge: Discussion, comment: Comment, why: str) -> None:
    """Answer that nothing is done. The reaction comes first: after it no process replies again."""
    if await _react(forge, comment, Reaction.REFUSED):
        try:
            await forge.reply(comment, f"@{comment.author}: {why}.")
        except ForgeLimited:
            raise  # it has not arrived
        except ForgeError as error:
            _log_unanswered(comment, error)  # it may have arrived, and two replies are worse than none


def _log_unanswered(comment: Comment, error: ForgeError) -> None:
    key = comment.pull_request
    extra = {"repository": key.repository, "pull_request": key.number, "comment": comment.id, "error": str(error)}
    logger.warning("a command by comment cannot be answered", extra=extra)
