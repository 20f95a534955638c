"""Somebody who calls an endpoint's URL all the time."""

import threading
from collections import Counter
from types import TracebackType
from typing import Final, Self

import requests

_PAUSE_SECONDS: Final = 0.1


class Caller:
    """Calls from a thread while its context lasts, and counts what it is answered."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self.answers: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _call(self) -> None:
        with requests.Session() as session:
            while not self._stop.wait(_PAUSE_SECONDS):
                try:
                    answer = session.post(self._url, data=b"{}", headers=self._headers, timeout=60)
                except requests.RequestException as error:
                    self.answers[type(error).__name__] += 1
                else:
                    self.answers[str(answer.status_code)] += 1
