import pytest

from ephemeral_endpoints.features.reviews.github.hosts import Host


@pytest.mark.parametrize(
    ("url", "rest", "graphql"),
    [
        ("https://github.com", "https://api.github.com", "https://api.github.com/graphql"),
        ("https://www.github.com", "https://api.github.com", "https://api.github.com/graphql"),
        ("https://acme.ghe.com", "https://api.acme.ghe.com", "https://api.acme.ghe.com/graphql"),
        ("https://git.acme.org", "https://git.acme.org/api/v3", "https://git.acme.org/api/graphql"),
        ("https://git.acme.org:8443", "https://git.acme.org:8443/api/v3", "https://git.acme.org:8443/api/graphql"),
        ("https://evilghe.com", "https://evilghe.com/api/v3", "https://evilghe.com/api/graphql"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/api/v3", "http://127.0.0.1:8080/api/graphql"),
    ],
)
def test_every_host_has_its_apis_where_github_says(url: str, rest: str, graphql: str) -> None:
    assert Host.of(url) == Host(rest, graphql)


@pytest.mark.parametrize(
    ("location", "expected", "reason"),
    [
        ("https://git.acme.org/api/v3/repositories/7", "https://git.acme.org/api/v3/repositories/7", "as GitHub does"),
        ("/api/v3/repositories/7?page=2", "https://git.acme.org/api/v3/repositories/7?page=2", "a path"),
        ("https://evil.example/api/v3/repositories/7", None, "another host"),
        ("https://git.acme.org.evil.example/api/v3/user", None, "a host that begins alike"),
        ("https://git.acme.org:8443/api/v3/user", None, "another port"),
        ("http://git.acme.org/api/v3/user", None, "without TLS"),
        ("//evil.example/api/v3/user", None, "another host without a scheme"),
        ("https://git.acme.org/login", None, "not the API: a page for people"),
        ("https://user@git.acme.org/api/v3/user", None, "with credentials"),
        ("../../../../login", None, "out of the API"),
    ],
)
def test_credentials_are_sent_to_their_host_only(location: str, expected: str | None, reason: str) -> None:
    assert reason
    assert Host.of("https://git.acme.org").joined("https://git.acme.org/api/v3/repos/a/b", location) == expected
