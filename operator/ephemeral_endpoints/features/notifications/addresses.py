"""To which URLs notifications may be sent: not to what only the operator's node or cluster should reach. Pure."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

LONGEST_URL: Final = 2048

# Beside link-local addresses, where the metadata services of most clouds are, those of AWS's and of Alibaba Cloud's.
_METADATA: Final = (ip_network("fd00:ec2::/32"), ip_network("100.100.100.200/32"))

Address = IPv4Address | IPv6Address


def refused_url(url: str) -> str | None:
    """Why nothing is sent to a URL, without showing it: it is a secret. None if its host may be looked up."""
    if not url or len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return "it is no URL of printable ASCII characters"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no URL"
    if not host or parts.scheme not in {"https", "http"}:
        return "it does not begin with https:// and a host"
    address = _address(host)
    if parts.scheme == "http" and not (address.is_loopback if address else host == "localhost"):
        return "it begins with http://: notifications are sent encrypted only"
    return refused_address(host) if address else None


def refused_address(text: str) -> str | None:
    """Why nothing is sent to an IP address; None if it may be."""
    address = _address(text)
    if address is None:
        return "its host has no IP address"
    if isinstance(address, IPv6Address) and (mapped := address.ipv4_mapped or address.sixtofour):
        address = mapped
    is_metadata = any(address in each for each in _METADATA if each.version == address.version)
    if address.is_link_local or address.is_multicast or address.is_unspecified or is_metadata:
        return "its host has the address of a metadata service, or one that is no host's"
    return None


def _address(host: str) -> Address | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
