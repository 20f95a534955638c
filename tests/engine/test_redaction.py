import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.engine.redaction import MASK, redacted

SECRETS = [
    pytest.param("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", id="an AWS access key"),
    pytest.param("key ASIAIOSFODNN7EXAMPLE here", "ASIAIOSFODNN7EXAMPLE", id="a temporary one"),
    pytest.param("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c", id="a GitHub token"),
    pytest.param(
        "ghs_123456_eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJnaXRodWIifQ.MjllXOlBr9sQg3S2m3lOw6AmKk-g6Nq99-9yS0XUm0w",
        "MjllXOlBr9sQ",
        id="a token of an App's installation",
    ),
    pytest.param("github_pat_11ABCDEFG0123456789_abcdefgh", "11ABCDEFG", id="a fine-grained GitHub token"),
    pytest.param("glpat-abcdefghijklmnopqrst", "abcdefghijkl", id="a GitLab token"),
    pytest.param("hf_abcdefghijklmnopqrstuvwxyz", "abcdefghijkl", id="a Hugging Face token"),
    pytest.param("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgN", "eyJzdWIi", id="a JSON web token"),
    pytest.param("cloning https://user:s3cr3t-word@host/x.git", "s3cr3t-word", id="in a URL"),
    pytest.param("Authorization: Bearer abc.def-ghi_jkl", "abc.def-ghi_jkl", id="a header"),
    pytest.param("password=correct-horse", "correct-horse", id="a password by its name"),
    pytest.param("+ export DB_PASSWORD='correct-horse'", "correct-horse", id="of a shell"),
    pytest.param('{"api_key": "correct-horse"}', "correct-horse", id="in JSON"),
    pytest.param("MY_SECRET_TOKEN: correct-horse", "correct-horse", id="in YAML"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_what_looks_like_a_credential_is_masked(text: str, secret: str) -> None:
    assert secret not in redacted(text)
    assert MASK in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "ERROR: failed to solve: python:3.11-slim: not found",
        "ModuleNotFoundError: No module named 'sklearn'",
        "https://github.com/acme/sentiment.git: reference not found",
        "COPY failed: file not found in build context: model.pkl",
    ],
)
def test_what_people_need_to_see_stays(text: str) -> None:
    assert redacted(text) == text


@given(before=st.text(max_size=50), after=st.text(max_size=50))
def test_a_key_is_found_wherever_it_stands(before: str, after: str) -> None:
    assert "AKIAIOSFODNN7EXAMPLE" not in redacted(f"{before} AKIAIOSFODNN7EXAMPLE {after}")
