import pytest

from ephemeral_endpoints.engine.sharding import WHOLE, Shard
from ephemeral_endpoints.settings import Settings, SettingsError, SweepMode

DEFAULTS = Settings(
    cluster_id=None,
    namespaces=(),
    shard=WHOLE,
    poll_seconds=1.0,
    snapshot_seconds=270.0,
    sweep=SweepMode.ON,
    sweep_min_age_seconds=600.0,
    sweep_most_owners=3,
    sweep_most_share=0.2,
    expiry_most_share=0.25,
    aws_connections=32,
    http_port=8080,
    http_host="127.0.0.1",
    webhook_port=None,
    pod_ip=None,
    leader_election=False,
    own_namespace=None,
    image=None,
    metrics_per_object=False,
    log_level="INFO",
)
NAMES = (
    "EEP_CLUSTER_ID",
    "EEP_NAMESPACES",
    "EEP_SHARD",
    "EEP_POLL_SECONDS",
    "EEP_SNAPSHOT_SECONDS",
    "EEP_SWEEP",
    "EEP_SWEEP_MIN_AGE_SECONDS",
    "EEP_SWEEP_MOST_OWNERS",
    "EEP_SWEEP_MOST_SHARE",
    "EEP_EXPIRY_MOST_SHARE",
    "EEP_AWS_CONNECTIONS",
    "EEP_HTTP_PORT",
    "EEP_HTTP_HOST",
    "EEP_WEBHOOK_PORT",
    "EEP_POD_IP",
    "EEP_LEADER_ELECTION",
    "EEP_OWN_NAMESPACE",
    "EEP_IMAGE",
    "EEP_METRICS_PER_OBJECT",
    "EEP_LOG_LEVEL",
)


def test_everything_has_a_default() -> None:
    assert Settings.from_environment({"PATH": "/bin"}) == DEFAULTS


def test_an_empty_variable_is_an_absent_one() -> None:
    assert Settings.from_environment(dict.fromkeys(NAMES, "")) == DEFAULTS


def test_everything_can_be_set() -> None:
    host = "0.0.0.0"  # noqa: S104 - a container's choice
    times, sweep = ["0.5", "60"], ["dry-run", "30", "5", "0.1"]
    election = ["on", "operators"]
    served = ["8", "0", host, "0", "fd00::5"]
    values = ["prod1", "nlp, cv,,nlp", "3/4", *times, *sweep, "0.5", *served, *election, "op:1", "on", "debug"]
    assert Settings.from_environment(dict(zip(NAMES, values, strict=True))) == Settings(
        cluster_id="prod1",
        namespaces=("cv", "nlp"),
        shard=Shard(3, 4),
        poll_seconds=0.5,
        snapshot_seconds=60.0,
        sweep=SweepMode.DRY_RUN,
        sweep_min_age_seconds=30.0,
        sweep_most_owners=5,
        sweep_most_share=0.1,
        expiry_most_share=0.5,
        aws_connections=8,
        http_port=0,
        http_host=host,
        webhook_port=0,
        pod_ip="fd00::5",
        leader_election=True,
        own_namespace="operators",
        image="op:1",
        metrics_per_object=True,
        log_level="DEBUG",
    )


@pytest.mark.parametrize(
    ("environment", "expected", "reason"),
    [
        ({}, False, "outside of a cluster there is one process"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True, "in a cluster a rollout alone makes two"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "EEP_LEADER_ELECTION": "off"}, False, "what is said counts"),
        ({"EEP_LEADER_ELECTION": "On"}, True, "in whatever case"),
    ],
)
def test_replicas_elect_a_leader_in_a_cluster(environment: dict[str, str], expected: bool, reason: str) -> None:  # noqa: FBT001 - a row's value
    assert Settings.from_environment(environment).leader_election is expected, reason


@pytest.mark.parametrize(
    ("name", "value", "expected", "reason"),
    [
        ("EEP_CLUSTER_ID", "ninechars", "1 to 8 characters", "names would get too long"),
        ("EEP_CLUSTER_ID", "Prod", "a-z and 0-9", "names are in lower case"),
        ("EEP_CLUSTER_ID", "a-b", "a-z and 0-9", "the hyphen ends the id within names"),
        ("EEP_CLUSTER_ID", "a\n", "a-z and 0-9", "a line end that came with a file"),
        ("EEP_NAMESPACES", "nlp,Bad_Name", "'Bad_Name' is not a valid name of a namespace", "which one is wrong"),
        ("EEP_NAMESPACES", "-nlp", "is not a valid name of a namespace", "a hyphen in front"),
        ("EEP_NAMESPACES", "a" * 64, "is not a valid name of a namespace", "too long"),
        ("EEP_NAMESPACES", "*", "is not a valid name of a namespace", "all are meant by none"),
        ("EEP_SHARD", "2", "must be INDEX/COUNT", "of how many"),
        ("EEP_SHARD", "2/2", "from 0 to COUNT-1", "indexes count from 0"),
        ("EEP_SHARD", "0/0", "from 0 to COUNT-1", "nobody would take anything"),
        ("EEP_SHARD", "0/65", "at most 64", "each of them holds every object"),
        ("EEP_SHARD", "-1/2", "must be INDEX/COUNT", "before the first"),
        ("EEP_SWEEP", "yes", "must be one of off, dry-run, on", "no word of ours"),
        ("EEP_SWEEP_MIN_AGE_SECONDS", "0", "must be at least 1", "orphans are seen twice"),
        ("EEP_SWEEP_MOST_OWNERS", "0", "between 1 and", "off is said otherwise"),
        ("EEP_WEBHOOK_PORT", "65536", "between 0 and 65535", "no such port"),
        ("EEP_POD_IP", "10.0.0.1/a", "must be an IP address", "it becomes part of a URL"),
        ("EEP_POLL_SECONDS", "soon", "must be a number", "no number"),
        ("EEP_POLL_SECONDS", "0", "at least 0.05", "a loop without a pause"),
        ("EEP_POLL_SECONDS", "nan", "at least 0.05", "NaN is never less than anything"),
        ("EEP_POLL_SECONDS", "inf", "at least 0.05", "never"),
        ("EEP_SNAPSHOT_SECONDS", "0.5", "at least 1", "too often for the account's limits"),
        ("EEP_AWS_CONNECTIONS", "0", "between 1 and 1024", "no call could be made"),
        ("EEP_AWS_CONNECTIONS", "-5", "between 1 and 1024", "below nothing"),
        ("EEP_AWS_CONNECTIONS", "1.5", "must be an integer", "half a connection"),
        ("EEP_AWS_CONNECTIONS", "inf", "must be an integer", "no end of threads"),
        ("EEP_AWS_CONNECTIONS", "9" * 5000, "between 1 and 1024", "more digits than Python reads"),
        ("EEP_HTTP_PORT", "http", "must be an integer between 0 and 65535", "a name of a port"),
        ("EEP_HTTP_PORT", "65536", "must be an integer between 0 and 65535", "beyond the last port"),
        (
            "EEP_HTTP_PORT",
            "tcp://10.0.0.1:8080",
            "must be an integer",
            "what Kubernetes sets for a Service named eep-http",
        ),
        ("EEP_LEADER_ELECTION", "true", "must be on or off", "a word of other programs"),
        ("EEP_OWN_NAMESPACE", "MLOps", "the name of a namespace", "names are in lower case"),
        ("EEP_LOG_LEVEL", "verbose", "DEBUG, INFO, WARNING or ERROR", "a level of other programs"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_variable_and_what_is_expected(
    name: str, value: str, expected: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        print(Settings.from_environment({name: value}), reason)  # noqa: T201 - shown when nothing is raised
    assert str(refusal.value).startswith(name)
    assert expected in str(refusal.value)
