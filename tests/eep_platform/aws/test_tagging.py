"""The index of tags of the embedded AWS: the tags of every service, with AWS's limits, and an index that can lag."""

from functools import partial
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from tests.aws.cloud import Cloud
from tests.fixtures.platform import Aws

from eep_platform.aws import ministack
from ephemeral_endpoints.engine.resources import ObservedResource, ResourceKind
from ephemeral_endpoints.features.monitoring.specs import LOG_GROUP
from ephemeral_endpoints.features.registry import KINDS
from ephemeral_endpoints.features.serving.specs import MODEL

TAGGABLE = [kind for kind in KINDS if kind.taggable]
GROUP = f"arn:aws:logs:{ministack.REGION}:{ministack.ACCOUNT}:log-group:/aws/lambda/tagged"


def shown(aws: Aws, *arns: str) -> dict[str, dict[str, str]]:
    answer = aws.client("resourcegroupstaggingapi").get_resources(ResourceARNList=list(arns))
    assert answer["PaginationToken"] == ""
    return {
        each["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        for each in answer["ResourceTagMappingList"]
    }


@pytest.fixture
def group(fresh_aws: Aws) -> Any:  # noqa: ANN401 - a client of logs
    """A client with which a tagged log group was made."""
    logs = fresh_aws.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/tagged", tags={"team": "nlp"})
    return logs


@pytest.mark.parametrize("kind", TAGGABLE, ids=str)
async def test_a_resource_of_every_kind_is_shown_by_its_arn(cloud: Cloud, kind: ResourceKind) -> None:
    observed: ObservedResource = await cloud.make(await cloud.prepare(kind))
    assert shown(cloud.aws, observed.arn)[observed.arn] == await cloud.components[kind].tags(cloud.calls, observed)


async def test_many_are_shown_at_once_and_those_that_do_not_exist_are_omitted(cloud: Cloud) -> None:
    made = [await cloud.make(await cloud.prepare(kind)) for kind in (LOG_GROUP, MODEL)]
    arns = [each.arn for each in made]
    missing = [f"{each.arn}-missing" for each in made]
    assert shown(cloud.aws, *arns, *missing, *arns).keys() == set(arns)


def test_a_resource_without_tags_is_shown_only_if_it_was_tagged_before(group: Any, fresh_aws: Aws) -> None:  # noqa: ANN401 - see group
    group.create_log_group(logGroupName="/aws/lambda/never")
    never = GROUP.replace("tagged", "never")
    assert shown(fresh_aws, GROUP, never) == {GROUP: {"team": "nlp"}}
    group.untag_resource(resourceArn=GROUP, tagKeys=["team"])
    assert shown(fresh_aws, GROUP, never) == {GROUP: {}}


def test_an_index_that_lags_shows_what_was_and_not_what_is(group: Any, fresh_aws: Aws) -> None:  # noqa: ANN401 - see group
    shown(fresh_aws, GROUP)
    fresh_aws.control.hold_tag_index()
    group.create_log_group(logGroupName="/aws/lambda/new", tags={"team": "nlp"})
    group.delete_log_group(logGroupName="/aws/lambda/tagged")
    new = GROUP.replace("tagged", "new")
    assert shown(fresh_aws, GROUP, new) == {GROUP: {"team": "nlp"}}
    fresh_aws.control.hold_tag_index(is_held=False)
    assert shown(fresh_aws, GROUP, new) == {GROUP: {}, new: {"team": "nlp"}}
    fresh_aws.control.reset()
    assert shown(fresh_aws, GROUP) == {}


def searched(aws: Aws, filters: dict[str, list[str]], *types: str, page: int = 100) -> set[str]:
    pages = (
        aws.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(
            TagFilters=[{"Key": key, "Values": values} for key, values in filters.items()],
            ResourcesPerPage=page,
            **({"ResourceTypeFilters": list(types)} if types else {}),
        )
    )
    return {each["ResourceARN"] for page in pages for each in page["ResourceTagMappingList"]}


async def test_a_search_finds_every_taggable_kind_but_scaling_by_its_tags_and_type(cloud: Cloud) -> None:
    made = {}
    for kind in TAGGABLE:
        made[kind.name] = (await cloud.make(await cloud.prepare(kind))).arn
    aws, tags = cloud.aws, {key: [value, "another"] for key, value in cloud.tags}
    expected = {arn for name, arn in made.items() if name != "ScalableTarget"}
    stages = {f"{made['HttpApi']}/stages/$default"}
    assert searched(aws, tags) == searched(aws, tags, page=3) == expected | stages
    assert searched(aws, tags, "sagemaker:endpoint", "ecr") == {made["Endpoint"], made["Repository"]}
    assert searched(aws, tags, "apigateway") == {made["HttpApi"], *stages}
    assert searched(aws, {**tags, "team": []}) == set()
    pages = aws.client("resourcegroupstaggingapi").get_paginator("get_tag_values").paginate(Key=cloud.tags[0][0])
    assert [value for page in pages for value in page["TagValues"]] == [cloud.tags[0][1]]


@pytest.mark.parametrize("kind", [kind for kind in TAGGABLE if kind.name != "ScalableTarget"], ids=str)
async def test_a_search_shows_what_was_tagged_and_deleted_since_the_last_one(cloud: Cloud, kind: ResourceKind) -> None:
    """The index keeps what it has read until a call names the resource, in whatever way its service has calls do so."""
    resource, aws = await cloud.prepare(kind), cloud.aws
    arn = (await cloud.make(resource)).arn
    assert arn in searched(aws, {key: [] for key in dict(cloud.tags)})
    await cloud.components[kind].add_tags(cloud.calls, cloud.observed(kind), (("team", "nlp"),))
    assert arn in searched(aws, {"team": ["nlp"]})
    await cloud.remove(kind)
    assert searched(aws, {"team": []}) == set()


def test_the_pages_of_a_search_are_of_one_moment_and_can_be_asked_for_again(group: Any, fresh_aws: Aws) -> None:  # noqa: ANN401 - see group
    group.create_log_group(logGroupName="/aws/lambda/tagged-2", tags={"team": "nlp"})
    search = partial(fresh_aws.client("resourcegroupstaggingapi").get_resources, ResourcesPerPage=1)
    token = search()["PaginationToken"]
    group.delete_log_group(logGroupName="/aws/lambda/tagged-2")
    for _ in range(2):
        [last] = search(PaginationToken=token)["ResourceTagMappingList"]
        assert last["ResourceARN"] == f"{GROUP}-2"
    with pytest.raises(ClientError, match="PaginationTokenExpired"):
        search(PaginationToken="tagged")


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("more than AWS takes", {"ResourceARNList": [f"{GROUP}-{number}" for number in range(101)]}, "less than or equal"),
    ("not an ARN", {"ResourceARNList": [GROUP, "/aws/lambda/tagged"]}, "not a valid Amazon"),
    ("of another partition", {"ResourceARNList": [GROUP.replace("aws", "aws-cn", 1)]}, "not a valid Amazon"),
    ("pages of ARNs", {"ResourceARNList": [GROUP], "ResourcesPerPage": 10}, "ResourcesPerPage"),
    ("filters of ARNs", {"ResourceARNList": [GROUP], "TagFilters": [{"Key": "team"}]}, "TagFilters"),
    ("more a page than AWS gives", {"TagFilters": [{"Key": "team"}], "ResourcesPerPage": 101}, "between 1 and 100"),
    ("more values than a filter takes", {"TagFilters": [{"Key": "a", "Values": ["b"] * 21}]}, "less than or equal"),
]


@pytest.mark.parametrize(("arguments", "why"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_request_that_aws_does_not_take_is_refused(fresh_aws: Aws, arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ClientError, match=why) as refused:
        fresh_aws.client("resourcegroupstaggingapi").get_resources(**arguments)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterException"


def test_a_resource_of_another_region_is_not_there(group: Any, fresh_aws: Aws) -> None:  # noqa: ANN401, ARG001 - see group
    assert shown(fresh_aws, GROUP.replace(ministack.REGION, "eu-west-1")) == {}


def test_whether_the_index_lags_is_yes_or_no(fresh_aws: Aws) -> None:
    answer = requests.put(f"{fresh_aws.endpoint}/_meter/tag-index", json="perhaps", timeout=30)
    assert (answer.status_code, "bool" in answer.text) == (400, True)
