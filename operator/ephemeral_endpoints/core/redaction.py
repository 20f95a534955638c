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
# What stands in front of the word need not be read, and what was read is not tried again in another way: a commit says
# what its log says, and a log could otherwise keep the operator busy for hours.
_NAMED: Final = re.compile(
    r"(?i)((?:password|passwd|secret|token|api[_-]?key|credentials?)[A-Z0-9_]*+[\"']?\s*+[:=]\s*+[\"']?)([^\s\"',;|]{4,})"
)
_BEARER: Final = re.compile(r"(?i)(\b(?:bearer|basic)\s++)[A-Za-z0-9._~+/=-]{8,}")

LONGEST: Final = 4096
"""So many characters are read; what is told to people is shorter anyway."""


def redacted(text: str) -> str:
    """The text with everything masked that looks like a credential. Masks too much rather than too little.

    A long text is cut, between words where it has any, so that no credential is cut in two and then not recognised.
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
