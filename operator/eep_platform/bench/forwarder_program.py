"""Measures a forwarder's package in its own process, and prints milliseconds as JSON.

    python -P forwarder_program.py import
    python -P forwarder_program.py requests < {"body": …, "token": …, "requests": …}

Run by path, with the unpacked package on the path of modules: it must not import the platform.
"""

import json
import re
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

_WARM: Final = 30
_MODEL: Final = re.compile(r"model;dur=([0-9.]+)")
_JSON: Final = "application/json"


class _Context:
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:benched"

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    done = action()
    return 1000 * (time.perf_counter() - began), done


def _imported() -> dict[str, list[float]]:
    def load() -> None:
        import ephemeral_endpoints.features.routing.forwarder.handler  # noqa: F401, PLC0415 - it is what is measured

    return {"import": [_timed(load)[0]]}


def _requests(body: str, token: str, requests: int) -> dict[str, list[float]]:
    """Each request through the handler and, just before or after it, to the model alone."""
    from ephemeral_endpoints.features.routing.forwarder import handler, validation  # noqa: PLC0415 - see above
    from ephemeral_endpoints.features.routing.forwarder.messages import Answer  # noqa: PLC0415

    def validate(answer: Answer) -> None:
        validation.check_request(handler.CONFIG, sent, _JSON)
        validation.check_answer(handler.CONFIG, answer)

    [variant] = handler.CONFIG.variants
    path = f"{handler.CONFIG.path}/invocations"
    event = {
        "version": "2.0",
        "routeKey": f"ANY {handler.CONFIG.path}/{{proxy+}}",
        "rawPath": path,
        "headers": {"authorization": f"Bearer {token}", "content-type": _JSON},
        "requestContext": {"http": {"method": "POST", "path": path}, "requestId": "JKJaXmPLvHcESHA="},
        "pathParameters": {"proxy": "invocations"},
        "body": body,
        "isBase64Encoded": False,
    }
    sent = body.encode()

    def bare() -> bytes:
        content: bytes = handler.CLIENTS.longest.invoke_endpoint(
            EndpointName=variant.endpoint_name, ContentType=_JSON, Body=sent
        )["Body"].read()
        return content

    found: dict[str, list[float]] = {name: [] for name in ("answered", "overhead", "bare", "validated")}
    for number in range(_WARM + requests):
        alone, content = _timed(bare)
        whole, response = _timed(lambda: handler.handle(event, _Context()))
        if response["statusCode"] != 200:  # noqa: PLR2004 - HTTP
            raise SystemExit(str(response))
        answer = Answer(200, _JSON, content)
        validated, _ = _timed(partial(validate, answer))
        if number < _WARM:
            continue
        [model] = _MODEL.findall(response["headers"]["server-timing"])
        found["answered"].append(whole)
        found["overhead"].append(whole - float(model))
        found["bare"].append(alone)
        found["validated"].append(validated)
    return found


if __name__ == "__main__":
    measured = _imported() if sys.argv[1] == "import" else _requests(**json.load(sys.stdin))
    sys.stdout.write(json.dumps(measured) + "\n")
