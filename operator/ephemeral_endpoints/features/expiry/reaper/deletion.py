"""Reads, proves and deletes resources: a service that fails or hangs stops nothing but its own kinds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from ephemeral_endpoints.engine.tags import CLASS, CLUSTER
from ephemeral_endpoints.features.expiry.reaper.kinds import (
    API_MAPPING,
    AT_ONCE,
    HTTP_API,
    OF_CLASSES,
    OF_OBJECTS,
    SCALABLE_TARGET,
    SERVICES,
    Aws,
    InProgressError,
    ReapedKind,
    TagMap,
    is_gone,
    items,
)
from ephemeral_endpoints.features.expiry.reaper.policy import Expired, Rules, end_of, is_of_object
from ephemeral_endpoints.features.expiry.reaper.report import Report

THREADS: Final = 4
"""How many calls wait for each service at once; how fast they begin is limited, too."""

_ORDER: Final = (*OF_OBJECTS, *OF_CLASSES)


@dataclass(frozen=True, slots=True)
class Found:
    """A resource that exists, of an object if one is ``due``. ``tags`` is None if not read, ``id_`` that of an API."""

    kind: ReapedKind
    name: str
    tags: TagMap | None = None
    due: Expired | None = None
    id_: str = ""
    arn: str = ""


class Deletion:
    """What a run does with resources. ``is_late`` tells whether it must end; nothing is past before it has a cutoff."""

    def __init__(self, aws: Aws, rules: Rules, report: Report, is_late: Callable[[], bool]) -> None:
        self._aws = aws
        self._rules = rules
        self._report = report
        self._is_late = is_late
        self._hung: set[str] = set()
        self._cutoff = datetime.min.replace(tzinfo=UTC)
        self._ours = {CLUSTER: [rules.cluster_id], CLASS: [rules.class_name]}

    def _read(self, kind: ReapedKind, arn: str) -> TagMap | None:
        tags: TagMap | None = self._try(kind.name, lambda: kind.tags(self._aws, arn))
        return tags

    def _try(self, kind: str, work: Callable[[], Any]) -> Any:
        """The result; None if it failed or the resource is gone. A service that hangs is not called again."""
        service = SERVICES[kind]
        if service in self._hung:
            self._report.failures.setdefault(kind, f"{service} did not answer before")
            return None
        try:
            return work()
        except InProgressError:
            raise
        except Exception as error:  # noqa: BLE001 - what fails must not stop the rest, whatever it is
            if is_gone(error):
                return None
            if not isinstance(error, ClientError):
                self._hung.add(service)
            self._report.failed(kind, error)
            return None

    def _own(self, due: Expired, found: list[Found]) -> list[Found] | None:
        """Those that are the object's; None if there are none, or it lives on: it goes as a whole, or not at all."""
        readable = [each for each in found if each.tags is not None]
        ours = [each for each in readable if is_of_object(_owned_name(each), each.tags or {}, self._rules, due.uid)]
        for each in found:
            if each not in ours:
                unread = "its tags cannot be read" if each.tags is None else "its tags are not those of the object"
                self._report.leave(each.kind.name, each.name, unread)
        last = end_of(each.tags or {} for each in ours)
        return ours if last and last.is_expired(self._cutoff) else None

    def _delete(self, found: Iterable[Found]) -> list[Found]:
        """Delete these in the order of their kinds, and all services at once; returns those that are gone.

        What is dear and an object's own goes only if its end, read once more, is past still.
        """
        batches: list[list[Found]] = []
        for each in sorted(found, key=lambda each: _ORDER.index(each.kind)):
            size = AT_ONCE if each.kind.delete_all else 1
            if batches and batches[-1][0].kind is each.kind and len(batches[-1]) < size:
                batches[-1].append(each)
            else:
                batches.append([each])
        deleted = [
            each
            for done in self._each(self._delete_batch, batches, lambda batch: batch[0].kind.service)
            for each in done
        ]
        for each in deleted:
            self._note(each.kind.name, each.name, each.due)
        return deleted

    def _delete_batch(self, batch: Sequence[Found]) -> Sequence[Found]:
        """Those that were deleted: one by one if one of them fails all."""
        kind = batch[0].kind
        if self._is_late() or (kind.is_dear and batch[0].due and not self._is_still_due(batch[0], batch[0].due)):
            return ()

        def delete() -> Sequence[Found]:
            if kind.delete_all is None or len(batch) == 1:
                kind.delete(self._aws, batch[0].id_ or batch[0].name)
                return batch
            try:
                kind.delete_all(self._aws, [each.name for each in batch])
            except ClientError:
                return [done for each in batch for done in self._delete_batch([each])]
            return batch

        if kind is HTTP_API:
            self._try(API_MAPPING, partial(self._take_mappings, batch[0].id_, batch[0].due))
        try:
            return self._try(kind.name, delete) or ()
        except InProgressError:
            self._report.leave(kind.name, batch[0].name, "it is changing: a later run deletes it")
            return ()

    def _is_still_due(self, found: Found, due: Expired) -> bool:
        tags = self._read(found.kind, found.arn)
        return tags is not None and bool(self._own(due, [replace(found, tags=tags)]))

    def _each(self, work: Callable[[Any], Any], items: Iterable[Any], service: Callable[[Any], str]) -> list[Any]:
        """The results, in order, of work that waits for the service of each item."""
        with ExitStack() as stack:
            pools: dict[str, ThreadPoolExecutor] = {}
            begun = []
            for each in items:
                name = service(each)
                if name not in pools:
                    pools[name] = stack.enter_context(ThreadPoolExecutor(THREADS))
                begun.append(pools[name].submit(work, each))
            return [each.result() for each in begun]

    def _take_mappings(self, api: str, due: Expired | None) -> None:
        client = self._aws.client("apigatewayv2")
        for domain in items(self._aws, "apigatewayv2", "get_domain_names", "Items"):
            name = domain["DomainName"]
            for each in _mappings(client, name):
                if each["ApiId"] == api:
                    id_ = each["ApiMappingId"]
                    unless_gone(partial(client.delete_api_mapping, DomainName=name, ApiMappingId=id_))
                    self._note(API_MAPPING, f"{name}/{each.get('ApiMappingKey', '')}", due)

    def _note(self, kind: str, name: str, due: Expired | None) -> None:
        of = {"namespace": due.holder.namespace, "object": due.holder.name} if due else {}
        self._report.deleted.append({"kind": kind, "name": name, **of})


def _owned_name(found: Found) -> str:
    """The name that shows whose it is: that of the endpoint for its scaling."""
    if found.kind is SCALABLE_TARGET:
        return found.name.split("/")[1]
    return found.name.rpartition("/")[2] if found.kind.service == "ssm" else found.name


def _mappings(client: Any, domain: str) -> Iterator[Any]:
    more: dict[str, str] = {}
    while True:
        page = client.get_api_mappings(DomainName=domain, **more)
        yield from page["Items"]
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def unless_gone(work: Callable[[], Any]) -> Any:
    """The result; None if the resource is gone."""
    try:
        return work()
    except ClientError as error:
        if is_gone(error):
            return None
        raise
