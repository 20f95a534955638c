import pytest

from ephemeral_endpoints.features.routing.forwarder import cors
from ephemeral_endpoints.features.routing.forwarder.config import Cors
from ephemeral_endpoints.features.routing.forwarder.feedback import ID_HEADER

PAGE = {"origin": "https://acme.example"}
LISTED = Cors(("https://acme.example", "http://localhost:3000"), ("x-trace",), 60)


def test_a_page_of_a_listed_origin_may_call_and_read() -> None:
    assert cors.headers(LISTED, PAGE)["access-control-allow-origin"] == "https://acme.example"
    assert {"eep-request-id", ID_HEADER} <= set(cors.headers(LISTED, PAGE)["access-control-expose-headers"].split(", "))
    asked = cors.preflight(LISTED, PAGE, "GET, OPTIONS")
    assert asked["access-control-allow-methods"] == "GET, OPTIONS"
    assert asked["access-control-max-age"] == "60"
    assert {"authorization", "x-trace"} <= set(asked["access-control-allow-headers"].split(", "))


@pytest.mark.parametrize(
    "origin", ["https://acme.example.evil", "https://evil", "http://acme.example", "null", "", "https://ACME.example"]
)
def test_a_page_of_another_origin_may_not(origin: str) -> None:
    assert cors.headers(LISTED, {"origin": origin}) == {"vary": "origin"}
    assert cors.preflight(LISTED, {"origin": origin}, "GET") == {}


def test_any_origin_is_never_combined_with_credentials() -> None:
    allowed = {**cors.headers(Cors(("*",)), PAGE), **cors.preflight(Cors(("*",)), PAGE, "GET")}
    assert allowed["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in allowed


def test_without_cors_nothing_is_said() -> None:
    assert cors.headers(None, PAGE) == cors.preflight(None, PAGE, "GET") == {}
