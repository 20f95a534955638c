"""The model server: `python -m model.serve`, an inference container as SageMaker wants it.

GET /ping and POST /invocations on port 8080, or on SAGEMAKER_BIND_TO_PORT
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html).
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from model import logs, paths
from model.codec import Decoder, InvalidRequest, encode, negotiate
from model.predictor import Predictor

logger = logging.getLogger("model.serve")


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of the container.

    Attributes:
        port: TCP port, 1..65535.
        revision: git SHA that the image was built from.
        log_level: name of a level of the standard library.
        max_body_bytes: a longer body is refused; SageMaker itself takes 4 MB (serverless) to 25 MB (instances).
        host: address to listen on; every one, as a container is reached from outside of it.
    """

    port: int
    revision: str
    log_level: str
    max_body_bytes: int
    host: str

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Reads the variables.

        Raises:
            ValueError: a variable has an unfit value; the message names it.
        """
        return cls(
            port=_integer(environment, "SAGEMAKER_BIND_TO_PORT", 8080, 65535),
            revision=environment.get("MODEL_REVISION") or "unknown",
            log_level=environment.get("LOG_LEVEL") or "INFO",
            max_body_bytes=_integer(environment, "MAX_BODY_BYTES", 6 * 1024 * 1024, 2**31),
            host=environment.get("BIND_HOST") or "0.0.0.0",  # noqa: S104 (inside of a container)
        )


def _integer(environment: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise ValueError(f"{name} is {text!r}; it must be an integer within 1..{most}")
    return int(text)


def application(predictor: Predictor, max_body_bytes: int) -> Starlette:
    """The ASGI application that answers for `predictor`."""
    decoder = Decoder(predictor.columns)

    async def ping(_: Request) -> Response:
        await run_in_threadpool(predictor.check)
        return Response()

    async def invocations(request: Request) -> Response:
        started = time.perf_counter()
        rows = 0
        try:
            media_type = negotiate(request.headers.get("accept"))
            features = decoder.decode(await _body(request, max_body_bytes), request.headers.get("content-type"))
            rows = len(features)
            predictions = await run_in_threadpool(predictor.predict, features)
            response = Response(encode(predictions, media_type), media_type=media_type)
        except InvalidRequest as error:
            response = JSONResponse({"error": str(error)}, status_code=error.status)
        _log(response, rows, time.perf_counter() - started)
        return response

    return Starlette(
        routes=[Route("/ping", ping, methods=["GET"]), Route("/invocations", invocations, methods=["POST"])],
    )


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise InvalidRequest(413, f"the body is longer than {most} bytes; send fewer rows at a time")
    return bytes(body)


def _log(response: Response, rows: int, seconds: float) -> None:
    # Neither body nor headers: what people send to a model is theirs.
    fields = {"status": response.status_code, "rows": rows, "durationMs": round(seconds * 1000, 2)}
    logger.info("invocation", extra={"fields": fields})


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM, then answers what is in flight; 1 if the settings or the artefact are unfit."""
    # Everything is set by variables, for SageMaker gives no other argument than the command.
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    logs.configure("INFO")
    started = time.perf_counter()
    try:
        settings = Settings.read(os.environ)
        logs.configure(settings.log_level)
        predictor = Predictor.load(paths.artefact_dir(), settings.revision)
    # An artefact is a pickle: there is no end to what a wrong one can raise, and the log must say why.
    except Exception as error:  # noqa: BLE001
        logger.critical("cannot serve", extra={"fields": {"reason": f"{type(error).__name__}: {error}"}})
        return 1
    seconds = round(time.perf_counter() - started, 3)
    logger.info("model loaded", extra={"fields": {"revision": settings.revision, "seconds": seconds}})
    uvicorn.run(
        application(predictor, settings.max_body_bytes),
        host=settings.host,
        port=settings.port,
        log_config=None,
        timeout_graceful_shutdown=20,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
