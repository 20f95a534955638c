"""The pages. They need no login: the service is on this machine only."""

from collections import Counter
from typing import Final

from aiohttp import web

from eep_platform.github.errors import GitHubError
from eep_platform.github.pages.layout import STYLE, Html, element, joined, link, page, since, table, text
from eep_platform.github.pages.markdown import rendered
from eep_platform.github.records import Comment, CommitStatus, Deployment, PullRequest, Repository, User
from eep_platform.github.store import Store

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_EMOJI: Final = {
    "+1": "👍",
    "-1": "👎",
    "laugh": "😄",
    "confused": "😕",
    "heart": "❤️",
    "hooray": "🎉",
    "rocket": "🚀",
    "eyes": "👀",
}
_HOME: Final = ("Repositories", "/")
_SHORT: Final = 7


class Pages:
    """Shows what a store holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        """The routes to serve; they take what no API takes."""
        return [
            web.get("/_github/style.css", self.style),
            web.get("/", self.repositories),
            web.get("/{owner}/{repo}", self.repository),
            web.get("/{owner}/{repo}/pulls", self.repository),
            web.get("/{owner}/{repo}/pull/{number:[0-9]+}", self.pull),
        ]

    async def style(self, _: web.Request) -> web.Response:
        """Answer the style sheet."""
        return web.Response(text=STYLE, content_type="text/css", headers=_HEADERS)

    async def repositories(self, _: web.Request) -> web.Response:
        """Answer the list of repositories."""
        rows = [
            (link(f"/{each.full_name}", each.full_name), sum(pull.is_open for pull in each.pulls.values()))
            for each in self._store.repositories.values()
        ]
        return _page(page("Repositories", [], table("Repositories", ["Name", "Open pull requests"], rows)))

    async def repository(self, request: web.Request) -> web.Response:
        """Answer the list of a repository's pull requests."""
        try:
            repository = self._repository(request)
        except GitHubError as error:
            return _missing(error)
        rows = [
            (
                link(f"/{repository.full_name}/pull/{pull.number}", f"#{pull.number} {pull.title}"),
                _state(pull),
                pull.author.login,
                since(pull.updated),
            )
            for pull in sorted(repository.pulls.values(), key=lambda each: -each.number)
        ]
        head = ["Pull request", "State", "Author", "Updated"]
        return _page(page(repository.full_name, [_HOME], table("Pull requests", head, rows)))

    async def pull(self, request: web.Request) -> web.Response:
        """Answer the page of a pull request."""
        try:
            repository = self._repository(request)
            pull = self._store.pull(repository, int(request.match_info["number"]))
        except GitHubError as error:
            return _missing(error)
        trail = [_HOME, (repository.full_name, f"/{repository.full_name}")]
        return _page(page(f"{pull.title} #{pull.number}", trail, *_pull(repository, pull)))

    def _repository(self, request: web.Request) -> Repository:
        return self._store.repository(f"{request.match_info['owner']}/{request.match_info['repo']}")


def _pull(repository: Repository, pull: PullRequest) -> list[Html]:
    where = f"{pull.fork.full_name}:{pull.head_branch}" if pull.fork else pull.head_branch
    count = f"{len(pull.commits)} commit{'' if len(pull.commits) == 1 else 's'}"
    summary = element(
        "p",
        element("strong", _state(pull), class_="state"),
        f" {pull.author.login}: {count} into ",
        element("code", pull.base_branch),
        " from ",
        element("code", where),
    )
    deployments = [each for each in repository.deployments.values() if each.sha in pull.commits]
    comments = [_comment(each) for each in repository.comments_of(pull.number)]
    return [
        summary,
        _section("Checks", _statuses(pull, repository.latest_statuses(pull.head))),
        _section("Deployments", _deployments(deployments[::-1])),
        _section("Conversation", joined(comments) if comments else element("p", "No comments.")),
        _section("Commits", _commits(repository, pull)),
    ]


def _section(title: str, content: Html) -> Html:
    return element("section", element("h2", title), content)


def _statuses(pull: PullRequest, latest: list[CommitStatus]) -> Html:
    rows = [(each.context, each.state, each.description or "", _named_link(each.target_url)) for each in latest]
    return table(f"Statuses of {pull.head[:_SHORT]}", ["Context", "State", "Description", "Details"], rows)


def _deployments(deployments: list[Deployment]) -> Html:
    rows = []
    for each in deployments:
        newest = each.statuses[-1] if each.statuses else None
        is_gone = each.is_transient and each.state == "inactive"
        rows.append(
            (
                each.environment,
                element("code", each.sha[:_SHORT]),
                "destroyed" if is_gone else each.state or "no status",
                newest.description if newest else "",
                _named_link(newest.environment_url if newest and not is_gone else None),
                _named_link(newest.log_url if newest else None),
                since(each.updated),
            )
        )
    head = ["Environment", "Commit", "State", "Description", "URL", "Log", "Updated"]
    return table("Deployments", head, rows)


def _comment(comment: Comment) -> Html:
    edited = " (edited)" if comment.updated != comment.created else ""
    header = element("header", element("strong", _shown(comment.author)), " commented ", since(comment.created), edited)
    counts = Counter(reaction.content for reaction in comment.reactions)
    reactions = ", ".join(f"{_EMOJI[content]} {content} ({count})" for content, count in counts.items())
    footer = element("footer", f"Reactions: {reactions}") if reactions else Html()
    body = element("div", Html(rendered(comment.body)))
    return element("article", header, body, footer, id=f"issuecomment-{comment.id}")


def _commits(repository: Repository, pull: PullRequest) -> Html:
    found = (repository.commits[sha] for sha in pull.commits)
    return element("ol", *(element("li", element("code", each.sha[:_SHORT]), " ", each.message) for each in found))


def _named_link(url: str | None) -> Html:
    return link(url, url) if url else text("")


def _shown(user: User) -> str:
    return f"{user.login.removesuffix('[bot]')} bot" if user.type == "Bot" else user.login


def _state(pull: PullRequest) -> str:
    return "Merged" if pull.merged else "Open" if pull.is_open else "Closed"


def _page(html: str, status: int = 200) -> web.Response:
    return web.Response(text=html, content_type="text/html", headers=_HEADERS, status=status)


def _missing(error: GitHubError) -> web.Response:
    return _page(page("Not found", [_HOME], element("p", "There is no such page.")), error.status)
