"""Types of fields that say where an image comes from and where it goes, with their limits, rules and messages."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.ecr import DOMAIN_PATTERN, REGISTRY_PATTERN

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
_WORD = "[a-z0-9]+([._-]+[a-z0-9]+)*"
_TAG = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_DIGEST = "sha256:[0-9a-f]{64}"
_LONGEST_IMAGE = 255
_SHORTEST_REPOSITORY = 2
_LONGEST_IMAGE_NAME = _LONGEST_IMAGE - len("@sha256:") - 64
_LONGEST_ARGUMENT_NAME = 128
_ARGUMENT_BYTES = 1024


def _image_name(image: str) -> str:
    return re.split("[:@]", image, maxsplit=1)[0]


Image = Annotated[
    str,
    Field(max_length=_LONGEST_IMAGE),
    matches(
        f"{REGISTRY_PATTERN}/{_WORD}(/{_WORD})*([:@].*)?",
        "must be an image in Amazon ECR: <account>.dkr.ecr.<region>.amazonaws.com/<repository> with a :tag or a "
        "@sha256: digest",
    ),
    matches(
        f"[^:@]*(:{_TAG}|@{_DIGEST})",
        "must end with a tag (such as :1f0c2a9) or a digest (@sha256: and 64 hexadecimal digits), not both",
    ),
    Rule(
        cel="!self.contains('/') || size(self.split('@')[0].split(':')[0].split('/', 2)[1]) >= 2",
        message="the repository name must have at least 2 characters: ECR requires it",
        holds=lambda image: len(_image_name(image).partition("/")[2]) >= _SHORTEST_REPOSITORY,
    ),
    Rule(
        cel=f"size(self.split('@')[0].split(':')[0]) <= {_LONGEST_IMAGE_NAME}",
        message=f"must have at most {_LONGEST_IMAGE_NAME} characters before the tag or digest, because SageMaker "
        f"accepts {_LONGEST_IMAGE} with the digest",
        holds=lambda image: len(_image_name(image)) <= _LONGEST_IMAGE_NAME,
    ),
]

_HOST = "[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?"

# https://github.com/distribution/reference/blob/main/reference.go
ForeignImage = Annotated[
    str,
    Field(max_length=_LONGEST_IMAGE),
    matches(
        f"{_HOST}/{_WORD}(/{_WORD})*(:{_TAG})?(@{_DIGEST})?",
        "must be an image with its registry, such as public.ecr.aws/acme/model:1.2 or docker.io/library/nginx:1.27",
    ),
    Rule(
        cel="self.contains('@') || self.matches(':[^:/@]+$')",
        message="must end with a tag (such as :1.2) or a digest (@sha256: and 64 hexadecimal digits)",
        holds=lambda image: "@" in image or re.search(":[^:/@]+$", image) is not None,
    ),
]

ForeignImageGlob = Annotated[
    str,
    Field(max_length=_LONGEST_IMAGE),
    matches(
        "[a-z0-9.*?:-]+/[a-z0-9._/*?-]+",
        "must be a registry and a repository without a tag, in which * matches any characters and ? one: "
        "public.ecr.aws/acme/*",
    ),
]

_SEGMENT = "([A-Za-z0-9_][A-Za-z0-9_.+-]*|[.][A-Za-z0-9_+-][A-Za-z0-9_.+-]*)"

RepositoryPath = Annotated[
    str,
    Field(max_length=256),
    matches(
        f"[.]|{_SEGMENT}(/{_SEGMENT})*",
        "must be a path within the Git repository, such as models/sentiment: letters, digits and _.+-, "
        "no '/' at either end, no segment '..', or '.' for the root",
    ),
]

# https://docs.docker.com/reference/dockerfile/#from
StageName = Annotated[
    str,
    Field(max_length=64),
    matches(
        "[A-Za-z][A-Za-z0-9_.-]*",
        "must be the name of a stage in the Dockerfile, such as runtime in FROM base AS runtime",
    ),
]

_ARGUMENT_NAME = "[A-Za-z_][A-Za-z0-9_]*"

_ARGUMENTS_BYTES = 16 * 1024

BuildArguments = Annotated[
    Mapping[str, Annotated[str, Field(max_length=_ARGUMENT_BYTES)]],
    Field(max_length=50),
    Rule(
        cel=f"self.all(name, name.matches('^{_ARGUMENT_NAME}$') && size(name) <= 128)",
        message="names must be at most 128 letters, digits and '_', and must not begin with a digit",
        holds=lambda arguments: all(
            re.fullmatch(_ARGUMENT_NAME, name) and len(name) <= _LONGEST_ARGUMENT_NAME for name in arguments
        ),
    ),
    Rule(
        cel="self.all(name, self[name].matches('^[ -~]*$'))",
        message="values must be printable ASCII characters on one line",
        holds=lambda arguments: all(re.fullmatch("[ -~]*", value) for value in arguments.values()),
    ),
    Rule(
        cel="!('MODEL_REVISION' in self)",
        message="must not set MODEL_REVISION: the operator passes the commit to every build under this name",
        holds=lambda arguments: "MODEL_REVISION" not in arguments,
    ),
    Rule(
        cel=f"self.map(name, size(name) + size(self[name])).sum() <= {_ARGUMENTS_BYTES}",
        message="names and values together must be at most 16 KiB",
        holds=lambda arguments: sum(map(len, [*arguments, *arguments.values()])) <= _ARGUMENTS_BYTES,
    ),
]

ArgumentName = Annotated[
    str,
    Field(max_length=_LONGEST_ARGUMENT_NAME),
    matches(_ARGUMENT_NAME, "must be the name of a build argument, such as HTTPS_PROXY"),
]

FrontendGlob = Annotated[
    str,
    Field(max_length=_LONGEST_IMAGE),
    matches(
        "[A-Za-z0-9._/:@*?-]+",
        "must be a frontend as Dockerfiles name it, in which * matches any characters and ? one: docker/dockerfile:1*",
    ),
]

# https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
SecretId = Annotated[
    str,
    Field(max_length=640),
    matches(
        "(arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:)?[A-Za-z0-9/_+=.@-]{1,519}",
        "must be the name or the ARN of a secret, such as builds/pip-token",
    ),
]

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
EcrPrefix = Annotated[
    str,
    Field(max_length=128),
    matches(f"({_WORD}/)+", "must be folders of lowercase letters, digits and ._-, each followed by '/': previews/"),
]

EcrRepository = Annotated[
    str,
    Field(min_length=2, max_length=191),
    matches(
        f"{_WORD}(/{_WORD})*",
        "must be the name of an ECR repository without a registry or a tag, such as previews/models",
    ),
]

# https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id-key-ARN
KeyArn = Annotated[
    str,
    Field(max_length=2048),
    matches(
        "arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]{1,256}",
        "must be the ARN of a KMS key: arn:aws:kms:<region>:<account>:key/<id>",
    ),
]

# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_CreateProject.html
BuildProject = Annotated[
    str,
    Field(min_length=2, max_length=150),
    matches(
        "[A-Za-z0-9][A-Za-z0-9_-]{1,149}",
        "must be the name of a CodeBuild project: 2 to 150 letters, digits, '_' and '-'",
    ),
]

GitUrl = Annotated[
    str,
    Field(max_length=512),
    matches(
        "(https://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?|file://)(/[A-Za-z0-9._~-]+)*",
        "must be the base URL of the repositories without a trailing '/', such as https://github.com",
    ),
]

ImageRepositoryGlob = Annotated[
    str,
    Field(max_length=_LONGEST_IMAGE),
    matches(
        rf"[0-9*?]+\.dkr\.ecr\.[a-z0-9*?-]+\.{DOMAIN_PATTERN}/[a-z0-9._/*?-]+",
        "must be an ECR repository without a tag, in which * matches any characters and ? one: "
        "<account>.dkr.ecr.<region>.amazonaws.com/<repository>",
    ),
]
