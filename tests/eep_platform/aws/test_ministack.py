import sys
from pathlib import Path

from eep_platform.aws import ministack


def test_nothing_of_the_users_own_aws_reaches_the_emulator_and_its_functions() -> None:
    mine = {"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "secret", "AWS_ACCESS_KEY_ID": "AKIA", "HOME": "/home/me"}
    environment = ministack.environment(1, front="http://127.0.0.1:2", temporary=Path("/t"), environ=mine)
    assert not {"prod", "secret", "AKIA"} & set(environment.values())
    assert environment["HOME"] == "/home/me"


def test_functions_call_aws_through_the_front_with_this_interpreter() -> None:
    environment = ministack.environment(1, front="http://127.0.0.1:2", temporary=Path("/t"), environ={"PATH": "/bin"})
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:2"
    assert environment["AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME"] == "http://127.0.0.1:2"
    assert environment["PATH"].split(":") == [str(Path(sys.executable).parent), "/bin"]
    assert (environment["TMPDIR"], environment["BIND_HOST"]) == ("/t", "127.0.0.1")


def test_a_url_that_nobody_serves_is_no_answer() -> None:
    assert not ministack.answers("http://127.0.0.1:9/")
