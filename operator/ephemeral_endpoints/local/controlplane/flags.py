"""Command lines of the control plane's programs. Pure.

Everything listens on a Unix socket in the folder that the programs run in (a relative path, because a socket's path is
limited to about a hundred bytes) or on 127.0.0.1; secrets are named by file, never by value.
"""

from pathlib import Path

ETCD_SOCKET = "etcd.sock"
AUDIT_LOG = "audit.log"
"""What service accounts asked of the API server: one JSON object (audit.k8s.io/v1 Event) a line."""

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_UNREACHED = "http://localhost:1"  # etcd insists on an address to advertise; the only member tells it to nobody
_AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "deployment-controller",
    "disruption-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "ttl-after-finished-controller",
)


def etcd(data: Path) -> list[str]:
    """Return the arguments of a single-member etcd that does without the safety of fsync."""
    return [
        "--name=local",
        f"--data-dir={data}",
        "--unsafe-no-fsync",
        f"--listen-client-urls=unix://{ETCD_SOCKET}",
        f"--advertise-client-urls={_UNREACHED}",
        "--listen-peer-urls=unix://etcd-peer.sock",
        f"--initial-advertise-peer-urls={_UNREACHED}",
        f"--initial-cluster=local={_UNREACHED}",
        "--log-level=warn",
    ]


def apiserver(port: int, *, certificates: Path, tokens: Path) -> list[str]:
    """Return the arguments of an API server that knows its users from the file `tokens`.

    It makes its own certificate, whose key signs the service account tokens as well. It logs what service accounts ask
    of it, so that the rights that a program has can be compared with those that it uses. The option about retry-after
    makes it end within seconds while clients watch, rather than within the minute that a watch may take.
    """
    key = certificates / "apiserver.key"
    return [
        f"--etcd-servers=unix://{ETCD_SOCKET}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={certificates}",
        f"--token-auth-file={tokens}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        f"--audit-policy-file={_AUDIT_POLICY}",
        f"--audit-log-path={AUDIT_LOG}",
        "--shutdown-send-retry-after",
        "--profiling=false",
    ]


def controller_manager(kubeconfig: Path, *, certificates: Path) -> list[str]:
    """Return the arguments of a controller manager that runs what a cluster without nodes can make use of.

    Deployments and disruption budgets are for `local.kubelet`, which runs Pods as processes. Each controller acts
    under its own service account, with the rights that it has in any cluster.
    """
    return [
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(_CONTROLLERS)}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={certificates / 'apiserver.key'}",
        f"--root-ca-file={certificates / 'apiserver.crt'}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    ]
