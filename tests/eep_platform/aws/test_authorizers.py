"""How the embedded API Gateway authorises, where ministack alone would be kinder."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError
from tests.fixtures.issuer import AUDIENCE, Issuer
from tests.fixtures.platform import Aws

from eep_platform.aws import authorizers
from eep_platform.aws.authorizers import explaining, identifying

JWT = {"AuthorizerType": "JWT", "Name": "jwt", "IdentitySource": ["$request.header.Authorization"]}
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIA/20261101/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature="
    + "a" * 64
)


@pytest.fixture(scope="module")
def gateway(aws: Aws) -> Any:  # noqa: ANN401 - boto3's clients are made at run time
    return aws.session.client("apigatewayv2", endpoint_url=aws.endpoint)


@pytest.fixture
def api(gateway: Any) -> Iterator[str]:  # noqa: ANN401 - likewise
    id_ = gateway.create_api(Name="authorizers", ProtocolType="HTTP")["ApiId"]
    gateway.create_stage(ApiId=id_, StageName="$default", AutoDeploy=True)
    yield id_
    gateway.delete_api(ApiId=id_)


def checking(issuer: str) -> dict[str, Any]:
    return {**JWT, "JwtConfiguration": {"Issuer": issuer, "Audience": [AUDIENCE]}}


def refusal(call: Any, **arguments: Any) -> str:  # noqa: ANN401 - likewise
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_an_issuer_must_say_where_its_keys_are(gateway: Any, api: str, issuer: Issuer) -> None:  # noqa: ANN401 - likewise
    refused = refusal(gateway.create_authorizer, ApiId=api, **checking("http://127.0.0.1:9"))  # where nothing listens
    assert refused.startswith("BadRequestException: Caught exception when connecting to http://127.0.0.1:")
    assert "Issuer must have a valid discovery endpoint" in refused
    id_ = gateway.create_authorizer(ApiId=api, **checking(issuer.url))["AuthorizerId"]
    issuer.documents["/elsewhere/.well-known/openid-configuration"] = {"issuer": "no keys"}
    changed = checking(f"{issuer.url}/elsewhere")
    assert "BadRequestException" in refusal(gateway.update_authorizer, ApiId=api, AuthorizerId=id_, **changed)
    [kept] = gateway.get_authorizers(ApiId=api)["Items"]
    assert kept["JwtConfiguration"]["Issuer"] == issuer.url


def test_a_route_and_its_authorizer_belong_together(gateway: Any, api: str, issuer: Issuer) -> None:  # noqa: ANN401 - likewise
    route = {"ApiId": api, "RouteKey": "ANY /a"}
    invalid = "BadRequestException: Invalid authorizer ID specified."
    assert refusal(gateway.create_route, **route, AuthorizationType="JWT").startswith(invalid)
    assert refusal(gateway.create_route, **route, AuthorizationType="JWT", AuthorizerId="no").startswith(invalid)
    id_ = gateway.create_authorizer(ApiId=api, **checking(issuer.url))["AuthorizerId"]
    made = gateway.create_route(**route, AuthorizationType="JWT", AuthorizerId=id_)["RouteId"]
    assert "Unable to update route" in refusal(gateway.update_route, ApiId=api, RouteId=made, AuthorizerId=id_)
    assert (
        refusal(gateway.delete_authorizer, ApiId=api, AuthorizerId=id_)
        == "ConflictException: Cannot delete authorizer 'jwt', is referenced in route: ANY /a"
    )
    opened = gateway.update_route(ApiId=api, RouteId=made, AuthorizationType="NONE")
    assert "AuthorizerId" not in opened
    gateway.delete_authorizer(ApiId=api, AuthorizerId=id_)


def test_while_the_keys_cannot_be_read_nobody_is_admitted(aws: Aws, gateway: Any, api: str, issuer: Issuer) -> None:  # noqa: ANN401 - likewise
    place = f"{issuer.url}/away"
    issuer.documents["/away/.well-known/openid-configuration"] = {"jwks_uri": f"{place}/keys"}
    id_ = gateway.create_authorizer(ApiId=api, **checking(place))["AuthorizerId"]
    gateway.create_route(ApiId=api, RouteKey="ANY /a", AuthorizationType="JWT", AuthorizerId=id_)
    url, headers = f"{aws.endpoint}/_api/{api}/a", {"authorization": f"Bearer {issuer.token(iss=place)}"}
    refused = requests.get(url, headers=headers, timeout=30)
    assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized"})
    issuer.documents["/away/keys"] = issuer.documents["/keys"]
    assert requests.get(url, headers=headers, timeout=30).status_code == 500, "admitted; the route leads nowhere"


@pytest.mark.parametrize(
    ("headers", "is_known", "admitted", "reason"),
    [
        ({}, True, True, "signed just now"),
        ({"authorization": ""}, True, False, "not signed"),
        ({"authorization": "Bearer a.b.c"}, True, False, "a token is no signature"),
        ({"authorization": SIGNED.replace("execute-api", "s3")}, True, False, "signed for another service"),
        ({"authorization": SIGNED.replace("a" * 64, "a")}, True, False, "no signature"),
        ({"x-amz-date": "20261101T110000Z"}, True, False, "signed an hour ago"),
        ({"x-amz-date": ""}, True, False, "signed at no time"),
        ({authorizers.DENIED_HEADER: "true"}, True, False, "no policy allows it"),
        ({}, False, False, "an unknown key"),
    ],
)
async def test_who_may_invoke_a_signed_route(
    headers: dict[str, str], *, is_known: bool, admitted: bool, reason: str
) -> None:
    identity = identifying(lambda *_: {"userArn": "arn"} if is_known else None, lambda: NOW + timedelta(minutes=4))
    sent = {"authorization": SIGNED, "x-amz-date": "20261101T120000Z", **headers}

    async def execute() -> authorizers.Answer:
        return 200, {}, str(identity(sent, {})).encode()

    status, _, body = await authorizers.forbidding(execute)()
    assert (status == 200) is admitted, reason
    assert admitted or (status, body) == (403, b'{"message":"Forbidden"}')


async def test_a_refusal_says_why_and_one_without_a_token_asks_for_it() -> None:
    async def validate(*_: object) -> tuple[Any, Any, authorizers.Answer]:
        return None, None, (401, {}, b"{}")

    for sent, told in (({"authorization": "Bearer a"}, "invalid_token"), ({}, "Bearer")):
        _, _, refused = await explaining(validate)({}, {}, sent, {})
        assert refused is not None
        assert told in refused[1]["www-authenticate"]
