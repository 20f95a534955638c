"""Reusable types of the API's fields, with their limits, rules and messages."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
)

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.duration import (
    LONGEST_TEXT,
    cel_is_duration,
    cel_seconds,
    format_duration,
    parse_duration,
)

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html
_VARIABLE_BYTES = 1024
_ENVIRONMENT_BYTES = 32 * 1024
_SECOND = timedelta(seconds=1)
_LONGEST_DURATION = timedelta(days=365)

# SageMaker sets the first two itself; the others are credentials, which everyone who may describe the model could read.
_RESERVED_VARIABLES = (
    "SAGEMAKER_BIND_TO_PORT",
    "SAGEMAKER_SAFE_PORT_RANGE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)


def _to_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    raise ValueError("must be a duration, such as 3d, 72h or 1h30m")


def _seconds_at_most(most: timedelta) -> str:
    return f"{cel_seconds('self')} <= {most // _SECOND}"


def _not_boolean(value: object) -> object:
    # To Python, and so to Literal, True is 1.
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 pydantic reports a ValueError as the field's
    return value


@lru_cache(maxsize=1024)
def _to_timestamp(value: datetime) -> datetime:
    """One object for what changed at the same time, which most conditions of an object did."""
    return value.astimezone(UTC).replace(microsecond=0)


def _bytes(text: str) -> int:
    return len(text.encode())


Integer = Annotated[int, Strict()]

Timestamp = Annotated[
    AwareDatetime,
    AfterValidator(_to_timestamp),
    PlainSerializer(lambda value: value.strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC to the second, as metav1.Time has it."""

Duration = Annotated[
    timedelta,
    PlainValidator(_to_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": LONGEST_TEXT}),
    Rule(
        cel=f"{cel_is_duration('self')} && self.matches('[1-9]') && {_seconds_at_most(_LONGEST_DURATION)}",
        message="must be a duration longer than 0s and at most 365d (8760h) in weeks, days, hours, minutes and "
        "seconds, such as 3d, 72h or 1h30m",
        holds=lambda value: timedelta(0) < value <= _LONGEST_DURATION,
    ),
]


def between(least: timedelta, most: timedelta, message: str) -> Rule:
    """The rule for a duration within bounds."""
    bounds = [f"{cel_seconds('self')} >= {least // _SECOND}"] if least else []
    bounds += [_seconds_at_most(most)]
    return Rule(
        # A malformed duration has its own rule and message.
        cel=f"!{cel_is_duration('self')} || {' && '.join(bounds)}",
        message=message,
        holds=lambda value: least <= value <= most,
    )


UpToAnHour = Annotated[Duration, between(timedelta(0), timedelta(hours=1), "must be at most 1h")]

AtLeastAnHour = Annotated[Duration, between(timedelta(hours=1), _LONGEST_DURATION, "must be at least 1h")]

AtLeastADay = Annotated[Duration, between(timedelta(days=1), _LONGEST_DURATION, "must be at least 1d")]

AtLeastAMinute = Annotated[Duration, between(timedelta(minutes=1), _LONGEST_DURATION, "must be at least 1m")]

# https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
BuildTimeout = Annotated[
    Duration,
    between(timedelta(minutes=5), timedelta(hours=8), "must be between 5m and 8h: CodeBuild accepts nothing else"),
]

DnsLabel = Annotated[
    str,
    Field(max_length=63),
    matches(
        "[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        "must be a DNS label: at most 63 lowercase letters, digits and '-', with a letter or digit at both ends",
    ),
]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
DnsSubdomain = Annotated[
    str,
    Field(max_length=253),
    matches(
        "[a-z0-9]([a-z0-9-]*[a-z0-9])?([.][a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        "must be the name of a Kubernetes object: lowercase letters, digits, '-' and '.', with a letter or digit at "
        "both ends",
    ),
]

# GitLab has up to 20 levels of groups: https://docs.gitlab.com/user/group/subgroups/. Bitbucket's personal projects
# begin with '~', GitHub's repository of defaults is called .github.
Repository = Annotated[
    str,
    Field(max_length=512),
    matches(
        "[A-Za-z0-9._~][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)+",
        "must be the path of the repository: its owner or groups, and its name, such as acme/sentiment or "
        "acme/nlp/sentiment, not a URL",
    ),
    Rule(
        cel="!self.matches('(^|/)[.]{1,2}(/|$)')",
        message="must not contain the segments '.' and '..'",
        holds=lambda path: not {".", ".."} & set(path.split("/")),
    ),
]

Revision = Annotated[
    str,
    Field(max_length=64),
    matches(
        "[0-9a-f]{7,64}",
        "must be the SHA of a Git commit: 7 to 64 lowercase hexadecimal digits, such as 1f0c2a9",
    ),
]

# Anybody who may push can name a branch, and a terminal, a log or a page shows it.
_UNSEEN = "\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"

_VISIBLE = Rule(
    cel=r"self.matches('^[^\\x00-\\x1f\\x7f-\\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$')",
    message="must not contain control or invisible characters, or characters that change the text direction",
    holds=lambda text: re.fullmatch(f"[^{_UNSEEN}]+", text) is not None,
)

Line = Annotated[str, Field(min_length=1, max_length=255), _VISIBLE]

# AWS CodeCommit takes 256 characters, other services 255 bytes.
BranchName = Annotated[str, Field(min_length=1, max_length=256), _VISIBLE]

# Buckets made in us-east-1 before March 2018 may have upper-case letters, '_' and up to 255 characters:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = "[A-Za-z0-9][A-Za-z0-9._-]+[A-Za-z0-9]"

_NO_STEPS = Rule(
    cel="!self.matches('/[.]{1,2}(/|$)')",
    message="must not contain the segments '.' and '..': S3 does not resolve them",
    holds=lambda url: not {".", ".."} & set(url.split("/")),
)

ModelDataUrl = Annotated[
    str,
    Field(max_length=1024),
    matches(
        rf"s3://{_BUCKET}/[^\x00-\x1f\x7f]+\.tar\.gz",
        "must be the S3 URL of a gzip-compressed tar archive: s3://<bucket>/<key>.tar.gz",
    ),
    _NO_STEPS,
]

ModelDataPrefix = Annotated[
    str,
    Field(max_length=1024),
    matches(
        rf"s3://{_BUCKET}/([^\x00-\x1f\x7f]*[^/\x00-\x1f\x7f])?/?",
        "must be the S3 URL of a folder, with a '/' at the end: s3://<bucket>/<prefix>/",
    ),
    Rule(
        # https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html
        cel="self.endsWith('/')",
        message="must end with '/': SageMaker would take it for the beginning of a name otherwise",
        holds=lambda url: url.endswith("/"),
    ),
    _NO_STEPS,
]

VariableName = Annotated[
    str,
    Field(max_length=_VARIABLE_BYTES),
    matches("[A-Za-z_][A-Za-z0-9_]*", "must be letters, digits and '_', and must not begin with a digit"),
    Rule(
        cel=f"!(self in {list(_RESERVED_VARIABLES)!r})",
        message=f"must not be {', '.join(_RESERVED_VARIABLES)}: SageMaker sets them itself, and credentials come from "
        "the execution role",
        holds=lambda name: name not in _RESERVED_VARIABLES,
    ),
]

Environment = Annotated[
    Mapping[str, Annotated[str, Field(max_length=_VARIABLE_BYTES)]],
    Field(max_length=100),
    Rule(
        cel="self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
        message="names must be letters, digits and '_', and must not begin with a digit",
        holds=lambda environment: all(name.isascii() and name.isidentifier() for name in environment),
    ),
    Rule(
        cel=f"!self.exists(name, name in {list(_RESERVED_VARIABLES)!r})",
        message=f"must not set {', '.join(_RESERVED_VARIABLES)}: SageMaker sets them itself, and credentials come from "
        "the execution role of the class",
        holds=lambda environment: environment.keys().isdisjoint(_RESERVED_VARIABLES),
    ),
    Rule(
        cel=r"!self.exists(name, self[name].matches('\\x00'))",
        message="values must not contain NUL characters: no process can receive them",
        holds=lambda environment: not any("\0" in value for value in environment.values()),
    ),
    Rule(
        cel=f"self.all(name, bytes(name).size() <= {_VARIABLE_BYTES} && bytes(self[name]).size() <= {_VARIABLE_BYTES})",
        message=f"names and values must be at most {_VARIABLE_BYTES} bytes each: SageMaker accepts no more",
        holds=lambda environment: all(
            _bytes(text) <= _VARIABLE_BYTES for text in [*environment, *environment.values()]
        ),
    ),
    Rule(
        cel=f"self.map(name, bytes(name).size() + bytes(self[name]).size()).sum() <= {_ENVIRONMENT_BYTES}",
        message="names and values together must be at most 32 KiB: SageMaker accepts no more",
        holds=lambda environment: sum(map(_bytes, [*environment, *environment.values()])) <= _ENVIRONMENT_BYTES,
    ),
]

RoutePath = Annotated[
    str,
    Field(max_length=256),
    matches(
        "(/[A-Za-z0-9._~-]+)+",
        "must be a path such as /nlp/sentiment/v2: segments of letters, digits, '.', '_', '~' and '-', "
        "each after a '/', and no '/' at the end",
    ),
    Rule(
        cel="!self.matches('(^|/)[.]{1,2}(/|$)')",
        message="must not contain the segments '.' and '..': HTTP clients resolve them before they send the request",
        holds=lambda path: not {".", ".."} & set(path.split("/")),
    ),
    Rule(
        cel="!(self in ['/ping', '/sping'])",
        message="must not be /ping or /sping: API Gateway reserves them for its health checks",
        holds=lambda path: path not in {"/ping", "/sping"},
    ),
]

HeaderName = Annotated[
    str,
    Field(max_length=64),
    matches("[A-Za-z0-9][A-Za-z0-9-]*", "must be the name of an HTTP header: letters, digits and '-'"),
]

Origin = Annotated[
    str,
    Field(max_length=256),
    matches(
        "[*]|https?://[a-z0-9.-]+(:[0-9]{1,5})?",
        "must be an origin such as https://example.com, in lower case and without a path, or *",
    ),
]

_CLAIM_NAME = "[A-Za-z][A-Za-z0-9_.:/-]{0,127}"

Claims = Annotated[
    Mapping[str, Annotated[str, Field(max_length=256)]],
    Field(min_length=1, max_length=10),
    Rule(
        cel=f"self.all(name, name.matches('^({_CLAIM_NAME})$') && self[name].matches('^[ -~]+$')"
        " && self[name].matches('[A-Za-z0-9]'))",
        message="must map names of claims to patterns of printable ASCII characters, in which * matches any characters "
        "and ? one; a pattern without a letter or digit would admit everybody",
        holds=lambda claims: all(
            re.fullmatch(_CLAIM_NAME, name) and re.fullmatch("[ -~]+", value) and re.search("[A-Za-z0-9]", value)
            for name, value in claims.items()
        ),
    ),
]

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
IssuerUrl = Annotated[
    str,
    Field(max_length=512),
    matches(
        r"(https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|http://(localhost|127[.]0[.]0[.]1)(:[0-9]{1,5})?)"
        "(/[A-Za-z0-9._~/-]*)?",
        "must be the issuer as it is in the claim iss of its tokens: an https:// URL without a query, such as "
        "https://token.actions.githubusercontent.com; http:// reaches this machine only",
    ),
]

Audience = Annotated[
    str,
    Field(max_length=256),
    matches("[!-~]+", "must be an audience of printable ASCII characters without spaces"),
]

RoutePathGlob = Annotated[
    str,
    Field(max_length=256),
    matches(
        "(/[A-Za-z0-9._~*?-]+)+",
        "must be a path in which * matches any characters and ? one, such as /public/*/v?",
    ),
]

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

DomainName = Annotated[
    str,
    Field(max_length=253),
    matches(
        f"({_LABEL}[.])+{_LABEL}",
        "must be the name of a domain in lower case, such as previews.example.com, without * and a dot at the end",
    ),
]

# https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
BasePath = Annotated[
    str,
    Field(max_length=200),
    matches(
        "[A-Za-z0-9.-][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)*",
        "must be a path such as models or team/models: letters, digits, '.', '_' and '-', with neither '/' nor '_' at "
        "the beginning and no '/' at the end",
    ),
]

S3Prefix = Annotated[
    str,
    Field(max_length=512),
    matches(
        f"s3://{_BUCKET}(/[A-Za-z0-9!_.*'()=+,:@-]+)*/?",
        "must be the S3 URL of a folder: s3://<bucket>/<prefix>, of letters, digits and !_.*'()=+,:@-",
    ),
    _NO_STEPS,
]

TopicArn = Annotated[
    str,
    Field(max_length=2048),
    matches(
        "arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}",
        "must be the ARN of a standard SNS topic: arn:aws:sns:<region>:<account>:<name>",
    ),
]

InstanceType = Annotated[
    str,
    Field(max_length=64),
    matches(
        r"ml[.][a-z0-9-]+[.][a-z0-9-]+",
        "must be a SageMaker instance type, such as ml.m5.large",
    ),
]

InstanceTypeGlob = Annotated[
    str,
    Field(max_length=64),
    matches(
        r"ml[.][a-z0-9.*?-]+",
        "must be a SageMaker instance type in which * matches any characters and ? one, such as ml.m5.*",
    ),
]

# https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html
ScheduleExpression = Annotated[
    str,
    Field(max_length=256),
    matches(
        "at[(][0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[)]"
        "|rate[(][1-9][0-9]* (minute|minutes|hour|hours|day|days)[)]"
        "|cron[(][A-Za-z0-9*?,/#-]+( [A-Za-z0-9*?,/#-]+){5}[)]",
        "must be cron(<minutes> <hours> <day of month> <month> <day of week> <year>), "
        "at(<yyyy-mm-dd>T<hh:mm:ss>) or rate(<number> <minutes, hours or days>)",
    ),
]

TimeZone = Annotated[
    str,
    Field(max_length=64),
    matches(
        "[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}",
        "must be the name of a time zone, such as Europe/Berlin or UTC",
    ),
]

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RetentionDays = Annotated[
    Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
    BeforeValidator(_not_boolean),
]

ServerlessMemory = Annotated[
    Integer,
    Rule(
        cel="self in [1024, 2048, 3072, 4096, 5120, 6144]",
        message="memorySizeMB must be 1024, 2048, 3072, 4096, 5120 or 6144",
        holds=lambda size: size in range(1024, 6145, 1024),
    ),
]

Region = Annotated[
    str,
    Field(max_length=32),
    matches("[a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2}", "must be the code of an AWS region, such as eu-central-1"),
]

# https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html
RoleArn = Annotated[
    str,
    Field(max_length=640),
    matches(
        "arn:aws[a-z-]*:iam::[0-9]{12}:role/([!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}",
        "must be the ARN of an IAM role: arn:aws:iam::<account>:role/<name>",
    ),
]
