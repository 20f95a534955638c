"""HTTP APIs as API Gateway has them, where ministack differs."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from tests.eep_platform.aws.test_front import ROLE, function_bundle
from tests.fixtures.platform import Aws

from eep_platform.aws import gateway
from eep_platform.aws.httpapi import MOST_BODY_BYTES, MOST_HEAD_BYTES

SETTINGS = {"ThrottlingRateLimit": 1.0, "ThrottlingBurstLimit": 1}


@pytest.fixture
def api(fresh_aws: Aws) -> dict[str, Any]:
    """An API whose path ``/pr`` and all below it lead to a function that tells what it is asked."""
    client = fresh_aws.client("apigatewayv2")
    made: dict[str, Any] = dict(client.create_api(Name="a", ProtocolType="HTTP"))
    function = fresh_aws.client("lambda").create_function(
        FunctionName="f",
        Runtime="python3.11",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": function_bundle()},
        Timeout=60,
    )
    integration = client.create_integration(
        ApiId=made["ApiId"],
        IntegrationType="AWS_PROXY",
        IntegrationUri=function["FunctionArn"],
        PayloadFormatVersion="2.0",
    )["IntegrationId"]
    for key in ("ANY /pr", "ANY /pr/{proxy+}"):
        client.create_route(ApiId=made["ApiId"], RouteKey=key, Target=f"integrations/{integration}")
    client.create_stage(ApiId=made["ApiId"], StageName="$default", AutoDeploy=True)
    return made


def test_an_http_api_takes_what_api_gateway_takes(fresh_aws: Aws, api: dict[str, Any]) -> None:
    client, url = fresh_aws.client("apigatewayv2"), f"{api['ApiEndpoint']}/pr"
    for child in ("", "/a/b"):
        asked = requests.options(f"{url}{child}", timeout=60)
        assert (asked.status_code, asked.json()["method"]) == (207, "OPTIONS"), "the function answers it"
    long = {f"x-{number}": "v" * (MOST_HEAD_BYTES // 4) for number in range(4)}
    assert requests.get(url, headers=long, timeout=60).status_code == 431
    assert requests.post(url, data=b"x" * (MOST_BODY_BYTES + 1), timeout=60).status_code == 413
    assert requests.post(url, data=iter([b"x" * MOST_BODY_BYTES, b"x"]), timeout=60).status_code == 413
    assert requests.post(url, data=b"x" * 5_000_000, timeout=60).status_code == 413, "base64 makes a third more of it"
    client.update_api(ApiId=api["ApiId"], CorsConfiguration={"AllowOrigins": ["https://a"]})
    assert requests.options(url, timeout=60).status_code != 207, "the API answers it"

    with pytest.raises(ClientError, match="Unable to find Route by key ANY /other"):
        client.update_stage(
            ApiId=api["ApiId"], StageName="$default", RouteSettings={"ANY /pr": SETTINGS, "ANY /other": SETTINGS}
        )
    client.update_stage(ApiId=api["ApiId"], StageName="$default", RouteSettings={"ANY /pr": SETTINGS})
    routes = client.get_routes(ApiId=api["ApiId"])["Items"]
    client.delete_route(
        ApiId=api["ApiId"], RouteId=next(each["RouteId"] for each in routes if each["RouteKey"] == "ANY /pr")
    )
    with pytest.raises(ClientError, match="Unable to find Route by key ANY /pr"):
        client.update_stage(ApiId=api["ApiId"], StageName="$default", Description="blocked")
    client.create_route(ApiId=api["ApiId"], RouteKey="ANY /b")
    client.delete_route_settings(ApiId=api["ApiId"], StageName="$default", RouteKey="ANY /pr")
    for key in ("ANY /pr/{proxy+}", "ANY /b"):
        client.update_stage(ApiId=api["ApiId"], StageName="$default", RouteSettings={key: SETTINGS})
    [stage] = client.get_stages(ApiId=api["ApiId"])["Items"]
    assert stage["RouteSettings"].keys() == {"ANY /pr/{proxy+}", "ANY /b"}, "an update takes none away"
    for settings in ("ANY /pr", "ANY /none"):
        with pytest.raises(ClientError, match="Unable to find Route by key"):
            client.delete_route_settings(ApiId=api["ApiId"], StageName="$default", RouteKey=settings)


@pytest.mark.parametrize(("size", "is_text", "status"), [(6_291_000, True, 200), (6_291_556, True, 413)])
def test_an_event_may_be_so_large(size: int, *, is_text: bool, status: int) -> None:
    async def invoke(*_: object, **__: object) -> gateway.Answer:
        return 200, {}, b""

    within = gateway.within_an_event(invoke, lambda _: is_text)

    async def answered() -> gateway.Answer:
        return await within({}, "a", "$default", "/pr", "POST", {}, b"x" * size)

    answer = asyncio.run(answered())
    assert answer[0] == status
    assert status == 200 or json.loads(answer[2])["message"]


def test_a_custom_domain_leads_to_the_api_whose_key_the_path_begins_with(fresh_aws: Aws, api: dict[str, Any]) -> None:
    client: Any = fresh_aws.client("apigatewayv2")
    configuration = {"CertificateArn": "arn:aws:acm:us-east-1:0:certificate/a", "EndpointType": "REGIONAL"}
    client.create_domain_name(DomainName="previews.example.com", DomainNameConfigurations=[configuration])
    client.create_domain_name(
        DomainName="edge.example.com", DomainNameConfigurations=[{**configuration, "EndpointType": "EDGE"}]
    )
    mapping = {"ApiId": api["ApiId"], "Stage": "$default"}
    for key in ("a b", "/a", "a/", "x" * 301, "~"):
        with pytest.raises(ClientError, match="should not contain"):
            client.create_api_mapping(DomainName="previews.example.com", ApiMappingKey=key, **mapping)
    with pytest.raises(ClientError, match="REGIONAL"):
        client.create_api_mapping(DomainName="edge.example.com", **mapping)

    def asked(path: str, host: str = "previews.example.com") -> int:
        return requests.get(f"{fresh_aws.endpoint}{path}", headers={"Host": host}, timeout=60).status_code

    assert asked("/pr") == 403, "no mapping"
    client.create_api_mapping(DomainName="previews.example.com", ApiMappingKey="team/models", **mapping)
    assert [asked(path) for path in ("/pr", "/team/models/none", "/team/models/pr", "/team/models/pr/below")] == [
        403,
        404,
        207,
        207,
    ]
    client.create_api_mapping(DomainName="previews.example.com", ApiMappingKey="", **mapping)
    assert asked("/pr", "previews.example.com:8443") == 207
    with pytest.raises(ClientError, match="already exists"):
        client.create_api_mapping(DomainName="previews.example.com", ApiMappingKey="", **mapping)


def test_an_api_and_its_stage_are_described_with_the_tags_that_they_have(fresh_aws: Aws, api: dict[str, Any]) -> None:
    client = fresh_aws.client("apigatewayv2")
    arn, place = f"arn:aws:apigateway:us-east-1::/apis/{api['ApiId']}", {"ApiId": api["ApiId"]}
    for each in (arn, f"{arn}/stages/$default"):
        client.tag_resource(ResourceArn=each, Tags={"team": "nlp", "stage": "a"})
        client.untag_resource(ResourceArn=each, TagKeys=["stage"])
    stage = client.get_stage(**place, StageName="$default")
    assert client.get_api(**place)["Tags"] == stage["Tags"] == {"team": "nlp"}


def test_parts_of_an_api_are_there_once_and_go_after_what_needs_them(fresh_aws: Aws, api: dict[str, Any]) -> None:
    client: Any = fresh_aws.client("apigatewayv2")
    place = {"ApiId": api["ApiId"]}
    routes = {each["RouteKey"]: each["RouteId"] for each in client.get_routes(**place)["Items"]}
    [integration] = (each["IntegrationId"] for each in client.get_integrations(**place)["Items"])
    below, path = routes["ANY /pr/{proxy+}"], routes["ANY /pr"]
    client.update_route(**place, RouteId=path, RouteKey="ANY /pr", OperationName="its own key")

    def refused(call: Callable[..., object], **given: object) -> tuple[str, str]:
        with pytest.raises(ClientError) as error:
            call(**place, **given)
        return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]

    taken = ("ConflictException", "Route with key ANY /pr already exists for this API")
    assert refused(client.create_route, RouteKey="ANY /pr") == taken
    assert refused(client.update_route, RouteId=below, RouteKey="ANY /pr") == taken
    assert refused(client.create_stage, StageName="$default") == ("ConflictException", "Stage already exists")
    code, message = refused(client.delete_integration, IntegrationId=integration)
    assert (code, path in message, below in message) == ("ConflictException", True, True)
    for route in (path, below):
        client.delete_route(**place, RouteId=route)
    client.delete_integration(**place, IntegrationId=integration)
    client.delete_stage(**place, StageName="$default")
    gone = {
        client.delete_authorizer: {"AuthorizerId": "a"},
        client.delete_integration: {"IntegrationId": integration},
        client.delete_route: {"RouteId": path},
        client.delete_stage: {"StageName": "$default"},
    }
    assert {refused(call, **given)[0] for call, given in gone.items()} == {"NotFoundException"}
