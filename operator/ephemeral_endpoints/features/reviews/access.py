"""What the credentials of a class are found to be able to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Access:
    """Who the forge takes the operator for, and what is in the way of that.

    ``missing`` are permissions, and ``hidden`` the repositories among those asked for that cannot be seen, both as
    people read them.
    """

    login: str
    missing: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
