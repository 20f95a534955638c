"""Deterministic names of an object's AWS resources.

A name is a function of the cluster id, the object's UID and, for immutable resources, a digest of the content. After a
lost answer or a crash, a second attempt therefore finds what the first one created. SageMaker allows 63 characters:

    eep-<cluster>-<slug>-<owner>[-<variant>]
    eep-<cluster>-<slug>-<owner>-<models>-<content>

``slug`` (of the object's name) is only for people, and short before a content; ``owner`` identifies the object.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

OWNER_LENGTH = 10
CONTENT_LENGTH = 26
"""Characters of a content in names: 130 bits, so that equal names mean equal contents, whoever chose these."""

MODELS_LENGTH = 6
"""Characters by which a configuration's name refers to its models; the content alone tells one from another."""

NUMBER_LENGTH = 8
_KEPT = 4096
"""Objects whose names are cached: a reconciliation needs them dozens of times."""

SLUG_LENGTH = 20
SHORT_SLUG_LENGTH = 5
CLUSTER_ID_PATTERN = re.compile(r"[a-z0-9]{1,8}")

LAMBDA_LOG_PREFIX = "/aws/lambda/"
ENDPOINT_LOG_PREFIX = "/aws/sagemaker/Endpoints/"

_OF_REAPER = re.compile(rf"eep-[a-z0-9]+-[a-z0-9-]+-reaper-[a-z2-7]{{{OWNER_LENGTH}}}")

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_FOLDERS = re.compile(r"(?:[a-z0-9]+(?:[._-]+[a-z0-9]+)*/)+")
"""Folders before a repository's name. Log groups of services begin with a slash, as no repository can."""


@lru_cache(maxsize=_KEPT)
def owner_hash(uid: str) -> str:
    """The ten lower-case characters [a-z2-7] that represent a UID in names.

    50 bits, so that collisions do not occur within a cluster.
    """
    return base64.b32encode(hashlib.sha256(uid.encode()).digest()[:OWNER_LENGTH])[:OWNER_LENGTH].decode().lower()


def lasting_uid(namespace: str, name: str) -> str:
    """What stands for a UID in the names and tags of what outlives an object, and belongs to the next of its name.

    No object has it: the API server's are UUIDs.
    """
    return content_digest("lasting", namespace, name)


def variant_hash(name: str) -> str:
    """Eight hexadecimal characters that tell the variants of an object apart."""
    return hashlib.sha256(json.dumps([name]).encode()).hexdigest()[:NUMBER_LENGTH]


def content_digest(*parts: object) -> str:
    """The whole SHA-256 of values that JSON can hold, in 52 characters [a-z2-7].

    For content that people who do not trust each other choose: no two different contents with the same digest can be
    found, not even by somebody who chooses both.
    """
    return base64.b32encode(hashlib.sha256(json.dumps(parts).encode()).digest()).decode().rstrip("=").lower()


def slug(text: str, length: int = SLUG_LENGTH) -> str:
    """``text`` reduced to characters that all AWS names allow: [a-z0-9], single inner hyphens, 1 to ``length``."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return cleaned[:length].strip("-") or "x"


def prefix(cluster_id: str) -> str:
    """The prefix of the names of all resources of one operator."""
    return f"eep-{cluster_id}-"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one object's resources."""

    cluster_id: str
    name: str
    uid: str

    @property
    def owner(self) -> str:
        """The owner hash, which identifies the object."""
        return owner_hash(self.uid)

    @property
    def base(self) -> str:
        """The name of the endpoint and of the forwarder function: at most 44 characters."""
        return _base(self.cluster_id, self.name, self.uid)

    def endpoint(self, variant: str | None) -> str:
        """The name of the endpoint, or of a variant's own endpoint."""
        return f"{self.base}-{variant_hash(variant)}" if variant else self.base

    def immutable(self, models: str, content: str) -> str:
        """The name of the immutable model or endpoint configuration with that content digest.

        ``models`` is the digest of all models that serve together. It shows which a configuration uses, see
        ``models_of_config``.
        """
        base = _base(self.cluster_id, self.name, self.uid, SHORT_SLUG_LENGTH)
        return f"{base}-{models[:MODELS_LENGTH]}-{content[:CONTENT_LENGTH]}"

    @property
    def forwarder_logs(self) -> str:
        """The log group that Lambda writes to."""
        return LAMBDA_LOG_PREFIX + self.base

    def alarm(self, subject: str) -> str:
        """The name of the alarm on ``subject``, such as ``latency``."""
        return f"{self.base}:{subject}"


def endpoint_logs(endpoint: str) -> str:
    """The log group that SageMaker writes to for an endpoint."""
    return ENDPOINT_LOG_PREFIX + endpoint


def models_of_config(config: str, models: Iterable[str]) -> frozenset[str]:
    """The ``models`` that an endpoint configuration of ours uses, according to its name.

    Where names begin alike without need, a model outlives a configuration that does not use it, and no longer. Earlier
    versions gave a single model no more than the beginning of its configuration's name.
    """
    serving = config.rpartition("-")[0]
    return frozenset(model for model in models if model == serving or model.startswith(f"{serving}-"))


def owner_of(cluster_id: str, name: str) -> str | None:
    """The owner hash in a name of ours; None if the name does not belong to this operator.

    Accepts every format of ``Names``, including log groups and alarms, and repositories in any folders, and that of
    models and configurations in earlier versions, with one or two contents of eight digits.
    """
    match = _of_cluster(cluster_id).fullmatch(_bare(name))
    return match.group(1) if match else None


def _bare(name: str) -> str:
    for service in (LAMBDA_LOG_PREFIX, ENDPOINT_LOG_PREFIX):
        if name.startswith(service):
            return name.removeprefix(service)
    if folders := _FOLDERS.match(name):
        return name[folders.end() :]
    return name.partition(":")[0]


@lru_cache(maxsize=_KEPT)
def _base(cluster_id: str, name: str, uid: str, slug_length: int = SLUG_LENGTH) -> str:
    return f"{prefix(cluster_id)}{slug(name, slug_length)}-{owner_hash(uid)}"


@cache
def _of_cluster(cluster_id: str) -> re.Pattern[str]:
    owner, number = f"[a-z2-7]{{{OWNER_LENGTH}}}", f"[0-9a-f]{{{NUMBER_LENGTH}}}"
    immutable = f"-[a-z2-7]{{{MODELS_LENGTH}}}-[a-z2-7]{{{CONTENT_LENGTH}}}"
    return re.compile(rf"eep-{re.escape(cluster_id)}-[a-z0-9-]+?-({owner})(?:(?:-{number}){{0,2}}|{immutable})")


def api_name(cluster_id: str, class_name: str, class_uid: str, number: int = 0) -> str:
    """The name of an HTTP API that objects of a class share; the first, number 0, omits its number."""
    first = f"{prefix(cluster_id)}{slug(class_name)}-api-{owner_hash(class_uid)}"
    return f"{first}-{number:0{NUMBER_LENGTH}x}" if number else first


def reaper_name(cluster_id: str, class_name: str, class_uid: str) -> str:
    """The name of the reaper of a class and of its rule, and the beginning of those of its alarms: 51 characters."""
    return f"{prefix(cluster_id)}{slug(class_name)}-reaper-{owner_hash(class_uid)}"


def is_of_reaper(name: str) -> bool:
    """Whether a name of ours is that of a reaper, or of one of its alarms."""
    return _OF_REAPER.fullmatch(name.partition(":")[0]) is not None


def capture_name(cluster_id: str, class_name: str, class_uid: str) -> str:
    """The name of the delivery stream of a class, and the beginning of those of its alarms: at most 52 characters.

    The alarm on lost results is one of them.
    """
    return f"{prefix(cluster_id)}{slug(class_name)}-capture-{owner_hash(class_uid)}"
