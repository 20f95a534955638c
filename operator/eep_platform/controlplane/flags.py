"""Command lines of the control plane's programs. Pure.

Everything listens on 127.0.0.1 or on a Unix socket in the programs' working directory (a relative path, because the
path of a socket is limited to about a hundred bytes). Secrets are passed by file, never by value.
"""

from pathlib import Path

ETCD_SOCKET = "etcd.sock"
AUDIT_LOG = "audit.log"
"""The requests of service accounts to the API server: one JSON object (audit.k8s.io/v1 Event) per line."""

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_UNREACHED = "http://localhost:1"  # etcd requires an address to advertise, which its only member never uses
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
    """Return the arguments of a single-member etcd without fsync."""
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
    """Return the arguments of an API server whose users are in the file `tokens`.

    It makes its own certificate, whose key also signs the service account tokens. It logs the requests of service
    accounts, so that the permissions of a program can be compared with those that it uses. With the option
    `--shutdown-send-retry-after` it ends within seconds even while clients watch, instead of within a minute.
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
    """Return the arguments of a controller manager with the controllers that are useful without nodes.

    Those of Deployments and disruption budgets serve `eep_platform.kubelet`, which runs Pods as processes. Each
    controller uses its own service account, with the same permissions as in any cluster.
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
