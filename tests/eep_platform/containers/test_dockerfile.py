from pathlib import Path

import pytest

from eep_platform.containers.dockerfile import Stage, parse
from eep_platform.containers.image import BIND_TO_PORT_LABEL
from eep_platform.containers.steps import Copy, MakeFolder, Run

MODEL = Path(__file__).parents[3] / "model" / "Dockerfile"


def stages(text: str, **arguments: str) -> tuple[Stage, ...]:
    parsed = parse(text, arguments, {"PATH": "/usr/bin"})
    assert parsed.faults == ()
    return parsed.stages


def test_the_final_stage_of_the_example_describes_its_container() -> None:
    config = stages(MODEL.read_text(), MODEL_REVISION="abc")[-1].config
    assert config.entrypoint == ("python", "-m", "model")
    assert config.command == ("serve",)
    assert config.working_dir == "/opt/program"
    assert not config.user
    assert config.exposed_ports == ("8080/tcp",)
    assert config.labels[BIND_TO_PORT_LABEL] == "true"
    assert config.environment["MODEL_REVISION"] == config.labels["org.opencontainers.image.revision"] == "abc"


def test_stages_arguments_and_continued_lines() -> None:
    text = """
    ARG VERSION=3.11
    FROM python:${VERSION} AS one
    ARG GREETING="hello world"
    ENV A=1 \\
        # a comment between
        B="$GREETING"
    WORKDIR /app
    COPY a b ./
    RUN cd /tmp && python -c 'print(1)' | cat
    FROM one
    WORKDIR sub
    COPY --from=one /x /y
    """.replace("\n    ", "\n")
    one, two = stages(text)
    assert one.base == "python:3.11"
    assert one.config.environment == two.config.environment == {"PATH": "/usr/bin", "A": "1", "B": "hello world"}
    assert one.steps[:2] == (MakeFolder("/app"), Copy(("a", "b"), "/app/", None))
    assert isinstance(one.steps[2], Run)
    assert one.steps[2].argv == ("/bin/sh", "-c", "cd /tmp && python -c 'print(1)' | cat")
    assert one.steps[2].environment == {"PATH": "/usr/bin", "GREETING": "hello world", "A": "1", "B": "hello world"}
    assert two.steps == (MakeFolder("/app/sub"), Copy(("/x",), "/y", "one"))


def test_what_ordinary_dockerfiles_have_is_understood_as_docker_does() -> None:
    (stage,) = stages("""
FROM --platform=$BUILDPLATFORM python:3.11-slim
MAINTAINER ada@example.com
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV MODE=a
ADD --chown=app:app --chmod=750 serve /usr/bin/
USER app
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=token echo $MODE
HEALTHCHECK CMD curl localhost
STOPSIGNAL SIGINT
VOLUME /data
ENTRYPOINT exec python app.py
""")
    copy, run = stage.steps
    assert copy == Copy(("serve",), "/usr/bin/", None, "app:app", 0o750)
    assert isinstance(run, Run)
    assert run.argv == ("/bin/bash", "-o", "pipefail", "-c", "echo $MODE")
    assert (run.user, run.caches, [secret.id for secret in run.secrets]) == ("app", ("/root/.cache/pip",), ["token"])
    assert stage.config.entrypoint == ("/bin/bash", "-o", "pipefail", "-c", "exec python app.py")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "no FROM", id="nothing"),
        pytest.param("RUN x\nFROM a", "before FROM", id="no stage yet"),
        pytest.param("FROM a\nADD http://x /", "ADD of a URL", id="a download"),
        pytest.param("FROM a\nADD x.tar.gz /", "ADD of a URL or an archive", id="an archive that would be unpacked"),
        pytest.param("FROM a\nCOPY --exclude=b a b", "--exclude", id="an option beyond us"),
        pytest.param("FROM a\nONBUILD RUN x", "no such instruction", id="an instruction beyond us"),
        pytest.param("FROM a\nRUN --mount=type=bind,target=/x y", "type=bind", id="a mount beyond us"),
        pytest.param("FROM a\nRUN x; sudo yum install y", "yum is not in the official", id="not Debian's packages"),
        pytest.param("FROM a\nRUN x &&  \\\n conda install y", "conda is not in the official", id="conda"),
        pytest.param("FROM a\nENTRYPOINT [x]", "", id="half a JSON array"),
        pytest.param("FROM a\nCOPY a", "sources and a target", id="no target"),
        pytest.param("FROM a\nCOPY a ../b", "must not contain ..", id="a path that climbs"),
        pytest.param("FROM --platform=linux/arm64 a", "only linux/", id="another platform"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_instruction(text: str, complaint: str) -> None:
    (fault,) = parse(text, {}, {}).faults
    assert complaint in fault.message


@pytest.mark.parametrize(
    ("command", "manager"),
    [
        ("apt-get update && apt-get install -y x", "apt-get"),
        ("true && apt install x", "apt"),
        ("pip install apt-get", None),
        ("echo apt-get", None),
    ],
)
def test_a_command_that_installs_packages_of_debian_is_known(command: str, manager: str | None) -> None:
    [step] = stages(f"FROM a\nRUN {command}")[-1].steps
    assert isinstance(step, Run)
    assert step.package_manager == manager


def test_all_faults_are_told_with_their_lines() -> None:
    text = "FROM a\nADD http://x /\n# why\nRUN apk \\\n  add x\n\nCOPY a\n"
    assert [fault.line for fault in parse(text, {}, {}).faults] == [2, 4, 7]
