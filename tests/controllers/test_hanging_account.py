"""An account that accepts connections and answers nothing, beside one that works."""

import socket
import threading
from dataclasses import fields
from typing import Any

import pytest
from botocore.client import BaseClient
from tests.controllers import environment
from tests.controllers.environment import Environment
from tests.controllers.sessions import InheritedSessions

from ephemeral_endpoints.aws import clients
from ephemeral_endpoints.aws.clients import Clients, Role, Sessions

OTHER = "111111111111"
ROLE = f"arn:aws:iam::{OTHER}:role/operator"


class Hole:
    """A server that accepts and reads, and never answers."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                self.connections.append(self._server.accept()[0])
            except OSError:
                return

    def close(self) -> None:
        """Reset everything, so that whoever waits goes on."""
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
        for each in self.connections:
            each.close()


@pytest.fixture(autouse=True)
def hole(monkeypatch: pytest.MonkeyPatch) -> Hole:
    """Where every call into the other account goes, once its role is assumed."""
    hole = Hole()

    class Diverted(InheritedSessions):
        def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - those of Sessions
            super().__init__(**arguments)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(clients, "READ_TIMEOUT_SECONDS", 600)  # nothing is given up during the test
                self._of_roles = Sessions(**arguments)

        def connect(self, region: str, role: Role | None = None) -> Clients:
            clients = super().connect(region, role)
            for each in fields(clients):
                client = getattr(clients, each.name)
                if role and isinstance(client, BaseClient) and each.name != "sts":
                    client.meta.events.register("before-send", divert)
            return clients

    def divert(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore ships no types
        request.url = hole.url

    monkeypatch.setattr(environment, "InheritedSessions", Diverted)
    return hole


async def test_an_account_that_hangs_delays_no_object_of_another(hole: Hole, env: Environment) -> None:
    roles = dict.fromkeys(("executionRoleArn", "forwarderRoleArn", "invokeRoleArn"), f"arn:aws:iam::{OTHER}:role/any")
    env.make_class("far", **roles, assumeRole={"roleArn": ROLE})
    far = [env.make(f"far-{number}", className="far") for number in range(20)]
    try:
        await env.until(lambda: len(hole.connections) > 0, "calls that hang")
        near = [env.make(f"near-{number}") for number in range(2)]
        await env.until(lambda: all(map(env.is_up_to_date, near)), "the objects of the other account ready")
        env.api.change(near[0], {"spec": {"model": {"environment": {"A": "b"}}}})
        await env.until(lambda: env.is_up_to_date(near[0]), "the change served")
        for key in near:
            env.api.remove(key)
        await env.until(lambda: not set(near) & env.api.kept.keys(), "all of them gone")
        assert not any(map(env.condition, far)), "all twenty still wait"
        assert len(hole.connections) <= env.settings.aws_connections, "for one and the same attempt"
    finally:
        hole.close()
    await env.reason(far[-1], "AwsUnavailable", saying="the operator tries again")
