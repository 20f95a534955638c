"""An emulated service as a program that serves on 127.0.0.1 until SIGTERM or SIGINT."""

import argparse
import logging
from collections.abc import Awaitable
from pathlib import Path

from aiohttp import web

_SHUTDOWN_SECONDS = 1.0


def command_line(module: str, description: str | None, *, needs: str) -> argparse.ArgumentParser:
    """The options that every service takes; `needs` lists the services that it calls at `--aws-endpoint`."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    parser.add_argument("--port", type=int, required=True, help="port of 127.0.0.1 to serve on")
    parser.add_argument("--aws-endpoint", required=True, help=f"URL of an AWS that has {needs}")
    parser.add_argument("--state", type=Path, required=True, help="state folder of the platform")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="000000000000", help="12 digits")
    return parser


def state_folder(platform: Path, service: str) -> Path:
    """The service's own folder in the state folder of the platform; creates it if needed."""
    folder = platform / service
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def serve(app: web.Application | Awaitable[web.Application], port: int) -> None:
    """Serve until a signal ends the program; blocks."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    web.run_app(app, host="127.0.0.1", port=port, print=None, shutdown_timeout=_SHUTDOWN_SECONDS)
