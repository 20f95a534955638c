import json
from pathlib import Path
from typing import Any

import pytest
from tests.installation.rights import Account, Right, deeds, unused

from eep_platform.controlplane import flags, server

ACCOUNT = Account("tools", "operator")
LEASES = "coordination.k8s.io"


@pytest.mark.parametrize(
    ("right", "deed", "covers", "reason"),
    [
        (Right("", "", "secrets", "get"), Right("a", "", "secrets", "get", "x"), True, "all namespaces, all names"),
        (Right("a", "", "secrets", "get"), Right("a", "", "secrets", "get"), True, "the very namespace"),
        (Right("a", "", "secrets", "get"), Right("b", "", "secrets", "get"), False, "another namespace"),
        (Right("a", "", "secrets", "get"), Right("", "", "secrets", "get"), False, "all namespaces at once"),
        (Right("", "", "secrets", "get"), Right("a", "", "secrets", "list"), False, "another verb"),
        (Right("", "", "pods", "get"), Right("a", "", "pods/log", "get"), False, "a subresource is another resource"),
        (Right("a", LEASES, "leases", "get", "x"), Right("a", LEASES, "leases", "get", "y"), False, "another name"),
    ],
)
def test_a_right_covers_what_kubernetes_would_allow_by_it(
    right: Right,
    deed: Right,
    covers: bool,  # noqa: FBT001 - a column of the table
    reason: str,
) -> None:
    assert right.covers(deed) is covers, reason
    assert (unused({right}, [(deed, 200)]) == set()) is covers, reason


def event(user: str, verb: str, code: int, pod: str = "operator-1", **target: str) -> dict[str, Any]:
    extra = {"authentication.kubernetes.io/pod-name": [pod]}
    reference = {"objectRef": target} if target else {}
    return {"user": {"username": user, "extra": extra}, "verb": verb, "responseStatus": {"code": code}, **reference}


def test_the_audit_log_has_the_requests_of_an_account_and_their_answers(tmp_path: Path) -> None:
    lines = [
        event(ACCOUNT.user, "get", 200, resource="namespaces", name="kube-system", namespace="kube-system"),
        event(ACCOUNT.user, "patch", 200, resource="pods", subresource="status", namespace="a", name="x"),
        event("admin", "list", 200, resource="secrets"),
        event(ACCOUNT.user, "get", 200),
        event(ACCOUNT.user, "list", 200, pod="job-uninstall-1", resource="pods", namespace="a"),
        event(ACCOUNT.user, "get", 403, resource="leases", apiGroup=LEASES, namespace="a", name="l"),
    ]
    log = server.folder(tmp_path) / flags.AUDIT_LOG
    log.parent.mkdir()
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    expected = [
        (Right("", "", "namespaces", "get", "kube-system"), 200),
        (Right("a", "", "pods/status", "patch", "x"), 200),
        (Right("a", "", "pods", "list"), 200),
        (Right("a", LEASES, "leases", "get", "l"), 403),
    ]
    assert deeds(tmp_path, ACCOUNT) == expected
    assert deeds(tmp_path, ACCOUNT, until="-uninstall-") == expected[:3]
