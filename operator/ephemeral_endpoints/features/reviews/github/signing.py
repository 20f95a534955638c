"""Signs the JSON Web Token by which a GitHub App shows who it is, in a process of its own.

The library that reads a private key takes 13 MB in memory, and is needed for a moment an hour.
https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
"""

import asyncio
import json
import sys
from typing import Final

BACKDATED_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 540
"""From the backdated beginning; GitHub takes ten minutes at most."""

_UNREADABLE: Final = 3
_TIMEOUT_SECONDS: Final = 30.0


class UnreadableKeyError(ValueError):
    """The text is not an RSA private key in PEM form without a password."""


async def app_jwt(app_id: str, private_key: str, now: int) -> str:
    """A token that is good for eight minutes from ``now``, in seconds since 1970.

    Raises UnreadableKeyError, and OSError or TimeoutError if the process cannot be started or does not end.
    """
    claims = {"iat": now - BACKDATED_SECONDS, "exp": now - BACKDATED_SECONDS + LIFETIME_SECONDS, "iss": app_id}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            signed, _ = await process.communicate(json.dumps({"claims": claims, "key": private_key}).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == _UNREADABLE:
        raise UnreadableKeyError
    if process.returncode:
        raise OSError(f"the process that signs ended with {process.returncode}")
    return signed.decode()


def main() -> int:
    """Sign the claims on stdin with the key beside them; the token goes to stdout."""
    import jwt  # noqa: PLC0415 - only this process pays for it

    asked = json.load(sys.stdin)
    try:
        signed = jwt.encode(asked["claims"], asked["key"], algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        return _UNREADABLE
    sys.stdout.write(signed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
