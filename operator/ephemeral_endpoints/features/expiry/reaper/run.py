"""One run of the reaper: what has expired by the index of tags is looked at in its own service, and deleted.

A service that fails or hangs stops nothing but its own kinds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX, is_of_reaper, owner_of, prefix
from ephemeral_endpoints.engine.tags import CLASS, CLUSTER, EXPIRES_AT, NAME, NAMESPACE, UID, timestamp
from ephemeral_endpoints.features.expiry.reaper.index import VALUES_AT_ONCE, chunks, is_any, tagged, values
from ephemeral_endpoints.features.expiry.reaper.kinds import (
    ALARM,
    API_MAPPING,
    AT_ONCE,
    DELIVERY_STREAM,
    HTTP_API,
    INTEGRATION,
    LOG_GROUP,
    OF_CLASSES,
    OF_OBJECTS,
    PIPELINE,
    REPOSITORY,
    ROUTE,
    ROUTE_THROTTLE,
    SCALABLE_TARGET,
    SERVICES,
    UNTAGGED,
    VARIANTS,
    Aws,
    InProgressError,
    ReapedKind,
    TagMap,
    identify,
    is_gone,
    items,
)
from ephemeral_endpoints.features.expiry.reaper.policy import (
    LEAST_GRACE,
    Expired,
    Rules,
    choose,
    end_of,
    expired,
    is_of_class,
    is_of_object,
    past,
)
from ephemeral_endpoints.features.expiry.reaper.report import Report

THREADS: Final = 4
"""How many calls wait for each service at once; how fast they begin is limited, too."""

_PART: Final = 100
"""So many objects are proven, and then deleted, before others are looked at: what is read is soon acted on."""

_ANCHORS: Final = ("lambda:function", "sagemaker:endpoint")
"""Most objects have one of both or both, and they tell its end: a hundred of them are a page of the index."""

_MOST_READ: Final = 10
"""So many resources without tags are looked at in a run, each by a call or two."""

_BY_HUNDREDS: Final = {"PageSize": 100}

_LATE_LOGS: Final = {0: ENDPOINT_LOG_PREFIX, 12: LAMBDA_LOG_PREFIX}
"""At which hour of AWS's day log groups without tags are looked for, and where: lists of all are long."""

_TICK_MINUTES: Final = 15

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


@dataclass(frozen=True, slots=True)
class Taken:
    """An object that has ended: what is its own, and all that was found of it."""

    due: Expired
    ours: Sequence[Found]
    found: Sequence[Found]

    @property
    def is_whole(self) -> bool:
        """Whether more is left than what has to wait for the endpoint."""
        return any("Endpoint" not in each.kind.after for each in self.ours)


class Run:
    """A run. ``is_late`` tells whether it must end."""

    def __init__(self, aws: Aws, rules: Rules, report: Report, is_late: Callable[[], bool]) -> None:
        self._aws = aws
        self._rules = rules
        self._report = report
        self._is_late = is_late
        self._hung: set[str] = set()
        self._is_over = False
        self._ours = {CLUSTER: [rules.cluster_id], CLASS: [rules.class_name]}

    def run(self) -> None:
        """Make the run. Raises what keeps the index of tags from being read; all else is in the report."""
        ends, now = values(self._aws, EXPIRES_AT)
        self._report.now = timestamp(now)
        cutoff = now - self._rules.grace
        anchors = tagged(self._aws, {CLUSTER: [self._rules.cluster_id]}, *_ANCHORS)
        ended = past(ends, cutoff)
        self._is_over = len(ended) == len(set(ends))
        due = self._due(ended, anchors, cutoff)
        choice = choose(due, self._count_objects(anchors, now), self._rules, now)
        self._report.held = choice.held
        shared = self._of_class()
        self._take(list(choice.free), shared, cutoff)
        self._take_shared(shared, now)
        if now.hour in _LATE_LOGS and now.minute < _TICK_MINUTES:
            self._take_late_logs(_LATE_LOGS[now.hour], cutoff)
        self._report.is_complete = True

    def _due(self, ends: Iterable[str], anchors: Mapping[str, TagMap], cutoff: datetime) -> list[Expired]:
        """The objects that seem to be due: those of the anchors, and those of which something else tells an end.

        A page of the index has a hundred resources, and an object a dozen: all of them are read of few objects only.
        """
        found = {arn: tags for arn, tags in anchors.items() if tags.get(CLASS) == self._rules.class_name}
        known = {timestamp(each.holder.expires_at) for each in expired(found, cutoff) if each.holder.expires_at}
        for chunk in chunks(end for end in ends if end not in known):
            found |= tagged(self._aws, {**self._ours, EXPIRES_AT: chunk})
        return expired(found, cutoff)

    def _count_objects(self, anchors: Iterable[str], now: datetime) -> int:
        """How many objects of the cluster have an endpoint; names those whose tags were removed."""
        listed = self._try("Endpoint", lambda: list(self._endpoints())) or []
        owners = {owner_of(self._rules.cluster_id, each["EndpointName"]) for each in listed} - {None}
        indexed = {arn.rpartition("/")[2] for arn in anchors}
        unknown = [
            each for each in listed if each["EndpointName"] not in indexed and each["CreationTime"] <= now - LEAST_GRACE
        ]
        for each in unknown[:_MOST_READ]:
            self._name_stranger(each)
        return len(owners)

    def _endpoints(self) -> Iterator[Any]:
        ours = prefix(self._rules.cluster_id)
        listed = items(
            self._aws, "sagemaker", "list_endpoints", "Endpoints", NameContains=ours, PaginationConfig=_BY_HUNDREDS
        )
        return (each for each in listed if each["EndpointName"].startswith(ours))

    def _name_stranger(self, endpoint: Any) -> None:
        [kind] = [each for each in OF_OBJECTS if each.name == "Endpoint"]
        tags = self._read(kind, endpoint["EndpointArn"])
        if tags is not None and tags.get(CLUSTER) != self._rules.cluster_id:
            why = "it has our name without our tags: restore them, or delete it"
            self._report.leave(kind.name, endpoint["EndpointName"], why)

    def _take(self, free: list[Expired], shared: Mapping[str, TagMap], cutoff: datetime) -> None:
        """Delete the earliest objects. Those that the index still shows although they are gone count for none.

        Nor do those of which nothing is left but what had to wait for the endpoint.
        """
        targets = (self._try(SCALABLE_TARGET.name, lambda: list(self._targets())) or []) if free else []
        turns = self._rules.most
        while free and turns and not self._is_late():
            taken: list[Taken] = []
            while free and turns and len(taken) < _PART and not self._is_late():
                size = min(VALUES_AT_ONCE, turns)
                part, free = free[:size], free[size:]
                proven = self._proven(part, targets, cutoff)
                turns -= sum(each.is_whole for each in proven)
                taken += proven
            self._take_routes(_named(shared, HTTP_API), {each.due.owner: each.due for each in taken}, cutoff)
            self._take_found(taken, cutoff)
        self._report.waiting = len(free)

    def _take_found(self, taken: Sequence[Taken], cutoff: datetime) -> None:
        """Delete what nothing is left of that has to go before: scaling first, what is dear last, all else at once.

        So an object that is extended meanwhile keeps what is dear, and the operator makes again what it has lost.
        """
        unread = self._report.failures.keys() & set(UNTAGGED)
        free = [
            each
            for object_ in taken
            for each in object_.ours
            if (unread | {other.kind.name for other in object_.found}).isdisjoint(each.kind.after)
        ]
        dear = [each for each in free if each.kind.is_dear]
        self._delete([each for each in free if each.kind is SCALABLE_TARGET])
        self._delete([each for each in free if each.kind is not SCALABLE_TARGET and each not in dear])
        self._delete(dear, cutoff)

    def _proven(self, part: Iterable[Expired], targets: list[Any], cutoff: datetime) -> list[Taken]:
        """Those that have ended by what they have in AWS."""
        index = tagged(self._aws, {**self._ours, UID: [each.uid for each in part]})
        there = [(due, *each) for due in expired(index, cutoff) for each in self._listed(due, targets)]
        found = [each for each in self._each(self._look, there, lambda each: each[1].service) if each]
        proven = []
        for due in dict.fromkeys(each.due for each in found):
            of_it = [each for each in found if each.due is due]
            if due and (ours := self._own(due, of_it, cutoff)) is not None:
                proven.append(Taken(due, ours, of_it))
        return proven

    def _listed(self, due: Expired, targets: list[Any]) -> list[tuple[ReapedKind, str, str]]:
        """The kinds, names and ARNs of what the object may have, in the order of their deletion."""
        arns: list[tuple[ReapedKind, str, str]] = [
            (*known, arn)
            for arn in due.arns
            if (known := identify(arn)) and known[0] in OF_OBJECTS and "/stages/" not in known[1]
        ]
        arns = [each for each in arns if each[0] is not SCALABLE_TARGET]
        arns += [
            (SCALABLE_TARGET, each["ResourceId"], each["ScalableTargetARN"])
            for each in targets
            if owner_of(self._rules.cluster_id, each["ResourceId"].split("/")[1]) == due.owner
        ]
        return sorted(arns, key=lambda each: (OF_OBJECTS.index(each[0]), each[1]))

    def _look(self, listed: tuple[Expired, ReapedKind, str, str]) -> Found | None:
        """The resource by its own service; None if it is gone. An API is proven by its name, and called by its id."""
        due, kind, name, arn = listed
        tags = self._read(kind, arn)
        if tags is None and kind.name not in self._report.failures:
            return None
        if kind is not HTTP_API:
            return Found(kind, name, tags, due, arn=arn)
        shown = self._try(kind.name, lambda: self._aws.client("apigatewayv2").get_api(ApiId=name)["Name"])
        return Found(kind, shown or name, tags, due, name, arn)

    def _own(self, due: Expired, found: list[Found], cutoff: datetime) -> list[Found] | None:
        """Those that are the object's; None if there are none, or it lives on: it goes as a whole, or not at all."""
        readable = [each for each in found if each.tags is not None]
        ours = [each for each in readable if is_of_object(_owned_name(each), each.tags or {}, self._rules, due.uid)]
        for each in found:
            if each not in ours:
                unread = "its tags cannot be read" if each.tags is None else "its tags are not those of the object"
                self._report.leave(each.kind.name, each.name, unread)
        last = end_of(each.tags or {} for each in ours)
        return ours if last and last.is_expired(cutoff) else None

    def _delete(self, found: Iterable[Found], cutoff: datetime | None = None) -> list[Found]:
        """Delete these in the order of their kinds, and all services at once; returns those that are gone.

        With a ``cutoff``, each only if its end, read once more, is before it.
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
            for done in self._each(partial(self._delete_batch, cutoff), batches, lambda batch: batch[0].kind.service)
            for each in done
        ]
        for each in deleted:
            self._note(each.kind.name, each.name, each.due)
        return deleted

    def _delete_batch(self, cutoff: datetime | None, batch: Sequence[Found]) -> Sequence[Found]:
        """Those that were deleted: one by one if one of them fails all."""
        kind = batch[0].kind
        if self._is_late() or (cutoff and not self._is_still_due(batch[0], cutoff)):
            return ()

        def delete() -> Sequence[Found]:
            if kind.delete_all is None or len(batch) == 1:
                kind.delete(self._aws, batch[0].id_ or batch[0].name)
                return batch
            try:
                kind.delete_all(self._aws, [each.name for each in batch])
            except ClientError:
                return [done for each in batch for done in self._delete_batch(cutoff, [each])]
            return batch

        if kind is HTTP_API:
            self._try(API_MAPPING, partial(self._take_mappings, batch[0].id_, batch[0].due))
        try:
            return self._try(kind.name, delete) or ()
        except InProgressError:
            self._report.leave(kind.name, batch[0].name, "it is changing: a later run deletes it")
            return ()

    def _is_still_due(self, found: Found, cutoff: datetime) -> bool:
        tags = self._read(found.kind, found.arn)
        return bool(tags is not None and found.due and self._own(found.due, [replace(found, tags=tags)], cutoff))

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
                    _unless_gone(partial(client.delete_api_mapping, DomainName=name, ApiMappingId=id_))
                    self._note(API_MAPPING, f"{name}/{each.get('ApiMappingKey', '')}", due)

    def _note(self, kind: str, name: str, due: Expired | None) -> None:
        of = {"namespace": due.holder.namespace, "object": due.holder.name} if due else {}
        self._report.deleted.append({"kind": kind, "name": name, **of})

    def _targets(self) -> Iterator[Any]:
        ours, service = f"endpoint/{prefix(self._rules.cluster_id)}", SCALABLE_TARGET.service
        asked = {"ServiceNamespace": VARIANTS["ServiceNamespace"]}
        listed = items(self._aws, service, "describe_scalable_targets", "ScalableTargets", **asked)
        return (each for each in listed if each["ResourceId"].startswith(ours))

    def _of_class(self) -> dict[str, dict[str, str]]:
        """What has the tags of the class; an object may have the name of its class."""
        shared = {CLUSTER: [self._rules.cluster_id], NAME: [self._rules.class_name]}
        return {arn: tags for arn, tags in tagged(self._aws, shared).items() if NAMESPACE not in tags}

    def _take_routes(self, apis: list[str], owners: dict[str, Expired], cutoff: datetime) -> None:
        """Delete the routes of these objects after their settings, and then their integrations."""
        for api in apis if owners else ():
            self._try(ROUTE, partial(self._take_routes_of, api, owners, cutoff))

    def _take_routes_of(self, api: str, owners: dict[str, Expired], cutoff: datetime) -> None:
        """Delete them, by one call where the API has no others and no object lives on."""
        client = self._aws.client("apigatewayv2")
        shared = client.get_api(ApiId=api)
        if not is_of_class(shared["Name"], shared.get("Tags", {}), self._rules):
            self._report.leave(HTTP_API.name, api, "its tags are not those of the class")
            return
        integrations = {
            each["IntegrationId"]: owners.get(owner_of(self._rules.cluster_id, function) or "")
            for each in self._of_api("get_integrations", api)
            for function in [str(each.get("IntegrationUri", "")).rpartition(":")[2]]
        }
        if not any(integrations.values()):
            return
        routes: dict[str, list[Any]] = {}
        for each in self._of_api("get_routes", api):
            routes.setdefault(each.get("Target", "").rpartition("/")[2], []).append(each)
        is_whole = (
            all(integrations.values()) and routes.keys() <= integrations.keys() and shared["CreatedDate"] <= cutoff
        )
        if self._is_over and is_whole and self._delete([Found(HTTP_API, api, id_=api)]):
            return
        stages = {each["StageName"]: each.get("RouteSettings", {}) for each in self._of_api("get_stages", api)}
        take = partial(self._take_integration, api, stages)
        mine = [(id_, due, routes.get(id_, ())) for id_, due in integrations.items() if due]
        self._each(take, mine, lambda _: HTTP_API.service)

    def _take_integration(self, api: str, stages: Mapping[str, Any], mine: tuple[str, Expired, Sequence[Any]]) -> None:
        client = self._aws.client("apigatewayv2")
        id_, due, routes = mine
        for each in () if self._is_late() else routes:
            key = each["RouteKey"]
            for stage in (name for name, settings in stages.items() if key in settings):
                _unless_gone(partial(client.delete_route_settings, ApiId=api, StageName=stage, RouteKey=key))
                self._note(ROUTE_THROTTLE, key, due)
            _unless_gone(partial(client.delete_route, ApiId=api, RouteId=each["RouteId"]))
            self._note(ROUTE, key, due)
        if not self._is_late():
            _unless_gone(partial(client.delete_integration, ApiId=api, IntegrationId=id_))
            self._note(INTEGRATION, id_, due)

    def _of_api(self, operation: str, api: str) -> Iterator[Any]:
        return items(self._aws, "apigatewayv2", operation, "Items", ApiId=api, PaginationConfig={"PageSize": 500})

    def _take_shared(self, shared: Mapping[str, TagMap], now: datetime) -> None:
        """Delete what the objects of the class shared, once it has none and has had none for long enough."""
        if not is_any(self._aws, self._ours):
            self._take_unused(shared, now - self._rules.grace)
        unused: list[Found] = self._try(REPOSITORY.name, partial(self._unused_repositories, shared, now)) or []
        # Retained models of any class may have been made before resources were tagged with their class.
        of_objects = {CLUSTER: [self._rules.cluster_id], NAMESPACE: []}
        unused += self._try(PIPELINE.name, partial(self._unused_pipelines, shared, now)) or []
        if unused and not is_any(self._aws, of_objects):
            self._delete(unused)

    def _take_unused(self, shared: Mapping[str, TagMap], cutoff: datetime) -> None:
        apis = _named(shared, HTTP_API)
        empty = [each for each in apis if self._try(HTTP_API.name, partial(self._is_unused, each, cutoff))]
        self._delete(Found(HTTP_API, id_, id_=id_) for id_ in empty)
        if len(empty) < len(apis):
            # An API that is in use, or young, tells of an object that the index does not know yet.
            return
        streams = self._try(DELIVERY_STREAM.name, partial(self._unused_streams, shared, cutoff))
        self._delete(streams or ())
        alarms = self._try(ALARM.name, partial(self._of_class_by_tags, shared, ALARM)) or ()
        # They tell of captured requests that are lost; others tell of the reaper itself.
        self._delete(each for each in alarms if not is_of_reaper(each.name))

    def _is_unused(self, id_: str, cutoff: datetime) -> bool:
        client = self._aws.client("apigatewayv2")
        api = client.get_api(ApiId=id_)
        is_ours = is_of_class(api["Name"], api.get("Tags", {}), self._rules)
        return is_ours and api["CreatedDate"] <= cutoff and not list(self._of_api("get_integrations", id_))

    def _unused_streams(self, shared: Mapping[str, TagMap], cutoff: datetime) -> list[Found]:
        def is_unused(stream: Any) -> Any:
            return stream["DeliveryStreamStatus"] != "DELETING" and stream["CreateTimestamp"] <= cutoff

        describe = self._aws.client("firehose").describe_delivery_stream
        ours = self._of_class_by_tags(shared, DELIVERY_STREAM)
        return [each for each in ours if is_unused(describe(DeliveryStreamName=each.name)["DeliveryStreamDescription"])]

    def _unused_repositories(self, shared: Mapping[str, TagMap], now: datetime) -> list[Found]:
        def used_at(name: str) -> Any:
            [made] = client.describe_repositories(repositoryNames=[name])["repositories"]
            images = items(self._aws, "ecr", "describe_images", "imageDetails", repositoryName=name)
            pushed = (each["imagePushedAt"] for each in images)
            return max((made["createdAt"], *pushed))

        client = self._aws.client("ecr")
        ours = self._of_class_by_tags(shared, REPOSITORY)
        return [each for each in ours if used_at(each.name) <= now - self._rules.repository_age]

    def _unused_pipelines(self, shared: Mapping[str, TagMap], now: datetime) -> list[Found]:
        def used_at(name: str) -> Any:
            found = self._aws.client("sagemaker").describe_pipeline(PipelineName=name)
            return max(found[each] for each in ("CreationTime", "LastModifiedTime", "LastRunTime") if each in found)

        ours = self._of_class_by_tags(shared, PIPELINE)
        return [each for each in ours if used_at(each.name) <= now - self._rules.repository_age]

    def _of_class_by_tags(self, shared: Mapping[str, TagMap], kind: ReapedKind) -> list[Found]:
        """What is of the kind, and of the class by its own service."""
        return [
            Found(*known)
            for arn in shared
            if (known := identify(arn)) and known[0] is kind
            if is_of_class(known[1], kind.tags(self._aws, arn), self._rules)
        ]

    def _take_late_logs(self, where: str, cutoff: datetime) -> None:
        """Delete log groups that services made again, without tags, for lines of objects that are gone."""
        groups = self._try(LOG_GROUP.name, lambda: list(self._groups(where + prefix(self._rules.cluster_id)))) or []
        read = 0
        for each in groups:
            name, is_old = each["logGroupName"], each["creationTime"] / 1000 <= cutoff.timestamp()
            if "retentionInDays" in each or not is_old or owner_of(self._rules.cluster_id, name) is None:
                continue
            if (read := read + 1) > _MOST_READ or self._is_late():
                return
            tags = self._read(LOG_GROUP, each["arn"].removesuffix(":*"))
            if tags == {} and self._try(LOG_GROUP.name, partial(self._is_of_nobody, name)):
                self._delete([Found(LOG_GROUP, name)])

    def _groups(self, start: str) -> Iterator[Any]:
        asked = {"logGroupNamePrefix": start, "PaginationConfig": {"PageSize": 50}}
        return items(self._aws, "logs", "describe_log_groups", "logGroups", **asked)

    def _is_of_nobody(self, group: str) -> bool:
        """Whether neither the endpoint nor the function that would write to the group exists."""
        endpoint = group.rpartition("/")[2]
        owner = owner_of(self._rules.cluster_id, group) or ""
        function = endpoint[: endpoint.rindex(owner) + len(owner)]
        functions, endpoints = self._aws.client("lambda"), self._aws.client("sagemaker")
        is_function_gone = _unless_gone(lambda: functions.get_function_configuration(FunctionName=function)) is None
        return is_function_gone and _unless_gone(lambda: endpoints.describe_endpoint(EndpointName=endpoint)) is None

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


def _owned_name(found: Found) -> str:
    """The name that shows whose it is: that of the endpoint for its scaling."""
    if found.kind is SCALABLE_TARGET:
        return found.name.split("/")[1]
    return found.name.rpartition("/")[2] if found.kind.service == "ssm" else found.name


def _named(shared: Mapping[str, TagMap], kind: ReapedKind) -> list[str]:
    """The names of what is of the kind."""
    found = (identify(arn) for arn in shared)
    return sorted(known[1] for known in found if known and known[0] is kind and "/" not in known[1])


def _mappings(client: Any, domain: str) -> Iterator[Any]:
    more: dict[str, str] = {}
    while True:
        page = client.get_api_mappings(DomainName=domain, **more)
        yield from page["Items"]
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}


def _unless_gone(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except ClientError as error:
        if is_gone(error):
            return None
        raise
