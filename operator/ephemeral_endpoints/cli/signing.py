"""The AWS credentials of whoever uses the command line, and what is signed with them."""

import os
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import click
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

_HOST: Final = re.compile(r"[a-z0-9-]+\.execute-api\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


def own_credentials() -> Credentials:
    """The credentials that AWS's own tools would use. Raises ClickException without any."""
    try:
        credentials = get_session().get_credentials()
    except BotoCoreError as error:
        raise click.ClickException(f"cannot read the AWS credentials: {error}") from error
    if credentials is None:
        raise click.ClickException("found no AWS credentials: sign in, or set AWS_PROFILE")
    frozen = credentials.get_frozen_credentials()
    if not (frozen.access_key and frozen.secret_key):
        raise click.ClickException("the AWS credentials are incomplete: sign in again")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


def signed_headers(url: str, headers: Mapping[str, str], body: bytes, credentials: Credentials) -> dict[str, str]:
    """The headers of a POST with those that sign it for API Gateway. Raises ClickException where its region is unknown.

    The form is AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).
    """
    host = _HOST.fullmatch(urlsplit(url).hostname or "")
    region = host["region"] if host else os.environ.get("AWS_REGION") or get_session().get_config_variable("region")
    if not region:
        raise click.ClickException("the URL does not name the region that it is in: set AWS_REGION")
    request = AWSRequest("POST", url, dict(headers), body)
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    return dict(request.headers.items())
