"""Where the API of a GitHub host is: github.com, GitHub Enterprise Server, or GHE.com."""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit


@dataclass(frozen=True, slots=True)
class Host:
    """The roots of a host's two APIs, without a slash at the end."""

    rest: str
    graphql: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The host that people see at ``url``, such as https://github.com.

        https://docs.github.com/en/enterprise-server/rest/enterprise-admin#endpoint-urls and
        https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency/about-github-enterprise-cloud-with-data-residency
        """
        parts = urlsplit(url)
        name = (parts.hostname or "").removeprefix("www.")
        if name == "github.com" or name.endswith(".ghe.com"):
            root = f"https://api.{name}"
            return cls(root, f"{root}/graphql")
        root = f"{parts.scheme}://{parts.netloc}"
        return cls(f"{root}/api/v3", f"{root}/api/graphql")

    def url(self, path: str) -> str:
        """The URL of a path that begins with a slash."""
        return f"{self.rest}{path}"

    def joined(self, url: str, location: str) -> str | None:
        """Where a redirect or a link at ``url`` leads; None if that is not below the root of the REST API.

        Credentials are for this host only.
        """
        target = urljoin(url, location)
        return target if target.startswith(f"{self.rest}/") else None
