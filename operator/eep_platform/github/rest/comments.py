"""Operations on comments and reactions. Source: https://docs.github.com/rest/issues/comments."""

from datetime import datetime
from typing import Final

from eep_platform.github.access import Need
from eep_platform.github.errors import forbidden, unprocessable, validation_failed
from eep_platform.github.people import People
from eep_platform.github.records import Comment, Reaction, Role
from eep_platform.github.rest.operations import Answer, Call, operation
from eep_platform.github.rest.paging import paged
from eep_platform.github.store import Store
from eep_platform.github.views.views import Views

MOST_CHARACTERS: Final = 65_536

_LOCKING: Final = "https://docs.github.com/articles/locking-conversations/"

_READ: Final = Need("pull_requests", "read", "issues=read; pull_requests=read")
# Issues: write is said to do as well, and was seen to be refused on a pull request.
_WRITE: Final = Need("pull_requests", "write", "issues=write; pull_requests=write")


class CommentOperations:
    """Writes and reads comments on pull requests, and reactions to them."""

    def __init__(self, store: Store, views: Views, people: People) -> None:
        self._store = store
        self._views = views
        self._people = people

    @operation(
        "issues/create-comment",
        "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
        {201: "IssueComment"},
        body="ReposOwnerRepoIssuesIssueNumberCommentsPostBody",
        need=_WRITE,
    )
    def create(self, call: Call) -> Answer:
        """Comment on a pull request."""
        pull = self._store.pull(call.repository, call.number("issue_number"))
        self._require_unlocked(call, pull.number, "create")
        body = _checked(str(call.body["body"]))
        made = self._people.comment(call.repository, pull, call.user, body, app=call.caller.via)
        return Answer(self._views.comment(call.repository, made), status=201)

    @operation(
        "issues/list-comments",
        "GET /repos/{owner}/{repo}/issues/{issue_number}/comments",
        {200: "list[IssueComment]"},
        need=_READ,
    )
    def list(self, call: Call) -> Answer:
        """The comments of a pull request, the oldest first."""
        pull = self._store.pull(call.repository, call.number("issue_number"))
        found = _since(call, call.repository.comments_of(pull.number))
        return paged(call, found, lambda each: self._views.comment(call.repository, each))

    @operation(
        "issues/list-comments-for-repo",
        "GET /repos/{owner}/{repo}/issues/comments",
        {200: "list[IssueComment]"},
        need=_READ,
    )
    def list_all(self, call: Call) -> Answer:
        """The comments of a repository; ``direction`` counts with ``sort`` only, as at GitHub."""
        found = _since(call, [*call.repository.comments.values()])
        sort = call.query.get("sort")
        is_descending = bool(sort) and call.query.get("direction", "desc") == "desc"
        by_update = sort == "updated"
        found.sort(key=lambda each: (each.updated if by_update else each.created, each.id), reverse=is_descending)
        return paged(call, found, lambda each: self._views.comment(call.repository, each))

    @operation(
        "issues/get-comment",
        "GET /repos/{owner}/{repo}/issues/comments/{comment_id}",
        {200: "IssueComment"},
        need=_READ,
    )
    def get(self, call: Call) -> Answer:
        """One comment."""
        return Answer(self._views.comment(call.repository, self._comment(call)))

    @operation(
        "issues/update-comment",
        "PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}",
        {200: "IssueComment"},
        body="ReposOwnerRepoIssuesCommentsCommentIdPatchBody",
        need=_WRITE,
    )
    def update(self, call: Call) -> Answer:
        """Edit a comment: one's own, or with write access any."""
        comment = self._editable(call)
        self._require_unlocked(call, comment.number, "update")
        self._people.edit(call.repository, comment, call.user, _checked(str(call.body["body"])))
        return Answer(self._views.comment(call.repository, comment))

    @operation(
        "issues/delete-comment",
        "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}",
        {204: ""},
        need=_WRITE,
    )
    def delete(self, call: Call) -> Answer:
        """Delete a comment: one's own, or with write access any."""
        self._people.delete(call.repository, self._editable(call), call.user)
        return Answer(None, status=204)

    @operation(
        "reactions/create-for-issue-comment",
        "POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        {200: "Reaction", 201: "Reaction"},
        body="ReposOwnerRepoIssuesCommentsCommentIdReactionsPostBody",
        need=_WRITE,
    )
    def react(self, call: Call) -> Answer:
        """React to a comment; the same reaction of the same user again is the first one, with status 200."""
        comment, content = self._comment(call), str(call.body["content"])
        self._require_unlocked(call, comment.number, "react to")
        for each in comment.reactions:
            if each.user is call.user and each.content == content:
                return Answer(self._views.reaction(each))
        made = Reaction(self._store.new_id(), call.user, content, self._store.clock())
        comment.reactions.append(made)
        return Answer(self._views.reaction(made), status=201)

    @operation(
        "reactions/list-for-issue-comment",
        "GET /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions",
        {200: "list[Reaction]"},
        need=_READ,
    )
    def reactions(self, call: Call) -> Answer:
        """The reactions to a comment, of one ``content`` if the request names it."""
        content = call.query.get("content")
        found = [each for each in self._comment(call).reactions if content in {None, each.content}]
        return paged(call, found, self._views.reaction)

    def _comment(self, call: Call) -> Comment:
        return self._store.comment(call.repository, call.number("comment_id"))

    def _require_unlocked(self, call: Call, number: int, act: str) -> None:
        """Raise GitHub's error where the conversation is locked: an App never counts as one who may write.

        Source: https://docs.github.com/communities/moderating-comments-and-conversations/locking-conversations.
        """
        may_write = call.caller.via is None and call.repository.role_of(call.user) >= Role.WRITE
        if self._store.pull(call.repository, number).is_locked and not may_write:
            raise forbidden(f"Unable to {act} comment because issue is locked.", documentation=_LOCKING)

    def _editable(self, call: Call) -> Comment:
        comment = self._comment(call)
        is_own = comment.author is call.user
        if not is_own and call.caller.via is None and call.repository.role_of(call.user) < Role.WRITE:
            raise forbidden("Must have admin rights to Repository.")
        return comment


def _checked(body: str) -> str:
    if not body.strip():
        raise validation_failed("IssueComment", "body", "missing_field", "Body cannot be blank")
    if len(body) > MOST_CHARACTERS:
        message = f"Body is too long (maximum is {MOST_CHARACTERS} characters)"
        raise validation_failed("IssueComment", "data", "unprocessable", message)
    return body


def _since(call: Call, comments: "list[Comment]") -> "list[Comment]":
    text = call.query.get("since")
    if not text:
        return comments
    try:
        since = datetime.fromisoformat(text)
    except ValueError as error:
        raise unprocessable(f"Invalid since: {text}") from error
    if since.tzinfo is None:
        raise unprocessable(f"Invalid since: {text}")
    # Times are shown and compared in whole seconds.
    return [each for each in comments if each.updated.replace(microsecond=0) >= since]
