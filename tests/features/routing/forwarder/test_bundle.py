import ast
import io
import json
import os
import re
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin

import boto3
import pytest
import requests
from tests.features.routing.forwarder.deployed import ABOUT, PATH, TOKEN, TOKEN_SHA256, serving
from tests.fixtures.waiting import TIMEOUT_SECONDS, eventually

from eep_platform.processes import free_port
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.forwarder.config import (
    AnswerPointers,
    AsyncConfig,
    Base,
    Cors,
    FeedbackConfig,
    Former,
    ForwarderConfig,
    Playground,
    Sample,
    Variant,
)
from ephemeral_endpoints.features.routing.specs import route_keys

if TYPE_CHECKING:
    from types_boto3_apigatewayv2 import ApiGatewayV2Client

MAIN = Variant("main", "nlp-sentiment", 1)
CONFIG = ForwarderConfig((MAIN,), TOKEN_SHA256, 4_194_304, "us-east-1", ABOUT, PATH, playground=Playground())
FOLDERS = AsyncConfig("s3://bucket/in/", "s3://bucket/out/", "s3://bucket/bad/")
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


def test_equal_configurations_give_the_same_bytes_whenever_they_are_built() -> None:
    assert bundle.build(replace(CONFIG)) == bundle.build(CONFIG)


@pytest.mark.parametrize(
    "other",
    [
        replace(CONFIG, variants=(replace(MAIN, endpoint_name="other"),)),
        replace(CONFIG, variants=(MAIN, Variant("other", "other", 0))),
        replace(CONFIG, token_sha256=None),
        replace(CONFIG, max_body_bytes=1),
        replace(CONFIG, region="eu-west-1"),
        replace(CONFIG, asynchronous=FOLDERS),
        replace(CONFIG, about=replace(ABOUT, revision="0" * 40)),
        replace(CONFIG, timeout_seconds=1),
        replace(CONFIG, cors=Cors(("*",))),
        replace(CONFIG, samples=(Sample("a", "{}", "application/json"),), readiness="a"),
        replace(CONFIG, request_schema="{}"),
        replace(CONFIG, response_schema="{}"),
        replace(CONFIG, playground=None),
        replace(CONFIG, playground=Playground("A title")),
        replace(CONFIG, playground=Playground(answer=AnswerPointers(label="/label"))),
        replace(CONFIG, feedback=FeedbackConfig("table", "key", reasons=True)),
        replace(CONFIG, former_token=Former("0a" * 32, 1)),
        replace(CONFIG, base=Base("main", "eep-main", (MAIN,))),
    ],
)
def test_whatever_differs_in_the_configuration_differs_in_the_hash(other: ForwarderConfig) -> None:
    assert bundle.build(other).sha256_base64 != bundle.build(CONFIG).sha256_base64


def test_the_bundle_is_small() -> None:
    assert len(bundle.build(CONFIG).zip) <= 195_000


def test_a_module_of_the_bundle_is_that_of_the_package_but_for_docstrings_and_types() -> None:
    folder = "ephemeral_endpoints/features/routing/forwarder"
    with zipfile.ZipFile(io.BytesIO(bundle.build(CONFIG).zip)) as archive:
        names = [name for name in archive.namelist() if name.startswith(f"{folder}/") and name.endswith(".py")]
        packed = {name: archive.read(name).decode() for name in names}
    assert len(packed) > 20
    for name, text in packed.items():
        source = Path(bundle.__file__).with_name(Path(name).name).read_text()
        assert program(text) == program(source), f"{name}: the same, on the same lines"
        assert len(text) <= len(source)


def program(source: str) -> tuple[str, list[int]]:
    """What a module does, whatever its docstrings say and its types are, and on which lines."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass(lineno=node.body[0].lineno, col_offset=4)]
    return ast.dump(tree), [node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt | ast.expr)]


def test_the_zip_carries_neither_times_nor_rights_of_this_machine() -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.build(CONFIG).zip)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
        assert TOKEN.encode() not in archive.read("ephemeral_endpoints/features/routing/forwarder/config.json")


def test_the_zip_needs_nothing_of_this_project_but_itself(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(bundle.build(CONFIG).zip)) as archive:
        archive.extractall(tmp_path)
    program = (
        "import sys; from ephemeral_endpoints.features.routing.forwarder import handler; print(*{m.__file__ for m in"
        " sys.modules.values() if m.__name__.startswith('ephemeral_endpoints')}, sep='\\n')"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", program]
    output = subprocess.check_output(command, env=environment, text=True)  # noqa: S603 - both are of this file
    assert output
    assert all(Path(line).is_relative_to(tmp_path) for line in output.splitlines())


class _Echo(BaseHTTPRequestHandler):
    """SageMaker Runtime before a model that answers with what it was sent, and refuses what is called bad."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Runtime"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith("/async-invocations") and "X-Amzn-SageMaker-InputLocation" in self.headers:
            self._queue()
        elif "X-Amzn-SageMaker-Target-Model" in self.headers or self.path.endswith("/async-invocations"):
            self._answer(400, b'{"Message": "Refused."}', "application/json", {"x-amzn-ErrorType": "ValidationError"})
        elif body == b"bad":
            members = {"Message": "", "OriginalStatusCode": 422, "OriginalMessage": "no"}
            error = {"x-amzn-ErrorType": "ModelError"}
            self._answer(424, json.dumps(members).encode(), "application/json", error)
        else:
            attributes = {ATTRIBUTES: self.headers.get(ATTRIBUTES, "")}
            self._answer(200, body, self.headers["Content-Type"], attributes)

    def _queue(self) -> None:
        """Answer through S3, where SageMaker would put it, before the request is said to be taken."""
        name = uuid.uuid4()
        with closing(session().client("s3", endpoint_url=self.server.aws)) as s3:
            source = self.headers["X-Amzn-SageMaker-InputLocation"].removeprefix("s3://bucket/")
            body = s3.get_object(Bucket="bucket", Key=source)["Body"].read()
            place = f"bad/{name}-error.out" if body == b"bad" else f"out/{name}.out"
            content_type = self.headers.get("X-Amzn-SageMaker-Content-Type", "text/plain")
            s3.put_object(Bucket="bucket", Key=place, Body=body, ContentType=content_type)
        locations = {"Output": f"{FOLDERS.output_s3_uri}{name}.out", "Failure": f"{FOLDERS.failures}{name}-error.out"}
        headers = {f"X-Amzn-SageMaker-{name}Location": location for name, location in locations.items()}
        self._answer(202, b"{}", "application/json", headers)

    def _answer(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": content_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Runtime(ThreadingHTTPServer):
    """The server; ``aws`` is the URL of the S3 that it uses."""

    daemon_threads = True
    aws = ""


class Deployed(NamedTuple):
    """Forwarders in Lambda behind an HTTP API, and the CodeSha256 that Lambda gave the first."""

    url: str
    asynchronous_url: str
    code_sha256: str
    aws: str


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    runtime = _Runtime(("127.0.0.1", 0), _Echo)
    with serving(runtime) as url, ministack(url, tmp_path_factory.mktemp("ministack")) as aws:
        runtime.aws = aws
        with closing(session().client("s3", endpoint_url=aws)) as s3:
            s3.create_bucket(Bucket="bucket")
        with closing(session().client("apigatewayv2", endpoint_url=aws)) as api:
            api_id = api.create_api(Name="test", ProtocolType="HTTP")["ApiId"]
            code_sha256 = create_route(aws, api, api_id, "sentiment", CONFIG)
            hidden = replace(CONFIG, asynchronous=FOLDERS, path="/nlp/asynchronous", playground=None)
            create_route(aws, api, api_id, "asynchronous", hidden)
            api.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
        base = f"{aws}/_aws/execute-api/{api_id}/$default"
        yield Deployed(f"{base}/nlp/sentiment", f"{base}/nlp/asynchronous", code_sha256, aws)


@contextmanager
def ministack(runtime: str, folder: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "TMPDIR": str(folder),
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": runtime,
        "AWS_ENDPOINT_URL_LAMBDA": f"http://127.0.0.1:{port}",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/_ministack/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(TIMEOUT_SECONDS)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            requests.get(url, timeout=60)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"ministack does not answer: {log.read_text()}")


def create_route(aws: str, api: "ApiGatewayV2Client", api_id: str, name: str, config: ForwarderConfig) -> str:
    """Deploy a forwarder behind ``/nlp/<name>``; gives its CodeSha256."""
    package = bundle.build(config)
    with closing(session().client("lambda", endpoint_url=aws)) as client:
        client.create_function(
            FunctionName=name,
            Runtime=bundle.RUNTIME,
            Role="arn:aws:iam::000000000000:role/forwarder",
            Handler=bundle.HANDLER,
            Timeout=bundle.TIMEOUT_SECONDS,
            MemorySize=bundle.MEMORY_MB,
            Code={"ZipFile": package.zip},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        made = client.get_function_configuration(FunctionName=name)
    integration = api.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationUri=made["FunctionArn"],
        PayloadFormatVersion="2.0",
    )
    target = f"integrations/{integration['IntegrationId']}"
    for key in route_keys(f"/nlp/{name}"):
        api.create_route(ApiId=api_id, RouteKey=key, Target=target)
    return made["CodeSha256"]


def session() -> boto3.Session:
    return boto3.Session("000000000000", "test", region_name="us-east-1")


def test_lambda_computes_the_hash_that_the_bundle_predicts(deployed: Deployed) -> None:
    assert deployed.code_sha256 == bundle.build(CONFIG).sha256_base64


def test_over_http_the_model_answers_whom_the_token_opens(deployed: Deployed) -> None:
    opened = {"Authorization": f"Bearer {TOKEN}"}
    answer = requests.post(deployed.url, json={"text": "ü"}, headers={**opened, ATTRIBUTES: "trace=1"}, timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"text": "ü"})
    assert answer.headers[ATTRIBUTES] == "trace=1"
    assert answer.headers["content-type"] == "application/json"
    assert requests.get(f"{deployed.url}/readyz", headers=opened, timeout=60).json() == {"status": "Ready"}
    stranger = requests.post(deployed.url, json={}, timeout=60)
    assert (stranger.status_code, stranger.headers["www-authenticate"]) == (401, "Bearer")
    assert stranger.headers["content-type"] == "application/problem+json"


def test_over_http_a_browser_gets_the_page_without_a_token(deployed: Deployed) -> None:
    page = requests.get(deployed.url, headers={"Accept": "text/html,*/*;q=0.8"}, timeout=60)
    assert (page.status_code, page.headers["content-encoding"]) == (200, "gzip")
    assert page.text.startswith("<!doctype html>")
    assert "/nlp/sentiment/; img-src" in page.headers["content-security-policy"]
    hidden = requests.get(deployed.asynchronous_url, headers={"Accept": "text/html"}, timeout=60)
    assert (hidden.status_code, hidden.headers["content-type"]) == (406, "application/problem+json")


def test_over_http_bytes_and_refusals_pass_unchanged(deployed: Deployed) -> None:
    opened = {"X-Api-Key": TOKEN, "Content-Type": "application/octet-stream"}
    content = bytes(range(256)) * 16_384
    assert requests.post(deployed.url, data=content, headers=opened, timeout=60).content == content
    too_large = requests.post(deployed.url, data=content + b"x", headers=opened, timeout=60)
    assert too_large.status_code == 413
    refused = requests.post(deployed.url, data=b"bad", headers=opened, timeout=60)
    assert (refused.status_code, refused.text) == (422, "no")
    assert requests.delete(deployed.url, headers=opened, timeout=60).headers["allow"] == "GET, OPTIONS, POST"
    assert requests.head(deployed.url, headers=opened, timeout=60).status_code == 405


def test_over_http_a_result_is_fetched_where_the_queued_request_said(deployed: Deployed) -> None:
    opened = {"X-Api-Key": TOKEN, "Content-Type": "application/octet-stream"}
    content = bytes(range(256)) * 4096
    taken = requests.post(deployed.asynchronous_url, data=content, headers=opened, timeout=60)
    assert (taken.status_code, taken.json()["status"]) == (202, "Pending")
    answer = requests.get(urljoin(deployed.asynchronous_url, taken.headers["location"]), headers=opened, timeout=60)
    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["content-type"] == "application/octet-stream"
    before = objects(deployed)
    assert requests.get(f"{deployed.asynchronous_url}/readyz", headers=opened, timeout=60).json() == {"status": "Ready"}
    assert objects(deployed) == before, "the proof leaves nothing behind"


def objects(deployed: Deployed) -> list[str]:
    with closing(session().client("s3", endpoint_url=deployed.aws)) as s3:
        return [each["Key"] for each in s3.list_objects_v2(Bucket="bucket")["Contents"]]


def test_over_http_a_failure_is_returned_and_a_missing_result_is_pending(deployed: Deployed) -> None:
    opened = {"X-Api-Key": TOKEN}
    taken = requests.post(deployed.asynchronous_url, data=b"bad", headers=opened, timeout=60).json()
    reported = {"inference": taken["inferenceId"]}
    assert requests.get(deployed.asynchronous_url, reported, headers=opened, timeout=60).status_code == 502
    other = {"inference": re.sub("~[0-9a-f]{8}", "~00000000", taken["inferenceId"])}
    assert requests.get(deployed.asynchronous_url, other, headers=opened, timeout=60).status_code == 202


def test_the_access_log_reaches_the_functions_log_group(deployed: Deployed) -> None:
    requests.post(deployed.url, data=b"private-text", headers={"X-Api-Key": TOKEN}, timeout=60)
    logs = session().client("logs", endpoint_url=deployed.aws)

    def records() -> list[dict[str, object]]:
        return [json.loads(line) for line in lines() if re.match(r"\{", line)]

    def lines() -> list[str]:
        return [each["message"] for each in logs.filter_log_events(logGroupName="/aws/lambda/sentiment")["events"]]

    with closing(logs):
        eventually(records, "a line of the access log")
        assert {"method", "status", "milliseconds"} <= records()[-1].keys()
        logged = lines()
    assert not [line for line in logged if "private-text" in line or TOKEN in line]
