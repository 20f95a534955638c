"""Dockerfiles as examples for SageMaker have them: they build and serve, or all that is wrong is told at once."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from eep_platform import processes
from eep_platform.containers import debian, engineless, isolation
from eep_platform.containers.errors import BuildError
from eep_platform.containers.image import LocalImage
from eep_platform.containers.process_runtime import ProcessRuntime
from eep_platform.containers.store import ImageStore
from eep_platform.paths import cache_dir

SERVER = """#!/usr/bin/env python3
import http.server, json, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        assert self.path == "/ping"
        self.answer(b"")

    def do_POST(self):
        assert self.path == "/invocations"
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(json.dumps({"sum": sum(given)}).encode())

signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""
NGINX = """
daemon off;
user root;
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    server {
        listen 8080;
        location ~ ^/(ping|invocations)$ { proxy_pass http://127.0.0.1:8081; }
        location / { return 404; }
    }
}
"""
FLASK = """from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/ping")
def ping():
    return ""


@app.post("/invocations")
def invocations():
    return jsonify(sum=sum(request.get_json()))
"""


@dataclass(frozen=True)
class Recipe:
    """A context. `faults` are parts of what is told, in order; without any, the image is built and serves.

    `packages` is the line that installs packages of Debian, which few machines can do without an engine.
    """

    dockerfile: str
    files: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    packages: int | None = None


RECIPES = {
    "a program called serve in the PATH": Recipe(
        """
FROM python:3.11
RUN mkdir -p /opt/program && echo built > /opt/program/built.txt
ENV PYTHONUNBUFFERED=TRUE PYTHONDONTWRITEBYTECODE=TRUE PATH="/opt/program:${PATH}"
COPY program /opt/program
WORKDIR /opt/program
""",
        {"program/serve": SERVER},
    ),
    "one script as the entry point": Recipe(
        'FROM public.ecr.aws/docker/library/python:3.11-slim\nCOPY server.py /\nENTRYPOINT ["python", "/server.py"]\n',
        {"server.py": SERVER},
    ),
    "gunicorn with flask, installed by pip, as a user": Recipe(
        """
FROM python:3.11-slim
RUN useradd --create-home model
WORKDIR /srv
COPY requirements.txt .
RUN pip install --upgrade pip && pip install --no-cache-dir -r requirements.txt
COPY --chown=model . .
USER model
EXPOSE 8080
ENTRYPOINT ["gunicorn", "--bind", "0.0.0.0:8080", "--worker-tmp-dir", "/dev/shm", "app:app"]
""",
        {"app.py": FLASK, "requirements.txt": "flask==3.1.2\ngunicorn==23.0.0\n"},
    ),
    "a virtual environment of an earlier stage": Recipe(
        """
FROM python:3.11 AS build
RUN python -m venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
RUN --mount=type=cache,target=/root/.cache/pip pip install six==1.17.0
FROM python:3.11-slim
COPY --from=build /opt/venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
COPY server.py /
RUN python -c 'import six, sys; assert sys.prefix == "/opt/venv"'
ENTRYPOINT ["python", "/server.py"]
""",
        {"server.py": SERVER},
    ),
    "nginx, a package of Debian, before the server": Recipe(
        """
FROM python:3.11-slim
RUN apt-get -y update && apt-get install -y --no-install-recommends nginx-light && rm -rf /var/lib/apt/lists/*
COPY program /opt/program
ENV PATH="/opt/program:${PATH}"
""",
        {
            "program/serve": "#!/bin/sh\npython /opt/program/server.py &\nexec nginx -c /opt/program/nginx.conf\n",
            "program/nginx.conf": NGINX,
            "program/server.py": SERVER.replace("8080", "8081"),
        },
        packages=3,
    ),
    "uvicorn as FastAPI's own guide starts it": Recipe(
        """FROM python:3.11
WORKDIR /code
COPY ./app.py /code/
RUN pip install --no-cache-dir fastapi
EXPOSE 80
CMD ["uvicorn", "app:app", "--host", "0.0.0.0", "--port", "80"]
""",
        {"app.py": "from fastapi import FastAPI\napp = FastAPI()\n\n@app.post('/predict')\ndef predict(): ...\n"},
        (
            "line 3: no file that is copied has the path /invocations",
            "line 3: no file that is copied has the path /ping",
            "line 5: EXPOSE 80",
            "line 6: CMD: SageMaker replaces it with the word serve",
            "line 6: uvicorn listens on port 80",
        ),
    ),
    "uvicorn, which refuses the word serve": Recipe(
        'FROM python:3.11\nCOPY app.py .\nENTRYPOINT ["uvicorn", "app:app", "--port", "8080"]\n',
        {"app.py": FLASK},
        ("line 3: ENTRYPOINT: SageMaker adds the word serve", "line 3: uvicorn listens on 127.0.0.1"),
    ),
    "flask's development server": Recipe(
        "FROM python:3.11\nCOPY app.py .\nENTRYPOINT flask run --host 0.0.0.0\n",
        {"app.py": FLASK},
        ("line 3: flask does not listen on port 8080 by itself",),
    ),
    "R with plumber": Recipe(
        'FROM rocker/r-ver:4.4\nRUN apt-get update\nCOPY plumber.R /\nENTRYPOINT ["Rscript", "/plumber.R"]\n',
        {"plumber.R": "#* @get /ping\n#* @post /invocations\n"},
        ("line 1: FROM rocker/r-ver:4.4",),
        packages=2,
    ),
    "a framework's own image, and a file that is missing": Recipe(
        'FROM pytorch/torchserve:latest\nCOPY model.mar /\nADD https://example.com/x /\nCMD ["torchserve"]\n',
        {},
        ("line 1: FROM pytorch/torchserve", "line 2: COPY model.mar", "line 3: ADD", "line 4: CMD"),
    ),
}


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[ProcessRuntime]:
    yield ProcessRuntime(tmp_path / "store", tmp_path / "state")
    processes.stop_all(tmp_path / "state")


def prepared(recipe: Recipe, folder: Path) -> engineless.EnginelessBuild:
    for name, text in {"Dockerfile": recipe.dockerfile, **recipe.files}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755)
    return engineless.prepare(folder, arguments={}, cache=cache_dir() / "images", report=lambda _: None)


def told(recipe: Recipe, folder: Path) -> list[str]:
    with pytest.raises(BuildError) as caught:
        prepared(recipe, folder)
    first, *others = str(caught.value).removeprefix("Dockerfile: ").split("; line ")
    return [first, *(f"line {other}" for other in others)]


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.faults])
def test_everything_that_is_wrong_is_told_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "problem", lambda: None)
    recipe = RECIPES[name]
    found = told(recipe, tmp_path)
    assert len(found) == len(recipe.faults), found
    assert all(fault.startswith(begin) for fault, begin in zip(found, recipe.faults, strict=True)), found


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if recipe.packages])
def test_packages_of_debian_are_refused_where_they_cannot_be_had(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "problem", lambda: "this machine is not Debian")
    recipe = RECIPES[name]
    [refused] = [fault for fault in told(recipe, tmp_path) if "apt-get needs" in fault]
    assert refused.startswith(f"line {recipe.packages}: RUN apt-get")
    assert refused.endswith("or build with an engine (Docker, Podman, buildah, BuildKit): this machine is not Debian")


def test_a_program_called_serve_answers_whatever_the_command_is(tmp_path: Path) -> None:
    prepared(Recipe('FROM python:3.11\nCOPY serve /usr/local/bin/\nCMD ["python"]\n', {"serve": SERVER}), tmp_path)


@pytest.mark.parametrize("name", [name for name, recipe in RECIPES.items() if not recipe.faults])
def test_the_image_is_built_and_serves(name: str, tmp_path: Path, runtime: ProcessRuntime) -> None:
    if isolation.best_mode() != "namespaces" or os.geteuid() != 0:
        pytest.skip("commands of these Dockerfiles need namespaces and root")
    if RECIPES[name].packages and (problem := debian.problem()):
        pytest.skip(f"packages of Debian cannot be had: {problem}")
    image = prepared(RECIPES[name], tmp_path / "context").image()
    store = ImageStore(tmp_path / "store")
    for blob in (*image.manifest.layers, image.manifest.config):
        store.blobs.add(image.blobs.read(blob.digest))
    local = LocalImage(image.digest, image.config, store.unpack(image.manifest, image.config)).with_arguments("serve")
    log: list[str] = []
    container = runtime.run(local, name="recipe", environment={}, model_data=None, on_log=log.append)

    def answers() -> bool:
        try:
            return requests.get(f"{container.base_url}/ping", timeout=60).ok
        except requests.ConnectionError:
            return False

    processes.wait_until(answers, seconds=120, what="the server", process=container.process)
    answer = requests.post(f"{container.base_url}/invocations", json=[1, 2, 3], timeout=60)
    container.stop()
    assert answer.json() == {"sum": 6}, log
