"""The comment of an object on a pull request on GitHub: one, found by its hidden marker and its author."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from ephemeral_endpoints.features.reviews.errors import ForgeNotFound
from ephemeral_endpoints.features.reviews.forge import Owner, Publication, Published, Upsert
from ephemeral_endpoints.features.reviews.github.client import GitHubClient

_MARKER: Final = "<!-- ephemeral-endpoints: {} -->"


async def comment(client: GitHubClient, wanted: Publication, known: Published) -> Published:
    """Have the comment as wanted, edited in place; writes only what differs. Raises a ForgeError.

    A comment that was written for this revision and does not exist any more was deleted by a person.
    """
    if wanted.comment is None:
        return known
    body = f"{marker(wanted.owner)}\n{wanted.comment.body}"
    found = await _find(client, wanted, known.comment_id)
    if found is None:
        return await _post(client, wanted, replace(known, comment_id=None), body)
    there = replace(known, comment_id=int(found["id"]), comment_revision=wanted.revision)
    if wanted.comment.upsert is Upsert.POST or _normal(found["body"]) == _normal(body):
        return there
    try:
        repository = wanted.pull_request.repository
        await client.write("PATCH", f"/repos/{repository}/issues/comments/{there.comment_id}", {"body": body})
    except ForgeNotFound:
        return replace(there, comment_id=None)
    return there


def marker(owner: Owner) -> str:
    """The hidden first line of the comment of an object. Names of Kubernetes cannot end it."""
    return _MARKER.format(owner.marker)


async def _post(client: GitHubClient, wanted: Publication, known: Published, body: str) -> Published:
    is_deleted = known.comment_revision == wanted.revision
    if is_deleted or wanted.comment is None or wanted.comment.upsert is Upsert.EDIT:
        return known
    repository, number = wanted.pull_request.repository, wanted.pull_request.number
    made = await client.write("POST", f"/repos/{repository}/issues/{number}/comments", {"body": body})
    return replace(known, comment_id=int(made["id"]), comment_revision=wanted.revision)


async def _find(client: GitHubClient, wanted: Publication, hint: int | None) -> Mapping[str, Any] | None:
    repository, number = wanted.pull_request.repository, wanted.pull_request.number
    login, beginning = await client.login(), marker(wanted.owner)

    def is_ours(found: Mapping[str, Any]) -> bool:
        is_there = str(found.get("issue_url", "")).rpartition("/")[2] == str(number)
        is_by_us = (found.get("user") or {}).get("login") == login
        return is_there and is_by_us and str(found.get("body") or "").startswith(beginning)

    if hint is not None:
        try:
            found = await client.get(f"/repos/{repository}/issues/comments/{hint}")
        except ForgeNotFound:
            found = None
        if found is not None and is_ours(found):
            return dict(found)
    # Whether the pull request can be seen at all shows here only: a comment that cannot is not one that is deleted.
    async for each in client.pages(f"/repos/{repository}/issues/{number}/comments?per_page=100"):
        if is_ours(each):
            return dict(each)
    return None


def _normal(body: object) -> str:
    """The text without what a forge may change of it."""
    return str(body or "").replace("\r\n", "\n").strip()
