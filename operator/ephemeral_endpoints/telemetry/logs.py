"""Structured logs: one JSON object per line."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError
from typing_extensions import override

_STANDARD: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PLAIN: Final = (str, int, float, bool)


class JsonFormatter(logging.Formatter):
    """Writes one JSON object per line; plain values passed as ``extra`` become its members."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            key: value for key, value in record.__dict__.items() if key not in _STANDARD and isinstance(value, _PLAIN)
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure_logging(level: str) -> None:
    """Write the process's logs to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("aiohttp.server").addFilter(_is_no_malformed_request)
    for noisy in ("aiohttp.access", "kopf", "botocore", "kubernetes", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _is_no_malformed_request(record: logging.LogRecord) -> bool:
    """Whether it is more than that a stranger's request is none: aiohttp writes a traceback for each."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
