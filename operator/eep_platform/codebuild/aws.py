"""The program `aws` for builds; it has only `aws ecr get-login-password [--region R]`."""

import base64
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import NoReturn

import boto3
from botocore.exceptions import BotoCoreError, ClientError


class _Options(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(
            1, f"aws: the embedded CodeBuild supports only `aws ecr get-login-password [--region R]`: {message}\n"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program; returns its exit status."""
    options = _Options(prog="aws", allow_abbrev=False)
    options.add_argument("service", choices=["ecr"])
    options.add_argument("operation", choices=["get-login-password"])
    options.add_argument("--region")
    given = options.parse_args(arguments)
    try:
        answer = boto3.client("ecr", region_name=given.region).get_authorization_token()
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    user_and_password = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    sys.stdout.write(f"{user_and_password.partition(':')[2]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
