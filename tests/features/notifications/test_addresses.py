"""Where notifications may be sent to: not to what answers the operator's node or cluster alone."""

import pytest

from ephemeral_endpoints.features.notifications.addresses import LONGEST_URL, refused_address, refused_url


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T000/B000/XXXX",
        "https://chat.example.com:8443/hooks/x?y=z",
        "https://10.0.0.7/hooks/x",
        "https://[2001:db8::1]/x",
        "http://127.0.0.1:8065/hooks/x",
        "http://[::1]:8065/hooks/x",
        "http://localhost/hooks/x",
    ],
)
def test_a_webhook_by_https_or_on_this_machine_is_used(url: str) -> None:
    assert refused_url(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        pytest.param("", "no URL", id="nothing"),
        pytest.param("hooks.slack.com/services/x", "does not begin with https://", id="no scheme"),
        pytest.param("https:///services/x", "does not begin with https:// and a host", id="no host"),
        pytest.param("file:///etc/passwd", "does not begin with https://", id="a file"),
        pytest.param("gopher://127.0.0.1/x", "does not begin with https://", id="another scheme"),
        pytest.param("http://hooks.slack.com/services/x", "sent encrypted only", id="not encrypted"),
        pytest.param("http://localhost.example.com/x", "sent encrypted only", id="named like this machine"),
        pytest.param("http://10.0.0.7/x", "sent encrypted only", id="not encrypted within the cluster"),
        pytest.param("https://169.254.169.254/latest/meta-data", "a metadata service", id="that of the node"),
        pytest.param("https://[::ffff:169.254.169.254]/x", "a metadata service", id="the same in IPv6"),
        pytest.param("https://[2002:a9fe:a9fe::]/x", "a metadata service", id="the same by a relay"),
        pytest.param("https://[fe80::1%25eth0]/x", "a metadata service", id="link-local"),
        pytest.param("https://[fd00:ec2::254]/x", "a metadata service", id="that of AWS in IPv6"),
        pytest.param("https://169.254.170.23/v1/credentials", "a metadata service", id="credentials of the Pod"),
        pytest.param("https://100.100.100.200/x", "a metadata service", id="that of another cloud"),
        pytest.param("https://0.0.0.0/x", "no host's", id="no address"),
        pytest.param("https://224.0.0.1/x", "no host's", id="many at once"),
        pytest.param("https://a.example:port/x", "no URL", id="no port"),
        pytest.param("https://[::1/x", "no URL", id="no bracket"),
        pytest.param("https://a.example/x y", "printable ASCII", id="a space"),
        pytest.param("https://a.example/x\ny", "printable ASCII", id="a line end"),
        pytest.param("https://\u0430.example/x", "printable ASCII", id="a letter of another script"),
        pytest.param(f"https://a.example/{'x' * LONGEST_URL}", "no URL", id="too long"),
    ],
)
def test_any_other_is_refused_without_being_shown(url: str, why: str) -> None:
    refused = refused_url(url)
    assert refused is not None
    assert why in refused
    assert len(url) < 4 or url not in refused


def test_what_is_no_address_is_refused() -> None:
    assert refused_address("hooks.slack.com") == "its host has no IP address"
