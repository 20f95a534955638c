from collections.abc import Mapping

import pytest

from ephemeral_endpoints.features.reviews.errors import ForgeSecretInvalid
from ephemeral_endpoints.features.reviews.github.credentials import App, Credentials, Token, credentials_of

WHERE = "the Secret eep/forge-github"
LONG = "ghs_123456_" + "x" * 600


@pytest.mark.parametrize(
    ("data", "expected", "reason"),
    [
        ({"token": b"ghp_abc"}, Token("ghp_abc"), "a token"),
        ({"token": b"ghp_abc\n"}, Token("ghp_abc"), "from a file, with the end of its line"),
        ({"token": LONG.encode()}, Token(LONG), "tokens have no length"),
        ({"token": b"x"}, Token("x"), "tokens have no length"),
        ({"token": b"ghp_abc", "webhookSecret": b"s"}, Token("ghp_abc"), "other keys are others'"),
        ({"appId": b"7", "privateKey": b"PEM"}, App("7", "PEM", None, WHERE), "an App"),
        ({"appId": b"Iv23li", "privateKey": b"PEM"}, App("Iv23li", "PEM", None, WHERE), "its client ID"),
        ({"appId": b"7", "privateKey": b"PEM", "installationId": b"9"}, App("7", "PEM", "9", WHERE), "installed once"),
        ({"appId": b"7", "privateKey": b"PEM", "token": b""}, App("7", "PEM", None, WHERE), "an empty key is none"),
    ],
)
def test_credentials_are_read(data: Mapping[str, bytes], expected: Credentials, reason: str) -> None:
    assert reason
    assert credentials_of(data, WHERE) == expected


@pytest.mark.parametrize(
    ("data", "message", "reason"),
    [
        ({}, "lacks appId and privateKey: it needs the key token, or the keys appId and privateKey", "nothing"),
        ({"appId": b"7"}, "lacks privateKey", "half an App"),
        ({"privateKey": b"PEM"}, "lacks appId", "the other half"),
        ({"token": b"t", "appId": b"7", "privateKey": b"PEM"}, "has both token and appId", "which one?"),
        ({"token": b"\xff\xfe"}, "is not text", "not UTF-8"),
        ({"token": b"ghp abc"}, "such as spaces", "two words"),
        ({"token": b"a\r\nX-Evil: 1"}, "such as spaces", "a header of its own"),
        ({"token": "g\u0445p".encode()}, "such as spaces", "a Cyrillic letter"),
        ({"appId": b"7", "privateKey": b"PEM", "installationId": b"9/../1"}, "is not a number", "part of a path"),
    ],
)
def test_what_cannot_be_used_says_which_key_and_never_what_it_holds(
    data: Mapping[str, bytes], message: str, reason: str
) -> None:
    assert reason
    with pytest.raises(ForgeSecretInvalid, match="a platform engineer must correct it") as caught:
        credentials_of(data, WHERE)
    assert message in str(caught.value)
    assert WHERE in str(caught.value)
    assert not any(value.decode(errors="replace") in str(caught.value) for value in data.values() if len(value) > 1)


def test_credentials_do_not_show_themselves() -> None:
    assert "secret" not in repr(Token("secret"))
    assert "secret" not in repr(App("7", "secret", None, WHERE))
