"""Callers of a URL who look for another way in than the token."""

import hmac
from typing import Any

import pytest
from tests.features.routing.forwarder.deployed import TOKEN, TOKEN_SHA256

from ephemeral_endpoints.features.routing.forwarder import messages
from ephemeral_endpoints.features.routing.forwarder.messages import Problem


@pytest.mark.parametrize("guess", ["", "c", TOKEN[:-1], TOKEN, f"{TOKEN}x", "x" * 8000])
def test_the_response_time_does_not_reveal_how_much_of_a_token_is_right(
    guess: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is compared is of one length, in constant time, and changes wholly with every letter of the guess."""
    compared: list[tuple[Any, Any]] = []

    def compare(first: str, second: str) -> bool:
        compared.append((first, second))
        return first == second

    monkeypatch.setattr(hmac, "compare_digest", compare)
    is_let_in = True
    try:
        messages.authenticate({"authorization": f"Bearer {guess}"}, [TOKEN_SHA256])
    except Problem:
        is_let_in = False
    [(first, second)] = compared
    assert (len(first), len(second)) == (64, 64)
    assert is_let_in == (guess == TOKEN)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"cookie": f"token={TOKEN}"}, id="a cookie, which a browser sends for others"),
        pytest.param({"x-forwarded-authorization": f"Bearer {TOKEN}"}, id="what a proxy may set"),
        pytest.param({"authorization ": f"Bearer {TOKEN}"}, id="a blank behind the name"),
        pytest.param({"x-original-url": "/", "x-http-method-override": "OPTIONS"}, id="another path and method"),
        pytest.param({"authorization": f"Bearer\t{TOKEN}"}, id="a tab"),
        pytest.param({"authorization": "Bearer null"}, id="what a program says that has none"),
        pytest.param({"authorization": "Bearer " + "\u0000" * 100}, id="nothing at all"),
        pytest.param({"sec-websocket-protocol": TOKEN, "x-api-key": ""}, id="the header of another protocol"),
    ],
)
def test_no_other_header_opens(sent: dict[str, str]) -> None:
    with pytest.raises(Problem) as refusal:
        messages.authenticate(messages.headers({"headers": sent}), [TOKEN_SHA256])
    assert TOKEN not in f"{refusal.value.detail}{refusal.value.headers}"
