"""What a replica writes into the Lease, and what others read there."""

import pytest

from ephemeral_endpoints.__main__ import identity, own_url, url_of


@pytest.mark.parametrize(
    ("address", "url"), [("10.0.0.5", "http://10.0.0.5:8081"), ("fd00::5", "http://[fd00::5]:8081"), (None, None)]
)
def test_others_find_where_the_holder_of_the_lease_takes_webhooks(address: str | None, url: str | None) -> None:
    assert url_of(identity(own_url(address, 8081))) == url


def test_nobody_and_an_earlier_version_take_none() -> None:
    assert url_of("") is None
    assert url_of("eep-5d8f_0a1b2c") is None
