"""Other objects whose models a forwarder asks: for comparison on its page, and to classify its answers."""

from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from ephemeral_endpoints.features.routing.callers import needs_token
from ephemeral_endpoints.features.subject import Subject
from ephemeral_endpoints.kube.cache import Store, endpoint_key


class Unfit(Enum):
    """Why the models of another object are not asked."""

    MISSING = auto()
    ENDED = auto()
    OTHER_CLASS = auto()
    ASYNCHRONOUS = auto()
    NEEDS_TOKEN = auto()


def base_of(subject: Subject, store: Store, now: datetime) -> Subject | None:
    """The object that ``spec.compare.with.endpoint`` names; None if its models cannot answer, or must not."""
    compare = subject.endpoint.spec.compare
    if compare is None or compare.with_.endpoint is None:
        return None
    found = neighbour_of(subject, compare.with_.endpoint, store, now)
    return found if isinstance(found, Subject) else None


def second_of(subject: Subject, store: Store, now: datetime) -> Subject | None:
    """The object that ``spec.api.postprocess.endpoint`` names; None if its models cannot answer, or must not."""
    found = named_second(subject, store, now)
    return found if isinstance(found, Subject) else None


def named_second(subject: Subject, store: Store, now: datetime) -> Subject | Unfit | None:
    """The object that ``spec.api.postprocess.endpoint`` names, or why it does not answer; None where none is named."""
    asked = subject.endpoint.spec.api.postprocess
    return neighbour_of(subject, asked.endpoint, store, now) if asked and asked.endpoint else None


def neighbour_of(subject: Subject, name: str, store: Store, now: datetime) -> Subject | Unfit:
    """The object of that name in the same namespace, or why its models cannot answer, or must not.

    They answer if the object is of the same class, and so of the same account and region, answers at once, and lives at
    ``now``. They must not if their callers authenticate, and those of the object that would send them requests do not.
    """
    endpoint = store.endpoint(endpoint_key(subject.endpoint.metadata.namespace or "", name))
    if endpoint is None:
        return Unfit.MISSING
    if store.class_name_of(endpoint) != subject.endpoint_class.metadata.name:
        return Unfit.OTHER_CLASS
    found = replace(subject, endpoint=endpoint)
    if found.is_terminating(now):
        return Unfit.ENDED
    if endpoint.spec.serving.asynchronous is not None:
        return Unfit.ASYNCHRONOUS
    if needs_token(found) and not needs_token(subject):
        return Unfit.NEEDS_TOKEN
    return found
