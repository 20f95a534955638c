"""Takes credentials out of text that others may read: the log of a build says whatever the commit makes it say."""

import re
from typing import Final

MASK: Final = "***"

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
# https://docs.github.com/en/authentication/keeping-your-account-and-data-secure/about-authentication-to-github
_CREDENTIALS: Final = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\b(?:gh[opsur]|github_pat|glpat|pypi|hf|sk)[_-][A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
)
_IN_URL: Final = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_NAMED: Final = re.compile(
    r"(?i)(\b[A-Z0-9_.-]*(?:password|passwd|secret|token|api[_-]?key|credentials?)[A-Z0-9_]*[\"']?\s*[:=]\s*[\"']?)"
    r"([^\s\"',;|]{4,})"
)
_BEARER: Final = re.compile(r"(?i)(\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}")


def redacted(text: str) -> str:
    """The text with everything masked that looks like a credential. Masks too much rather than too little."""
    text = _CREDENTIALS.sub(MASK, text)
    text = _IN_URL.sub(MASK, text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    return _NAMED.sub(rf"\1{MASK}", text)
