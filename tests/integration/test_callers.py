"""Who may call a URL, as callers see it: through the gateway of the platform, with real tokens and signatures."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import requests
import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.fixtures.issuer import AUDIENCE, Issuer, new_key
from tests.fixtures.operator import DEFAULT_SETTINGS, Bench, OperatorProcess
from tests.fixtures.waiting import eventually
from tests.integration.test_serving import FOR_TWO

import ephemeral_endpoints
from eep_platform.aws import ministack
from eep_platform.kubelet import Image, Kubelet
from eep_platform.workbench import condition
from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.api.kinds import ENDPOINT_CLASS

JWT = {"auth": {"type": "JWT", "jwt": {"claims": {"repository": "acme/wine", "sub": "repo:acme/wine:*"}}}}
IAM = {"auth": {"type": "IAM"}}
TOKEN = {"auth": {"type": "Token"}}
BASH = shutil.which("bash") or "/bin/bash"
EXAMPLE = Path(__file__).parents[2] / "examples/ci/github/call.yaml"
UNAUTHORIZED, FORBIDDEN, OK = HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.OK


@pytest.fixture
def class_name(bench: Bench, issuer: Issuer) -> Iterator[str]:
    """A class with an issuer, that allows all but None; its objects are gone afterwards."""
    name = f"callers-{bench.namespace}"
    issuing = {"issuer": issuer.url, "audiences": [AUDIENCE], "claims": {"repository_owner": "acme"}}
    bench.make_class(name, routing={"auth": {"allowed": ["Token", "JWT", "IAM"], "jwt": issuing}})
    yield name
    bench.control.release()
    for each in bench.names():
        bench.delete(each)
        bench.wait_gone(each)
    bench.delete_class(name)
    bench.wait_class_gone(name)
    assert "Authorizer" not in bench.contents()


def post(url: str, *, jwt: str | None = None, key: str | None = None, path: str = "") -> requests.Response:
    headers = {"content-type": "application/json"}
    headers |= {"authorization": f"Bearer {jwt}"} if jwt else {}
    headers |= {"x-api-key": key} if key else {}
    return requests.post(f"{url}{path}", data=b"{}", headers=headers, timeout=35)


def signed(bench: Bench, url: str, access_key: str, *, service: str = "execute-api") -> requests.Response:
    request = AWSRequest("POST", url, data=b"{}", headers={"content-type": "application/json"})
    SigV4Auth(Credentials(access_key, "secret"), service, bench.platform.region).add_auth(request)
    return requests.post(url, data=b"{}", headers=dict(request.headers.items()), timeout=35)


def test_a_url_that_takes_jwts_admits_those_of_its_repository_only(
    bench: Bench, class_name: str, issuer: Issuer
) -> None:
    bench.apply("pr", bench.spec(className=class_name, model=bench.saying("hello"), api=JWT))
    obj = bench.wait_ready("pr")
    url, operators = obj["status"]["url"], bench.token("pr")
    message = condition(obj, "RouteReady")["message"]
    assert f"a JWT of {issuer.url} that claims repository_owner=acme, repository=acme/wine" in message

    answered = post(url, jwt=issuer.token())
    assert (answered.status_code, answered.text) == (OK, "hello")
    assert post(url, jwt=issuer.token(), path="/invocations").status_code == OK

    other = post(url, jwt=issuer.token(repository="mallory/wine", sub="repo:mallory/wine:pull_request"))
    assert other.status_code == FORBIDDEN
    assert other.headers["content-type"] == "application/problem+json"
    assert other.json()["type"] == "urn:ephemeral-endpoints:problem:forbidden"
    assert "repository, sub" in other.json()["detail"]
    assert "mallory" not in other.text
    refused = {
        "of another owner": issuer.token(repository_owner="mallory"),
        "that claims no repository": issuer.token(repository=None),
        "whose repository only begins alike": issuer.token(repository="acme/wine-cellar"),
    }
    assert {why: post(url, jwt=each).status_code for why, each in refused.items()} == dict.fromkeys(refused, FORBIDDEN)
    unknown = {
        "none": None,
        "expired": issuer.token(exp=int(time.time()) - 5),
        "without an end": issuer.token(exp=None),
        "not yet valid": issuer.token(nbf=int(time.time()) + 3600, exp=int(time.time()) + 7200),
        "of another audience": issuer.token(aud="https://github.com/acme"),
        "of another issuer": issuer.token(iss="https://token.actions.githubusercontent.com"),
        "signed by another key": issuer.token(key=new_key()),
        "not signed": issuer.token(algorithm="none"),
        "of another algorithm": issuer.token(algorithm="HS256"),
        "the object's own": operators,
    }
    answers = {why: post(url, jwt=each) for why, each in unknown.items()}
    assert {why: each.status_code for why, each in answers.items()} == dict.fromkeys(unknown, UNAUTHORIZED)
    assert "invalid_token" in answers["expired"].headers["www-authenticate"]
    assert post(url, key=operators).status_code == UNAUTHORIZED, "the gateway lets nobody in without a JWT"

    # What is open tells nothing, and the operator's own way asks for the token.
    assert requests.get(f"{url}/healthz", timeout=35).json() == {"status": "ok"}
    assert requests.get(url, headers={"accept": "text/html"}, timeout=35).status_code == OK
    assert requests.get(url, timeout=35).status_code == UNAUTHORIZED
    assert requests.options(f"{url}/invocations", timeout=35).status_code == UNAUTHORIZED, "there are no CORS"
    entrance = "/operator/invocations"
    assert post(url, path=entrance).status_code == UNAUTHORIZED
    assert post(url, path=entrance, jwt=issuer.token()).status_code == UNAUTHORIZED
    assert post(url, path=entrance, jwt=operators).text == "hello"
    # As the documented workflow does it.
    issuer.documents["/id-token"] = {"value": issuer.token()}
    [step] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["jobs"]["call"]["steps"]
    ran = subprocess.run(  # noqa: S603 - of this repository
        [BASH, "-e", "-c", step["run"]],
        env={
            **os.environ,
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of the run",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{issuer.url}/id-token?api-version=2",
            **step["env"],
            "URL": url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "hello"), ran.stderr

    document = requests.get(
        f"{url}/openapi.json", headers={"authorization": f"Bearer {issuer.token()}"}, timeout=35
    ).json()
    assert document["components"]["securitySchemes"]["jwt"]["bearerFormat"] == "JWT"


def test_a_url_that_takes_signatures_admits_those_who_may_invoke_it(bench: Bench, class_name: str) -> None:
    bench.apply("pr", bench.spec(className=class_name, model=bench.saying("hello"), api=IAM))
    url = bench.wait_ready("pr")["status"]["url"]
    iam = bench.aws("iam")
    keys = {}
    for name in ("allowed", "denied"):
        user = f"{name}-{bench.namespace}"
        iam.create_user(UserName=user)
        keys[name] = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    api, path = url.partition("/_api/")[2].split("/", 1)
    resource = f"arn:aws:execute-api:{bench.platform.region}:{ministack.ACCOUNT}:{api}/$default/POST/{path}"
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    bench.control.hold_to(keys["allowed"], [{"Version": "2012-10-17", "Statement": [statement]}])
    other = {**statement, "Resource": f"{resource}-other"}
    bench.control.hold_to(keys["denied"], [{"Version": "2012-10-17", "Statement": [other]}])

    answered = signed(bench, url, keys["allowed"])
    assert (answered.status_code, answered.text) == (OK, "hello")
    refused = {
        "not allowed": signed(bench, url, keys["denied"]),
        "allowed for another path": signed(bench, f"{url}/invocations", keys["allowed"]),
        "with an unknown key": signed(bench, url, "AKIAUNKNOWNUNKNOWN00"),
        "signed for another service": signed(bench, url, keys["allowed"], service="s3"),
        "not signed": post(url),
        "with a token": post(url, jwt=bench.token("pr")),
        "with a key": post(url, key=bench.token("pr")),
    }
    assert {why: each.status_code for why, each in refused.items()} == dict.fromkeys(refused, FORBIDDEN)
    assert all(each.json() == {"message": "Forbidden"} for each in refused.values())
    assert post(url, path="/operator/invocations", jwt=bench.token("pr")).text == "hello"
    for name, key in keys.items():
        iam.delete_access_key(UserName=f"{name}-{bench.namespace}", AccessKeyId=key)
        iam.delete_user(UserName=f"{name}-{bench.namespace}")


def test_a_url_is_open_at_no_moment_while_its_callers_change(bench: Bench, class_name: str, issuer: Issuer) -> None:
    # The test and the caller may be answered at once, which a serverless endpoint for one would refuse.
    spec = bench.spec(className=class_name, model=bench.saying("hello"), serving=FOR_TWO)
    bench.apply("pr", spec | {"api": TOKEN})
    url, token = bench.wait_ready("pr")["status"]["url"], bench.token("pr")
    seen: list[tuple[int, bool]] = []
    is_over = threading.Event()

    def call() -> None:
        while not is_over.is_set():
            nobody = [post(url).status_code, post(url, path="/invocations").status_code]
            others = post(url, jwt=issuer.token(repository="mallory/wine")).status_code
            # The token once more: it may be taken just when the JWT no longer is.
            anybody = OK in {post(url, jwt=each).status_code for each in (token, issuer.token(), token)}
            seen.extend((status, anybody) for status in (*nobody, others))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        bench.apply("pr", spec | {"api": JWT})
        bench.wait_ready("pr")
        assert post(url, jwt=issuer.token()).status_code == OK
        assert post(url, jwt=token).status_code == UNAUTHORIZED
        bench.apply("pr", spec | {"api": TOKEN})
        bench.wait_ready("pr")
        assert post(url, jwt=token).status_code == OK
        assert post(url, jwt=issuer.token()).status_code == UNAUTHORIZED
    finally:
        is_over.set()
        caller.join()
    assert {status for status, _ in seen} <= {UNAUTHORIZED, FORBIDDEN}
    assert all(anybody for _, anybody in seen), "either the token or the JWT is taken at every moment"
    assert len(bench.contents()["Route"]) == 2


def test_an_authorizer_that_somebody_removes_closes_the_url_and_is_repaired(
    bench: Bench, operator_process: OperatorProcess, class_name: str, issuer: Issuer
) -> None:
    bench.apply("pr", bench.spec(className=class_name, model=bench.saying("hello"), api=JWT))
    url = bench.wait_ready("pr")["status"]["url"]
    gateway, api = bench.aws("apigatewayv2"), url.partition("/_api/")[2].partition("/")[0]
    [authorizer] = gateway.get_authorizers(ApiId=api)["Items"]
    with pytest.raises(gateway.exceptions.ConflictException):
        gateway.delete_authorizer(ApiId=api, AuthorizerId=authorizer["AuthorizerId"])
    for route in gateway.get_routes(ApiId=api)["Items"]:
        gateway.update_route(ApiId=api, RouteId=route["RouteId"], AuthorizationType="NONE")
    gateway.delete_authorizer(ApiId=api, AuthorizerId=authorizer["AuthorizerId"])
    assert post(url).status_code == UNAUTHORIZED
    assert post(url, jwt=issuer.token()).status_code == UNAUTHORIZED
    operator_process.restart()  # which looks at everything, as it does every few minutes
    eventually(lambda: post(url, jwt=issuer.token()).status_code == OK, "the authorizer again")


def test_what_the_class_does_not_allow_takes_the_token_and_says_who_must_act(bench: Bench, class_name: str) -> None:
    bench.apply("open", bench.spec(className=class_name, api={"auth": {"type": "None"}}))
    obj = bench.wait_condition("open", "Stalled", reason="NotAllowed")
    assert "choose Token, JWT or IAM" in condition(obj, "Stalled")["message"]
    url = bench.wait(
        "open", lambda each: "url" in each["status"] and bool(bench.contents().get("Route")), what="served"
    )["status"]["url"]
    assert post(url).status_code == UNAUTHORIZED
    eventually(lambda: post(url, jwt=bench.token("open")).status_code == OK, "the token is taken")

    bench.objects.patch_cluster_custom_object(
        *(GROUP, VERSION, ENDPOINT_CLASS.plural, class_name),
        {"spec": {"routing": {"auth": {"jwt": None}}}},
        _content_type="application/merge-patch+json",
    )
    bench.apply("pr", bench.spec(className=class_name, api=JWT))
    obj = bench.wait_condition("pr", "Stalled", reason="IssuerMissing")
    assert "ask the platform team to set spec.routing.auth.jwt of the class" in json.dumps(condition(obj, "Stalled"))


@pytest.mark.settings(None)
def test_checks_load_and_comparisons_reach_urls_that_the_gateway_guards(
    bench: Bench, operator_process: OperatorProcess, class_name: str, tmp_path: Path
) -> None:
    operator_process.run({**DEFAULT_SETTINGS, "EEP_OWN_NAMESPACE": bench.namespace, "EEP_IMAGE": "operator:1"})
    check = {"name": "steady", "request": {"body": "{}"}, "load": {"rate": 10, "duration": "1s", "warmUp": 1}}
    model = {"image": bench.image, "environment": {"SAY": '{"label": "good"}', "MEDIA_TYPE": "application/json"}}
    given = {"className": class_name, "model": model, "serving": {"serverless": {"maxConcurrency": 100}}}
    samples = {"samples": [{"name": "lovely", "request": '{"text": "lovely"}'}]}
    image = Image(environment={"PYTHONPATH": str(Path(ephemeral_endpoints.__file__).parents[1])})
    with Kubelet(bench.platform.kubeconfig, bench.namespace, state=tmp_path, image=image):
        bench.apply("base", bench.spec(**given, api={**IAM, **samples}, checks=[check]))
        bench.wait_condition("base", "ChecksPassed", reason="ChecksPassed")
        compare = {"with": {"endpoint": "base"}}
        bench.apply("head", bench.spec(**given, api={**JWT, **samples}, checks=[check], compare=compare))
        run = bench.wait("head", lambda obj: bool(obj["status"].get("checks")), what="checked")["status"]["checks"]
    [result] = run["results"]
    assert result["outcome"] == "Passed", result
    assert result["load"]["sent"] == 10, result
    compared = bench.wait("head", lambda obj: bool(obj["status"].get("comparison")), what="compared")
    assert compared["status"]["comparison"]["requests"] == 1, compared["status"]["comparison"]
