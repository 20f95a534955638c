"""The AWS credentials of the shell."""

from contextlib import closing
from typing import Final

import boto3
from botocore.config import Config

CONFIG: Final = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3, "mode": "standard"})


def mismatch(session: boto3.Session, account: str, what: str) -> str | None:
    """Why the credentials cannot be used for ``what`` is in an account; None if they are that account's.

    Blocks; raises what boto3 raises.
    """
    with closing(session.client("sts", config=CONFIG)) as sts:
        own = sts.get_caller_identity()["Account"]
    if own == account:
        return None
    return (
        f"your AWS credentials are of the account {own}, and {what} in {account}: choose others, for example with the "
        "variable AWS_PROFILE"
    )
