from pathlib import Path

import pytest

from eep_platform.containers.dockerfile import Copy, MakeFolder, Run, parse
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import BIND_TO_PORT_LABEL

MODEL = Path(__file__).parents[3] / "model" / "Dockerfile"


def test_the_final_stage_of_the_example_describes_its_container() -> None:
    config = parse(MODEL.read_text(), {"MODEL_REVISION": "abc"}, {"PATH": "/usr/bin"})[-1].config
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
    RUN python -c 'print(1)'
    FROM one
    WORKDIR sub
    COPY --from=one /x /y
    """.replace("\n    ", "\n").replace("'print(1)'", "'1'")
    one, two = parse(text, {}, {})
    assert one.base == "python:3.11"
    assert one.config.environment == two.config.environment == {"A": "1", "B": "hello world"}
    assert one.steps[:2] == (MakeFolder("/app"), Copy(("a", "b"), "/app/", None))
    assert isinstance(one.steps[2], Run)
    assert one.steps[2].argv == ("python", "-c", "1")
    assert one.steps[2].environment == {"GREETING": "hello world", "A": "1", "B": "hello world"}
    assert two.steps == (MakeFolder("/app/sub"), Copy(("/x",), "/y", "one"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "no FROM", id="nothing"),
        pytest.param("RUN x\nFROM a", "before FROM", id="no stage yet"),
        pytest.param("FROM a\nRUN x && y", "shell", id="two commands"),
        pytest.param("FROM a\nRUN rm $HOME", "shell", id="a variable that the shell would expand"),
        pytest.param("FROM a\nENTRYPOINT python x", "JSON array", id="a shell would swallow SIGTERM"),
        pytest.param("FROM a\nADD http://x /", "needs an engine", id="an instruction beyond us"),
        pytest.param("FROM a\nCOPY --chown=1 a b", "--chown", id="an option beyond us"),
        pytest.param("FROM a\nCOPY a", "sources and a target", id="no target"),
        pytest.param("FROM a\nCOPY a ../b", "must not contain ..", id="a path that climbs"),
        pytest.param("FROM --platform=linux/arm64 a", "options of FROM", id="another platform"),
    ],
)
def test_what_is_not_understood_is_refused_with_the_instruction(text: str, complaint: str) -> None:
    with pytest.raises(BuildError, match=complaint):
        parse(text, {}, {})
