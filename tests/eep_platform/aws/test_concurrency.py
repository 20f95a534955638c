"""Reserved concurrency of the embedded Lambda."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.fixtures.platform import Aws
from tests.fixtures.waiting import eventually

NAME = "held"
BLOCKING = """
import pathlib, time

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / "started").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    return "done"
"""


@pytest.fixture
def function(fresh_aws: Aws) -> Any:  # noqa: ANN401 - any client
    """The client of Lambda, and a function that runs until it is let go."""
    client: Any = fresh_aws.client("lambda")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("blocking.py", BLOCKING)
    settings = {"Role": "arn:aws:iam::000000000000:role/any", "Runtime": "python3.13", "Handler": "blocking.handler"}
    client.create_function(FunctionName=NAME, Code={"ZipFile": content.getvalue()}, Timeout=60, **settings)
    return client


def test_executions_beyond_the_reserved_ones_are_throttled(
    function: Any,  # noqa: ANN401 - any client
    tmp_path: Path,
) -> None:
    function.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=1)
    payload = json.dumps({"folder": str(tmp_path)})
    with ThreadPoolExecutor() as callers:
        running = callers.submit(function.invoke, FunctionName=NAME, Payload=payload)
        eventually((tmp_path / "started").exists, "the first execution")
        with pytest.raises(ClientError) as refused:
            function.invoke(FunctionName=NAME, Payload=payload)
        (tmp_path / "go").touch()
        assert json.load(running.result()["Payload"]) == "done"
    answer: Any = refused.value.response
    assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("TooManyRequestsException", 429)
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert json.load(function.invoke(FunctionName=NAME, Payload=payload)["Payload"]) == "done"


def test_a_hundred_executions_of_the_account_stay_unreserved(function: Any) -> None:  # noqa: ANN401 - any client
    with pytest.raises(ClientError, match=r"below its minimum value of \[100\]") as refused:
        function.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=901)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValueException"
    for executions in (900, 900):
        function.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=executions)
    limits = function.get_account_settings()["AccountLimit"]
    assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (1000, 100)
