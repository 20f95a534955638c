"""Masks credentials in text that others can read: a commit controls the log of its build."""

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
# The pattern does not read text before the keyword and does not backtrack: the commit controls the log, which could
# otherwise keep the operator busy for hours.
_NAMED: Final = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|credentials?)[A-Z0-9_]*+[\"']?\s*+[:=]\s*+[\"']?)([^\s\"',;|]{4,})"
)
_BEARER: Final = re.compile(r"(?i)(\b(?:bearer|basic)\s++)[A-Za-z0-9._~+/=-]{8,}")

LONGEST: Final = 4096
"""Maximum number of characters that are read; messages are shorter anyway."""


def redacted(text: str) -> str:
    """The text with everything masked that looks like a credential. Masks too much rather than too little.

    A long text is cut between words, if it has any, so that no credential is cut in two and missed.
    """
    text = _CREDENTIALS.sub(MASK, _cut(text))
    text = _IN_URL.sub(MASK, text)
    text = _BEARER.sub(rf"\1{MASK}", text)
    return _NAMED.sub(rf"\1{MASK}", text)


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    beginning = text[:LONGEST]
    return f"{' '.join(beginning.split(' ')[:-1]) or MASK} …"
