from ephemeral_endpoints.features.routing.token import Token


def test_a_token_is_never_shown() -> None:
    assert "s3cret" not in repr(Token("s3cret", "hash", 0.0))
