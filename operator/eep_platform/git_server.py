"""Serves the Git repositories of a platform over smart HTTP, so that a Git client can push to them.

    python -m eep_platform.git_server --port PORT --folder FOLDER

A push to a repository that does not exist creates it. There is no login: the server listens on 127.0.0.1 only.
Source of the protocol: https://git-scm.com/docs/http-protocol.
"""

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Final
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from dulwich.errors import NotGitRepository
from dulwich.repo import Repo
from dulwich.server import Backend, BackendRepo
from dulwich.web import make_wsgi_chain

from eep_platform.git import GitHost

HEALTH: Final = "/_git/health"

_RECEIVE: Final = "git-receive-pack"
_REPOSITORY: Final = re.compile(r"/(?P<name>[A-Za-z0-9_~][A-Za-z0-9._~-]*(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]*)+)\.git")


def application(host: GitHost) -> WSGIApplication:
    """The server as a WSGI application."""

    def handle(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        if pushed := _pushed(environ):
            host.create(pushed)
        with ExitStack() as opened:
            yield from make_wsgi_chain(_Repositories(host, opened), fallback_app=_health)(environ, start_response)

    return handle


def _pushed(environ: WSGIEnvironment) -> str | None:
    """The repository that a request begins to push to."""
    path, _, action = str(environ.get("PATH_INFO", "")).partition("/info/refs")
    services = parse_qs(str(environ.get("QUERY_STRING", ""))).get("service", [])
    match = _REPOSITORY.fullmatch(path)
    return match["name"] if match and not action and services == [_RECEIVE] else None


class _Repositories(Backend):
    """The repositories of one request, which are closed with `opened`."""

    def __init__(self, host: GitHost, opened: ExitStack) -> None:
        self._host = host
        self._opened = opened

    def open_repository(self, path: str | bytes) -> BackendRepo:
        match = _REPOSITORY.fullmatch(path.decode() if isinstance(path, bytes) else path)
        if match is None:
            raise NotGitRepository(f"{path!r} is not /<owner>/<name>.git")
        return self._opened.enter_context(Repo(str(self._host.folder / f"{match['name']}.git")))


def _health(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    found = environ.get("PATH_INFO") == HEALTH
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/plain")])
    return [b"ok\n" if found else b"push to /<owner>/<name>.git\n"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Requests that succeed are no news."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until a signal ends the program."""
    parser = argparse.ArgumentParser(prog="python -m eep_platform.git_server")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)
    app = application(GitHost(options.folder))
    make_server("127.0.0.1", options.port, app, _Server, _Quiet).serve_forever()


if __name__ == "__main__":
    main()
