"""Refuses calls that were signed at another time, or for a region that lacks the service, as AWS does.

The signatures themselves are not checked.

Services allow five minutes, S3 fifteen. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
and https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web
from microburst.core.context import RequestContext

from eep_platform.aws.wire import Request, error_response

_FORMAT: Final = "%Y%m%dT%H%M%SZ"
_TOLERANCE: Final = timedelta(minutes=5)
_TOLERANCE_OF_S3: Final = timedelta(minutes=15)
_QUERY: Final = "query"
_REGION: Final = re.compile(r"Credential=[^/]+/[^/]+/([^/]+)/")
_REGIONS: Final = {"pricing": frozenset({"ap-south-1", "eu-central-1", "us-east-1"})}
"""The regions of services that few have: https://docs.aws.amazon.com/general/latest/gr/billing.html."""

_BAD_REQUEST, _FORBIDDEN = 400, 403


def refusal(request: Request, ctx: RequestContext, now: datetime) -> web.Response | None:
    """The service's answer to a call that was signed too early, too late or elsewhere; None to any other."""
    region = _REGION.search(request.headers.get("Authorization", ""))
    if region and region[1] not in _REGIONS.get(ctx.service or "", {region[1]}):
        return error_response(ctx, "InvalidSignatureException", "Credential should be scoped to a valid region.", 400)
    try:
        signed_at = datetime.strptime(request.headers.get("X-Amz-Date", ""), _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
    if ctx.service == "s3":
        message = "The difference between the request time and the current time is too large."
        is_skewed = abs(now - signed_at) > _TOLERANCE_OF_S3
        return error_response(ctx, "RequestTimeTooSkewed", message, _FORBIDDEN) if is_skewed else None
    if abs(now - signed_at) <= _TOLERANCE:
        return None
    if signed_at < now:
        said, compared, sign, limit = "expired", "now earlier", "-", now - _TOLERANCE
    else:
        said, compared, sign, limit = "not yet current", "still later", "+", now + _TOLERANCE
    message = (
        f"Signature {said}: {signed_at:{_FORMAT}} is {compared} than {limit:{_FORMAT}} ({now:{_FORMAT}} {sign} 5 min.)"
    )
    code = "SignatureDoesNotMatch" if ctx.protocol == _QUERY else "InvalidSignatureException"
    return error_response(ctx, code, message, _BAD_REQUEST if ctx.protocol == "json" else _FORBIDDEN)
