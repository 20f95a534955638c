"""The service as a program; ends its builds when it is told to end (SIGTERM, SIGINT)."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from ephemeral_endpoints.local.codebuild.app import Places, application
from ephemeral_endpoints.local.paths import cache_dir
from ephemeral_endpoints.local.sagemaker.store import Account

_SHUTDOWN_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on 127.0.0.1 until ended by a signal."""
    parser = argparse.ArgumentParser(prog="python -m ephemeral_endpoints.local.codebuild", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port of 127.0.0.1 to serve on")
    parser.add_argument(
        "--aws-endpoint", required=True, help="URL of the AWS that has ECR, CloudWatch Logs, Secrets Manager and SSM"
    )
    parser.add_argument("--registry", required=True, help="host:port of the image registry that stands for ECR's")
    parser.add_argument("--state", type=Path, required=True, help="folder of the platform's state")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="000000000000", help="12 digits")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    state: Path = options.state.resolve() / "codebuild"
    state.mkdir(parents=True, exist_ok=True)
    places = Places(options.aws_endpoint, options.registry, state, cache_dir() / "images")
    app = application(places, Account(options.account, options.region))
    web.run_app(app, host="127.0.0.1", port=options.port, print=None, shutdown_timeout=_SHUTDOWN_SECONDS)


if __name__ == "__main__":
    main()
