"""What a service account may do by its roles, and what it has done by the API server's audit log."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from eep_platform.controlplane import flags, server
from eep_platform.kubelet.api import Api

_RBAC: Final = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one kind; ``namespace`` and ``name`` are empty where any will do."""

    namespace: str
    group: str
    resource: str
    verb: str
    name: str = ""

    def covers(self, deed: "Right") -> bool:
        """Whether this right allows what was done."""
        what = (self.group, self.resource, self.verb)
        return (
            what == (deed.group, deed.resource, deed.verb)
            and self.namespace in {"", deed.namespace}
            and self.name in {"", deed.name}
        )

    def __str__(self) -> str:
        kind = f"{self.resource}.{self.group}" if self.group else self.resource
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {kind}{name} in {self.namespace or 'all namespaces'}"


@dataclass(frozen=True)
class Account:
    """A service account."""

    namespace: str
    name: str

    def is_subject(self, binding: Any) -> bool:  # noqa: ANN401 - as the API server gives it
        """Whether a binding gives it something."""
        wanted = ("ServiceAccount", self.namespace, self.name)
        subjects = binding.get("subjects", [])
        return any((each["kind"], each.get("namespace"), each["name"]) == wanted for each in subjects)

    @property
    def user(self) -> str:
        """Its name as a user."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"


def granted(api: Api, account: Account) -> set[Right]:
    """The rights of an account's own bindings; those that everybody has are not among them."""
    found: set[Right] = set()
    for kind in ("clusterrolebindings", "rolebindings"):
        for binding in api("GET", f"{_RBAC}/{kind}")["items"]:
            if account.is_subject(binding):
                namespace = binding["metadata"].get("namespace", "")
                found |= {right for rule in _rules(api, binding) for right in _rights(rule, namespace)}
    return found


def deeds(state: Path, account: Account, *, until: str = "") -> list[tuple[Right, int]]:
    """What an account asked of the API server for objects, in order, and how it was answered (HTTP status).

    Up to the last request of Pods whose names contain ``until``: a release takes its rights away while its Pods end.
    """
    log = server.folder(state) / flags.AUDIT_LOG
    whole = log.read_text().split("\n")[:-1]  # while it is being written
    events = [json.loads(line) for line in whole]
    own = [event for event in events if event["user"]["username"] == account.user]
    ends = [number for number, event in enumerate(own, 1) if until and until in _pod(event)]
    return [
        (_deed(event), event.get("responseStatus", {}).get("code", 0))
        for event in own[: ends[-1] if ends else None]
        if "resource" in event.get("objectRef", {})
    ]


def unused(rights: set[Right], done: Sequence[tuple[Right, int]]) -> set[Right]:
    """The rights that nothing was done by."""
    distinct = {deed for deed, _ in done}
    return {right for right in rights if not any(right.covers(deed) for deed in distinct)}


def _rules(api: Api, binding: Any) -> list[Any]:  # noqa: ANN401 - as the API server gives it
    reference = binding["roleRef"]
    within = f"/namespaces/{binding['metadata']['namespace']}/roles" if reference["kind"] == "Role" else "/clusterroles"
    return list(api("GET", f"{_RBAC}{within}/{reference['name']}").get("rules") or [])


def _rights(rule: Any, namespace: str) -> Iterator[Right]:  # noqa: ANN401 - likewise
    for group in rule.get("apiGroups", []):
        for resource in rule.get("resources", []):
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Right(namespace, group, resource, verb, name)


def _pod(event: Any) -> str:  # noqa: ANN401 - an audit.k8s.io/v1 Event
    """The Pod that the token of a request is bound to."""
    names: list[str] = event["user"].get("extra", {}).get("authentication.kubernetes.io/pod-name", [])
    return "".join(names)


def _deed(event: Any) -> Right:  # noqa: ANN401 - likewise
    target = event["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    # A Namespace is its own namespace there, which no binding of a namespace could grant.
    namespace = "" if resource == "namespaces" else target.get("namespace", "")
    return Right(namespace, target.get("apiGroup", ""), resource, event["verb"], target.get("name", ""))
