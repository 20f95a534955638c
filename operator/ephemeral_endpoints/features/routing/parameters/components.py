"""The parameters in SSM."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from typing_extensions import override

from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Component, expect, if_there, items, tag_list, tag_map
from ephemeral_endpoints.engine.errors import Denied
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ObservedResource, ObservedResources, Phase
from ephemeral_endpoints.engine.tags import Tags
from ephemeral_endpoints.features.routing.parameters.iam import PARAMETERS
from ephemeral_endpoints.features.routing.parameters.specs import PARAMETER, ParameterSpec
from ephemeral_endpoints.iam.statement import granted

PAGE: Final = 50
"""The most rows of DescribeParameters (…/systems-manager/latest/APIReference/API_DescribeParameters.html)."""

_STANDARD: Final = {"Type": "String", "Tier": "Standard"}
_TAGGED: Final = {"ResourceType": "Parameter"}
_WRITTEN: Final = re.compile(r".*\bnames (?P<digest>[a-z2-7]+) in version (?P<version>[0-9]+)")


class ParameterComponent(Component):
    """Parameters. Lists do not show values; the description, which is written with the value, has its digest.

    It has the version too, which SSM counts: whoever else writes the value makes another version.
    """

    kind: ClassVar = PARAMETER
    actions: ClassVar = granted(PARAMETERS)
    statements: ClassVar = PARAMETERS

    @override
    async def list_all(self, calls: Calls, known: ObservedResources) -> list[ObservedResource]:
        try:
            return await self._described(calls, "Contains", f"/{self._scope.prefix}")
        except Denied:
            # Policies of an earlier version lack the permission. Objects without parameters are served all the same.
            return [observed for key, observed in known.items() if key.kind is self.kind]

    @override
    async def describe(self, calls: Calls, key: Key, known: ObservedResources) -> ObservedResource | None:
        return next(iter(await self._described(calls, "Equals", key.name)), None)

    @override
    async def tags(self, calls: Calls, observed: ObservedResource) -> Mapping[str, str]:
        client = await self._client(calls)
        answer = await calls(client.list_tags_for_resource, **_TAGGED, ResourceId=observed.key.name)
        return tag_map(answer["TagList"])

    @override
    async def add_tags(self, calls: Calls, observed: ObservedResource, tags: Tags) -> None:
        client = await self._client(calls)
        await calls(client.add_tags_to_resource, **_TAGGED, ResourceId=observed.key.name, Tags=tag_list(tags))

    @override
    async def apply(
        self, calls: Calls, resource: DesiredResource, observed: ObservedResource | None, known: ObservedResources
    ) -> ObservedResource:
        spec, version = expect(resource, ParameterSpec), int(observed.version) + 1 if observed else 1
        # Tags are taken only by a creation, and the type by one; a change keeps both.
        how: dict[str, Any] = {"Overwrite": True} if observed else {"Tags": tag_list(spec.tags), **_STANDARD}
        description = f"The SageMaker endpoint names {spec.digest} in version {version}"
        client, name = await self._client(calls), resource.key.name
        made = await calls(client.put_parameter, Name=name, Value=spec.value, Description=description, **how)
        shown = {"Name": name, "ARN": self._scope.arn("ssm", f"parameter{name}"), "Description": description}
        return self._observed({**shown, **_STANDARD, "Version": made["Version"]})

    @override
    async def delete(self, calls: Calls, observed: ObservedResource, known: ObservedResources) -> None:
        client = await self._client(calls)
        await if_there(calls(client.delete_parameter, Name=observed.key.name))

    async def _described(self, calls: Calls, option: str, name: str) -> list[ObservedResource]:
        client = await self._client(calls)
        filters = [{"Key": "Name", "Option": option, "Values": [name]}]
        found = await items(calls, client.describe_parameters, "Parameters", ParameterFilters=filters, MaxResults=PAGE)
        named = (each for each in found if _own_name(each).startswith(self._scope.prefix))
        return [self._observed(each) for each in named]

    async def _client(self, calls: Calls) -> Any:
        return await asyncio.get_running_loop().run_in_executor(calls.pool, self._clients.ssm)

    def _observed(self, item: Any) -> ObservedResource:
        written, version = _WRITTEN.fullmatch(item.get("Description", "")), str(item["Version"])
        return ObservedResource(
            Key(self.kind, item["Name"]),
            Phase.READY,
            spec=ParameterSpec(
                written["digest"] if written and written["version"] == version else "",
                is_standard=all(item[each] == value for each, value in _STANDARD.items()),
            ),
            arn=item["ARN"],
            version=version,
            owner=self._owner_of(_own_name(item)),
        )


def _own_name(item: Any) -> str:
    name: str = item["Name"]
    return name.rpartition("/")[2]
