"""One run of the reaper: what has expired by the index of tags is looked at in its own service, and deleted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from ephemeral_endpoints.engine.names import ENDPOINT_LOG_PREFIX, LAMBDA_LOG_PREFIX, is_of_reaper, owner_of, prefix
from ephemeral_endpoints.engine.tags import CLASS, CLUSTER, EXPIRES_AT, NAME, NAMESPACE, UID, timestamp
from ephemeral_endpoints.features.expiry.reaper.deletion import Deletion, Found, unless_gone
from ephemeral_endpoints.features.expiry.reaper.index import VALUES_AT_ONCE, chunks, is_any, tagged, values
from ephemeral_endpoints.features.expiry.reaper.kinds import (
    ALARM,
    DELIVERY_STREAM,
    HTTP_API,
    INTEGRATION,
    LOG_GROUP,
    OF_OBJECTS,
    PIPELINE,
    REPOSITORY,
    ROUTE,
    ROUTE_THROTTLE,
    SCALABLE_TARGET,
    UNTAGGED,
    VARIANTS,
    ReapedKind,
    TagMap,
    identify,
    items,
)
from ephemeral_endpoints.features.expiry.reaper.policy import (
    LEAST_GRACE,
    Expired,
    choose,
    expired,
    is_of_class,
    past,
)

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


class Run(Deletion):
    """A run."""

    def run(self) -> None:
        """Make the run. Raises what keeps the index of tags from being read; all else is in the report."""
        ends, now = values(self._aws, EXPIRES_AT)
        self._report.now = timestamp(now)
        self._cutoff = now - self._rules.grace
        anchors = tagged(self._aws, {CLUSTER: [self._rules.cluster_id]}, *_ANCHORS)
        ended = past(ends, self._cutoff)
        due = self._due(ended, anchors)
        choice = choose(due, self._count_objects(anchors, now), self._rules, now)
        self._report.held = choice.held
        shared = self._of_class()
        self._take(list(choice.free), shared, is_over=len(ended) == len(set(ends)))
        self._take_shared(shared, now)
        if now.hour in _LATE_LOGS and now.minute < _TICK_MINUTES:
            self._take_late_logs(_LATE_LOGS[now.hour])
        self._report.is_complete = True

    def _due(self, ends: Iterable[str], anchors: Mapping[str, TagMap]) -> list[Expired]:
        """The objects that seem to be due: those of the anchors, and those of which something else tells an end.

        A page of the index has a hundred resources, and an object a dozen: all of them are read of few objects only.
        """
        found = {arn: tags for arn, tags in anchors.items() if tags.get(CLASS) == self._rules.class_name}
        known = {timestamp(each.holder.expires_at) for each in expired(found, self._cutoff) if each.holder.expires_at}
        for chunk in chunks(end for end in ends if end not in known):
            found |= tagged(self._aws, {**self._ours, EXPIRES_AT: chunk})
        return expired(found, self._cutoff)

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

    def _take(self, free: list[Expired], shared: Mapping[str, TagMap], *, is_over: bool) -> None:
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
                proven = self._proven(part, targets)
                turns -= sum(each.is_whole for each in proven)
                taken += proven
            owners = {each.due.owner: each.due for each in taken}
            for api in _named(shared, HTTP_API) if owners else ():
                self._try(ROUTE, partial(self._take_routes, api, owners, is_over=is_over))
            self._take_found(taken)
        self._report.waiting = len(free)

    def _take_found(self, taken: Sequence[Taken]) -> None:
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
        self._delete(each for each in free if each.kind is SCALABLE_TARGET)
        for is_dear in (False, True):
            self._delete(each for each in free if each.kind is not SCALABLE_TARGET and each.kind.is_dear is is_dear)

    def _proven(self, part: Iterable[Expired], targets: list[Any]) -> list[Taken]:
        """Those that have ended by what they have in AWS."""
        index = tagged(self._aws, {**self._ours, UID: [each.uid for each in part]})
        there = [(due, *each) for due in expired(index, self._cutoff) for each in self._listed(due, targets)]
        found = [each for each in self._each(self._look, there, lambda each: each[1].service) if each]
        proven = []
        for due in dict.fromkeys(each.due for each in found):
            of_it = [each for each in found if each.due is due]
            if due and (ours := self._own(due, of_it)) is not None:
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

    def _targets(self) -> Iterator[Any]:
        ours, service = f"endpoint/{prefix(self._rules.cluster_id)}", SCALABLE_TARGET.service
        asked = {"ServiceNamespace": VARIANTS["ServiceNamespace"]}
        listed = items(self._aws, service, "describe_scalable_targets", "ScalableTargets", **asked)
        return (each for each in listed if each["ResourceId"].startswith(ours))

    def _of_class(self) -> dict[str, dict[str, str]]:
        """What has the tags of the class; an object may have the name of its class."""
        shared = {CLUSTER: [self._rules.cluster_id], NAME: [self._rules.class_name]}
        return {arn: tags for arn, tags in tagged(self._aws, shared).items() if NAMESPACE not in tags}

    def _take_routes(self, api: str, owners: dict[str, Expired], *, is_over: bool) -> None:
        """Delete the routes of these objects after their settings, and then their integrations.

        By one call where the API has no others and no object lives on: all of them are over.
        """
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
            all(integrations.values())
            and routes.keys() <= integrations.keys()
            and shared["CreatedDate"] <= self._cutoff
        )
        if is_over and is_whole and self._delete([Found(HTTP_API, api, id_=api)]):
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
                unless_gone(partial(client.delete_route_settings, ApiId=api, StageName=stage, RouteKey=key))
                self._note(ROUTE_THROTTLE, key, due)
            unless_gone(partial(client.delete_route, ApiId=api, RouteId=each["RouteId"]))
            self._note(ROUTE, key, due)
        if not self._is_late():
            unless_gone(partial(client.delete_integration, ApiId=api, IntegrationId=id_))
            self._note(INTEGRATION, id_, due)

    def _of_api(self, operation: str, api: str) -> Iterator[Any]:
        return items(self._aws, "apigatewayv2", operation, "Items", ApiId=api, PaginationConfig={"PageSize": 500})

    def _take_shared(self, shared: Mapping[str, TagMap], now: datetime) -> None:
        """Delete what the objects of the class shared, once it has none and has had none for long enough."""
        if not is_any(self._aws, self._ours):
            self._take_unused(shared)
        unused: list[Found] = self._try(REPOSITORY.name, partial(self._unused_repositories, shared, now)) or []
        # Retained models of any class may have been made before resources were tagged with their class.
        of_objects = {CLUSTER: [self._rules.cluster_id], NAMESPACE: []}
        unused += self._try(PIPELINE.name, partial(self._unused_pipelines, shared, now)) or []
        if unused and not is_any(self._aws, of_objects):
            self._delete(unused)

    def _take_unused(self, shared: Mapping[str, TagMap]) -> None:
        apis = _named(shared, HTTP_API)
        empty = [each for each in apis if self._try(HTTP_API.name, partial(self._is_unused, each))]
        self._delete(Found(HTTP_API, id_, id_=id_) for id_ in empty)
        if len(empty) < len(apis):
            # An API that is in use, or young, tells of an object that the index does not know yet.
            return
        streams = self._try(DELIVERY_STREAM.name, partial(self._unused_streams, shared))
        self._delete(streams or ())
        alarms = self._try(ALARM.name, partial(self._of_class_by_tags, shared, ALARM)) or ()
        # They tell of captured requests that are lost; others tell of the reaper itself.
        self._delete(each for each in alarms if not is_of_reaper(each.name))

    def _is_unused(self, id_: str) -> bool:
        client = self._aws.client("apigatewayv2")
        api = client.get_api(ApiId=id_)
        is_ours = is_of_class(api["Name"], api.get("Tags", {}), self._rules)
        return is_ours and api["CreatedDate"] <= self._cutoff and not list(self._of_api("get_integrations", id_))

    def _unused_streams(self, shared: Mapping[str, TagMap]) -> list[Found]:
        def is_unused(stream: Any) -> Any:
            return stream["DeliveryStreamStatus"] != "DELETING" and stream["CreateTimestamp"] <= self._cutoff

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

    def _take_late_logs(self, where: str) -> None:
        """Delete log groups that services made again, without tags, for lines of objects that are gone."""
        groups = self._try(LOG_GROUP.name, lambda: list(self._groups(where + prefix(self._rules.cluster_id)))) or []
        read = 0
        for each in groups:
            name, is_old = each["logGroupName"], each["creationTime"] / 1000 <= self._cutoff.timestamp()
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
        is_function_gone = unless_gone(lambda: functions.get_function_configuration(FunctionName=function)) is None
        return is_function_gone and unless_gone(lambda: endpoints.describe_endpoint(EndpointName=endpoint)) is None


def _named(shared: Mapping[str, TagMap], kind: ReapedKind) -> list[str]:
    """The names of what is of the kind."""
    found = (identify(arn) for arn in shared)
    return sorted(known[1] for known in found if known and known[0] is kind and "/" not in known[1])
