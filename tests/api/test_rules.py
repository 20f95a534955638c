"""Every rule, on both sides: what it refuses, what a person reads then, and what it lets pass."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ephemeral_endpoints.api.v1alpha1.endpoint import EphemeralEndpoint
from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

Body = dict[str, Any]

ACCOUNT = "123456789012"
REGISTRY = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
ROLE = "arn:aws:iam::123456789012:role/"
DIGEST = "sha256:" + "0" * 64
DURATION = "must be a duration longer than 0s and at most 365d (8760h) in weeks, days, hours, minutes and seconds"
NOT_ECR = "must be an image in Amazon ECR: <account>.dkr.ecr.<region>.amazonaws.com/<repository>"
NO_TAG = "must end with a tag (such as :1f0c2a9) or a digest (@sha256: and 64 hexadecimal digits), not both"
NOT_ARCHIVE = "must be the S3 URL of a gzip-compressed tar archive: s3://<bucket>/<key>.tar.gz"
BAD_NAMES = "names must be letters, digits and '_', and must not begin with a digit"
BAD_PRICE = "must map instance types to a price in USD per hour, in quotes"
BAD_PATH = "must be a path such as /nlp/sentiment/v2"
NOT_A_LABEL = "must be a DNS label: at most 63 lowercase letters, digits and '-', with a letter or digit at both ends"
NOT_A_COMMIT = "must be the SHA of a Git commit: 7 to 64 lowercase hexadecimal digits"
NOT_A_QUEUE = "must be the name of a standard SQS queue, such as eep-events, not its URL or ARN"
NOT_A_REPOSITORY = "must be an ECR repository without a tag, in which * matches any characters and ? one"
NOT_AN_INSTANCE_TYPE = "must be a SageMaker instance type in which * matches any characters and ? one"
NOT_A_MEDIA_TYPE = "must be a media type, such as application/json or text/csv; charset=utf-8"
NO_SUCH_SAMPLE = "readiness.sample must be the name of one of the samples"
TOO_LARGE_SAMPLES = "the requests of all samples together must be at most 64 KiB"
SAMPLE = {"name": "a", "request": '{"text":"good"}'}
NO_SAMPLE_OF_CHECK = "sample of each check must be the name of one of api.samples"
NO_ORIGIN = "set exactly one of sample (the name of one of api.samples), request (which stands here) and requestFrom"
TOO_LARGE_REQUESTS = "the requests that stand in checks must be at most 128 KiB together"
NOT_A_POINTER = "must be a JSON pointer (RFC 6901), such as /predictions/0/label"
NO_RANGE = "min must not be greater than max: no number can be expected"
REFERENCE = {"configMapKeyRef": {"name": "cases", "key": "a.json"}}
WITH = {"with": {"endpoint": "main"}}
RECORDED = {"recorded": {"s3Uri": "s3://acme/nlp"}}
ONE_BASE = "set exactly one of endpoint, and previousRevision: true"
ONE_SECOND = "set exactly one of endpoint and sageMakerEndpoint"
NO_POINTER = "must be a JSON pointer, such as /predictions/-/score"
NO_RECORDINGS = "must be the S3 URL of a folder, in whose path {namespace} stands for the namespace of the object"
NOT_A_PATH = "must be the path of the repository: its owner or groups, and its name"


def _load(count: int = 1, **fields: object) -> list[Body]:
    return [{"name": f"c{i}", "request": {"body": ""}, "load": {"rate": 10, **fields}} for i in range(count)]


def _check(**expect: object) -> list[dict[str, object]]:
    """Checks of which one expects this."""
    return [{"name": "a", "request": {"body": "{}"}, "expect": expect}]


def _value(**expected: object) -> list[dict[str, object]]:
    """Checks of which one expects this of a value."""
    return _check(values=[{"pointer": "/a", **expected}])


@dataclass(frozen=True)
class Case:
    """A value at a path of the spec, why it is as it is, and the message where one is our own."""

    path: str
    value: object
    reason: str
    message: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"

    @property
    def block(self) -> str:
        """The first name of the path: what a rule over several fields reports."""
        return self.path.split(".")[0]

    def applied_to(self, body: Body) -> Body:
        """Return the object with the value in place."""
        changed = deepcopy(body)
        *parents, last = self.path.split(".")
        part = changed["spec"]
        for name in parents:
            part = part.setdefault(name, {})
        part[last] = self.value
        return changed


ENDPOINT_REFUSED = [
    Case("className", "Default", "uppercase", NOT_A_LABEL),
    Case("className", "-default", "begins with '-'", NOT_A_LABEL),
    Case("className", "", "empty", NOT_A_LABEL),
    Case("className", "x" * 64, "longer than a label"),
    Case("source.repository", "sentiment", "no owner", NOT_A_PATH),
    Case("source.repository", "acme//sentiment", "a group without a name", NOT_A_PATH),
    Case("source.repository", "/acme/sentiment", "a '/' in front", NOT_A_PATH),
    Case("source.repository", "acme/..", "climbs up", "must not contain the segments '.' and '..'"),
    Case("source.repository", "https://github.com/acme/sentiment", "a URL", NOT_A_PATH),
    Case("source.repository", "a/" + "b" * 511, "too long"),
    Case("source.revision", "main", "a branch", NOT_A_COMMIT),
    Case("source.revision", "1f0c2a", "too short to be unique", NOT_A_COMMIT),
    Case("source.revision", "1F0C2A9", "uppercase, which Git never prints", NOT_A_COMMIT),
    Case("source.revision", "1f0c2a9\n", "a line break at the end", NOT_A_COMMIT),
    Case("source.revision", 12345678, "digits only, without quotes"),
    Case("source.pullRequest", 0, "GitHub counts from 1"),
    Case("source.pullRequest", 2**63, "more than the API server can hold"),
    Case("monitoring.logRetentionDays", value=True, reason="no number, though Python takes it for 1"),
    Case("source.pullRequest", value=True, reason="no number"),
    Case("source.pullRequest", "42", "a string"),
    Case("source.branch", "", "empty"),
    Case("source.branch", "ä" * 257, "too long"),
    Case("model.image", "python:3.11", "an image of Docker Hub", NOT_ECR),
    Case("model.image", f"{REGISTRY}/Models:1", "ECR's repositories are lowercase", NOT_ECR),
    Case("model.image", f"x.{REGISTRY}/models:1", "a host that only ends like ECR's", NOT_ECR),
    Case("model.image", f"{REGISTRY}.evil.example/models:1", "a host that only begins like ECR's", NOT_ECR),
    Case("model.image", f"{ACCOUNT}.dkr.ecr.us-east-1.on.aws/models:1", "a mixture of two names", NOT_ECR),
    Case("model.image", f"{REGISTRY}/models", "neither tag nor digest", NO_TAG),
    Case("model.image", f"{REGISTRY}/models:", "empty tag", NO_TAG),
    Case("model.image", f"{REGISTRY}/models:1@{DIGEST}", "tag and digest, which SageMaker does not take", NO_TAG),
    Case("model.image", f"{REGISTRY}/models@sha256:12", "digest cut short", NO_TAG),
    Case(
        "model.image",
        f"{REGISTRY}/{'m' * 139}:1",
        "no room for the digest",
        "must have at most 183 characters before the tag or digest, because SageMaker accepts 255 with the digest",
    ),
    Case("model.image", f"{REGISTRY}/{'m' * 300}:1", "longer than SageMaker takes"),
    Case(
        "model.image",
        f"{REGISTRY}/m:1",
        "ECR makes no repository with a shorter name",
        "the repository name must have at least 2 characters: ECR requires it",
    ),
    Case("model.dataUrl", "s3://models/sentiment", "no archive", NOT_ARCHIVE),
    Case("model.dataUrl", "https://models.s3.amazonaws.com/model.tar.gz", "no S3 URL", NOT_ARCHIVE),
    Case("model.dataUrl", "s3://models/a\nb.tar.gz", "a line break", NOT_ARCHIVE),
    Case("model.dataUrl", f"s3://models/{'m' * 1024}.tar.gz", "longer than SageMaker takes"),
    Case("model.environment", {"LOG-LEVEL": "debug"}, "a name with '-'", BAD_NAMES),
    Case("model.environment", {"1ST": "debug"}, "a name that begins with a digit", BAD_NAMES),
    Case("model.environment", {"": "debug"}, "an empty name", BAD_NAMES),
    Case("model.environment", {"STRASSE_ß": "x"}, "a letter that is not ASCII", BAD_NAMES),
    Case("model.environment", {"AWS_SECRET_ACCESS_KEY": "x"}, "a credential", "must not set SAGEMAKER_BIND_TO_PORT"),
    Case(
        "model.environment", {"SAGEMAKER_BIND_TO_PORT": "1"}, "SageMaker's own", "must not set SAGEMAKER_BIND_TO_PORT"
    ),
    Case("model.environment", {"N" * 1025: ""}, "a name too long", "names and values must be at most 1024 bytes"),
    Case("model.environment", {"N": "ä" * 513}, "1026 bytes", "names and values must be at most 1024 bytes"),
    Case("model.environment", {f"N{i}": "" for i in range(101)}, "too many"),
    Case(
        "model.environment",
        {f"N{i:02}": "x" * 1022 for i in range(32)},
        "32,800 bytes",
        "names and values together must be at most 32 KiB",
    ),
    Case(
        "serving.serverless.memorySizeMB",
        1536,
        "no multiple of 1024",
        "memorySizeMB must be 1024, 2048, 3072, 4096, 5120 or 6144",
    ),
    Case("serving.serverless.memorySizeMB", 0, "none at all", "memorySizeMB must be 1024"),
    Case("serving.serverless.memorySizeMB", 7168, "more than SageMaker has", "memorySizeMB must be 1024"),
    Case("serving.serverless.maxConcurrency", 0, "nobody could call"),
    Case("serving.serverless.maxConcurrency", 201, "more than SageMaker allows"),
    Case("api.path", "pr-42", "no '/' in front", BAD_PATH),
    Case("api.path", "/", "the root", BAD_PATH),
    Case("api.path", "/pr-42/", "a '/' at the end", BAD_PATH),
    Case("api.path", "/a//b", "an empty segment", BAD_PATH),
    Case("api.path", "/{proxy+}", "a variable of API Gateway", BAD_PATH),
    Case("api.path", "/a%2Fb", "an encoded character", BAD_PATH),
    Case("api.path", "/a/../b", "climbs up", "must not contain the segments '.' and '..'"),
    Case("api.path", "/.", "only a dot", "must not contain the segments '.' and '..'"),
    Case("api.path", "/ping", "API Gateway's own", "must not be /ping or /sping"),
    Case("api.path", "/" + "a" * 256, "too long"),
    Case("api.auth.type", "Basic", "unknown"),
    Case("api.maxBodyBytes", 6291457, "more than a function takes"),
    Case("api.maxBodyBytes", 0, "nothing could be sent"),
    Case("api.samples", [{"name": "a"}], "no request"),
    Case("api.samples", [{"name": "A", "request": ""}], "no name", NOT_A_LABEL),
    Case("api.samples", [{"name": f"s{i}", "request": ""} for i in range(11)], "too many"),
    Case("api.samples", [{"name": "a", "request": "x" * 65537}], "too large"),
    Case("api.samples", [{"name": each, "request": "ä" * 16385} for each in "ab"], "65540 bytes", TOO_LARGE_SAMPLES),
    Case("api.samples", [SAMPLE | {"contentType": "json"}], "no subtype", NOT_A_MEDIA_TYPE),
    Case("api.samples", [SAMPLE | {"contentType": "a/b\r\nx: y"}], "would add a header", NOT_A_MEDIA_TYPE),
    Case("api.samples", [SAMPLE | {"description": "two\nlines"}], "two lines", "must not contain control"),
    Case("api", {"readiness": {"sample": "a"}}, "no samples", NO_SUCH_SAMPLE),
    Case("api", {"samples": [SAMPLE], "readiness": {"sample": "b"}}, "another sample", NO_SUCH_SAMPLE),
    Case("checks", [{"name": "a"}], "no origin", NO_ORIGIN),
    Case("checks", [{"name": "a", "request": {"body": ""}, "requestFrom": REFERENCE}], "two origins", NO_ORIGIN),
    Case("checks", [{"name": "A", "request": {"body": ""}}], "no name", NOT_A_LABEL),
    Case("checks", [{"name": f"c{i}", "request": {"body": ""}} for i in range(51)], "too many"),
    Case("checks", [{"name": "a", "request": {"body": "x" * 65537}}], "too large"),
    Case(
        "checks",
        [{"name": each, "request": {"body": "ä" * 21846}} for each in "abc"],
        "131076 bytes",
        TOO_LARGE_REQUESTS,
    ),
    Case("checks", [{"name": "a", "request": {"body": "", "contentType": "json"}}], "no subtype", NOT_A_MEDIA_TYPE),
    Case("checks", _check(status=99), "no status"),
    Case("checks", _check(timeLimitMs=30001), "an HTTP API does not wait longer"),
    Case("checks", _check(schema={}, schemaFrom=REFERENCE), "two schemas", "set only one of schema"),
    Case("checks", _check(schema=True), "a schema that is no object"),
    Case("checks", _value(), "nothing is expected"),
    Case("checks", _load(4), "an hour of load", "at most 3 checks may have load"),
    Case("checks", _load(rate=51), "no preview is for that"),
    Case("checks", _load(rate=0), "no load"),
    Case("checks", _load(duration="121s"), "too long", "must be at most 2m"),
    Case("checks", _load(rate=26, duration="116s"), "3016 requests", "rate times duration must be at most 3000"),
    Case("checks", _load(rate=1, duration="9s"), "9 requests", "rate times duration must be at least 10 requests"),
    Case("checks", _load(rate=1, p99Ms=9, duration="99s"), "99 requests", "p99Ms and p99RatioToBase need at least 100"),
    Case("checks", _load(duration="1s", p99RatioToBase=2, base={"endpoint": "a"}), "10 requests", "p99Ms and p99Ratio"),
    Case("checks", _load(warmUp=0), "it could not be told from a cold start"),
    Case("checks", _load(p50Ms=0), "faster than light"),
    Case("checks", _load(errorPercent=100.1), "more than all"),
    Case("checks", _load(p50RatioToBase=1.2), "ratio to nothing", "ratios to the base need base"),
    Case("checks", _load(maxRatioToBase=1.2), "likewise", "ratios to the base need base"),
    Case("checks", _load(base={}), "no base", "set either previousRevision: true or endpoint"),
    Case("checks", _load(base={"previousRevision": True, "endpoint": "a"}), "two bases", "set either previousRevision"),
    Case("checks", _value(min=2, max=1), "no number", NO_RANGE),
    Case("checks", _value(min="1"), "a text"),
    Case("checks", _value(equals=1, tolerance=-0.1), "less than equal"),
    Case("checks", _value(oneOf=[]), "none of none"),
    Case("checks", _check(values=[{"pointer": "a", "equals": 1}]), "no slash", NOT_A_POINTER),
    Case("checks", _check(values=[{"pointer": "/a~2", "equals": 1}]), "no such escape", NOT_A_POINTER),
    Case("monitoring.logRetentionDays", 8, "CloudWatch does not know it"),
    Case("monitoring.alarms.latencyMs", 0, "always alarm"),
    Case("monitoring.alarms.latencyMs", 60001, "never alarm: SageMaker gives up before"),
    Case("monitoring.alarms.errorRatePercent", 0, "always alarm"),
    Case("monitoring.alarms.errorRatePercent", 101, "never alarm"),
    Case("compare", {**RECORDED, "with": {}}, "no base", ONE_BASE),
    Case("compare", {**RECORDED, "with": {"endpoint": "main", "previousRevision": True}}, "two bases", ONE_BASE),
    Case(
        "compare", {**RECORDED, "with": {"endpoint": "ml/main"}}, "elsewhere", "must be the name of a Kubernetes object"
    ),
    Case("compare", RECORDED, "no base at all"),
    Case("compare", {**WITH, "recorded": {"s3Uri": "s3://acme/nlp", "limit": 201}}, "too many requests"),
    Case("compare", {**WITH, "recorded": {"s3Uri": "https://acme/nlp"}}, "no S3", "must be the S3 URL of a folder"),
    Case("compare", {**WITH, **RECORDED, "label": "label"}, "no '/'", NO_POINTER),
    Case("compare", {**WITH, **RECORDED, "ignore": ["/a~2"]}, "nothing is escaped so", NO_POINTER),
    Case("compare", {**WITH, **RECORDED, "redact": ["/a\n"]}, "a line break", NO_POINTER),
    Case("compare", {**WITH, **RECORDED, "redact": ["/a"] * 21}, "too many pointers"),
    Case("compare", {**WITH, **RECORDED, "tolerances": [{"pointer": "", "absolute": -1}]}, "negative"),
    Case("compare", {**WITH, **RECORDED, "tolerances": [{"pointer": "", "relative": 1.01}]}, "more than all"),
    Case("compare", {**WITH, **RECORDED, "tolerances": [{"pointer": "", "absolute": True}]}, "no number"),
    Case("compare", {**WITH, **RECORDED, "tolerances": [{"absolute": 1}]}, "of which numbers"),
    Case("api.postprocess", {}, "nothing to ask", ONE_SECOND),
    Case("api.postprocess", {"endpoint": "a", "sageMakerEndpoint": "b"}, "two to ask", ONE_SECOND),
    Case("api.postprocess", {"endpoint": "ml/a"}, "elsewhere", "must be the name of a Kubernetes object"),
    Case("api.postprocess", {"sageMakerEndpoint": "arn:aws:sagemaker:eu-west-1:1:endpoint/a"}, "an ARN", "not its ARN"),
    Case("api.postprocess", {"sageMakerEndpoint": "a" * 64}, "too long"),
    Case("api.postprocess", {"endpoint": "a", "member": "text"}, "a member that holds nothing", "member needs input"),
    Case("api.postprocess", {"endpoint": "a", "input": "text"}, "no slash", NOT_A_POINTER),
    Case("api.postprocess", {"endpoint": "a", "input": "/a", "member": '"'}, "no name", "must be the name of a member"),
    Case("api.postprocess", {"endpoint": "a", "timeoutSeconds": 0}, "no time"),
    Case("api.postprocess", {"endpoint": "a", "timeoutSeconds": 28}, "API Gateway does not wait longer"),
    Case("lifecycle.ttl", "0s", "gone at once", DURATION),
    Case("lifecycle.ttl", "0h0m0s", "gone at once", DURATION),
    Case("lifecycle.ttl", "0w0d", "gone at once", DURATION),
    Case("lifecycle.ttl", "8761h", "longer than a year", DURATION),
    Case("lifecycle.ttl", "52w1d1s", "longer than a year", DURATION),
    Case("lifecycle.ttl", "999999w999999d999999h999999m999999s", "the longest that the syntax can say", DURATION),
    Case("lifecycle.onExpiry", "Keep", "unknown"),
]
MALFORMED_TTL = [
    Case("lifecycle.ttl", "5x", "no unit of time"),
    Case("lifecycle.ttl", "", "empty"),
    Case("lifecycle.ttl", "72", "no unit"),
    Case("lifecycle.ttl", "1.5h", "a fraction"),
    Case("lifecycle.ttl", "-1h", "negative"),
    Case("lifecycle.ttl", "1y", "years, which are not of one length"),
    Case("lifecycle.ttl", "1d1w", "days before weeks"),
    Case("lifecycle.ttl", "9" * 20 + "d", "more than CEL's integers hold"),
    Case("lifecycle.ttl", "30m1h", "units out of order"),
    Case("lifecycle.ttl", "1h\n", "a line break at the end"),
]
ENDPOINT_ACCEPTED = [
    Case("className", "a" * 63, "the longest label"),
    Case("source.repository", "Acme-Inc/senti.ment_2~x", "all characters"),
    Case("source.repository", "group/sub/project", "a subgroup of GitLab"),
    Case("source.repository", "acme/.github", "a name with a dot in front"),
    Case("source.revision", "0" * 64, "SHA-256"),
    Case("source.branch", "feature/ünïcode-🙂" + "x" * 239, "any characters, 256 of them"),
    Case("model.image", f"{REGISTRY}/a/b_c/d.e-f@{DIGEST}", "digest"),
    Case("model.image", f"{REGISTRY}.cn/{'m' * 135}:{'t' * 67}", "China; the longest name and all that then fits"),
    Case("model.image", f"{ACCOUNT}.dkr.ecr.eusc-de-east-1.amazonaws.eu/models:1", "the European Sovereign Cloud"),
    Case("model.image", f"{ACCOUNT}.dkr.ecr.us-iso-east-1.c2s.ic.gov/models:1", "an isolated partition"),
    Case("model.image", f"{ACCOUNT}.dkr.ecr-fips.us-east-1.amazonaws.com/models:1", "by FIPS"),
    Case("model.image", f"{ACCOUNT}.dkr-ecr.us-east-1.on.aws/models:1", "by IPv6"),
    Case("model.dataUrl", "s3://my.models/a b/ü.tar.gz", "keys take any character"),
    Case("model.environment", {"SAGEMAKER_PROGRAM": "inference.py", "_x1": "any\ntext"}, "AWS's own images want it"),
    Case("model.environment", {f"N{i}": "" for i in range(100)}, "as many as SageMaker takes"),
    Case("model.environment", {f"N{i:02}": "x" * 1021 for i in range(32)}, "32 KiB"),
    Case("api.path", "/a.b/~c/_d/..e", "all characters; dots in a name"),
    Case("api.path", "/v1/ping", "reserved at the root only"),
    Case(
        "api.samples", [{"name": f"s{i}", "request": "x" * 6553} for i in range(10)], "as many and as large as can be"
    ),
    Case("api.samples", [SAMPLE | {"description": "ü", "contentType": "text/csv; charset=utf-8"}], "all members"),
    Case("api", {"samples": [SAMPLE], "readiness": {"sample": "a"}}, "a sample of the list"),
    Case(
        "checks",
        [{"name": f"c{i}", "request": {"body": "x" * 2621}} for i in range(50)],
        "as many and as large as can be",
    ),
    Case("checks", [{"name": "a", "requestFrom": {**REFERENCE, "contentType": "text/csv"}}], "from a ConfigMap"),
    Case("checks", _check(status=422, timeLimitMs=1, schemaFrom=REFERENCE), "all members"),
    Case("checks", _check(schema={"type": "object", "$defs": {"a": {"const": [None, {"b": 1}]}}}), "any schema"),
    Case("checks", _value(equals={"b": [1, "2", None, True, 1.5]}), "any JSON"),
    Case("checks", _value(equals=None), "null is a value"),
    Case("checks", _value(oneOf=[None, 1, "a", {"b": []}], tolerance=0), "one of any JSON"),
    Case("checks", _value(min=1, max=1.0), "one number"),
    Case("checks", _load(3, rate=50, duration="1m", p99Ms=60000, p50Ms=1, errorPercent=0.5), "the most"),
    Case("checks", _load(rate=1, duration="10s", maxMs=5), "the fewest requests"),
    Case("checks", _load(rate=1, duration="1m40s", p99Ms=5), "the fewest requests for p99"),
    Case("checks", _load(base={"previousRevision": True}, p99RatioToBase=1.2, p90RatioToBase=2), "ratios"),
    Case("checks", _load(base={"endpoint": "main.x"}), "shown, not judged"),
    Case("checks", _check(values=[{"pointer": "", "equals": 1}, {"pointer": "/a~1b~0/0", "min": 1}]), "pointers"),
    Case("compare", {**WITH, "recorded": {"s3Uri": "s3://acme/nlp/a.jsonl", "limit": 200}}, "recordings alone"),
    Case(
        "compare",
        {
            **RECORDED,
            "with": {"previousRevision": True},
            "tolerances": [{"pointer": "", "absolute": 1, "relative": 0.5}, {"pointer": "/a/-"}] * 10,
            "label": "",
            "ignore": ["/a~1b/~0"] * 20,
            "redact": ["/möwe/*"],
        },
        "as much as can be",
    ),
    Case("lifecycle.ttl", "1s", "the shortest"),
    Case("lifecycle.ttl", "8760h", "the longest"),
    Case("lifecycle.ttl", "3d", "days"),
    Case("lifecycle.ttl", "1w", "a week"),
    Case("lifecycle.ttl", "1w2d3h4m5s", "all units"),
    Case("lifecycle.ttl", "52w1d", "the longest, in weeks and days"),
    Case("lifecycle.ttl", "1h30m", "two units"),
    Case("lifecycle.ttl", "0h90m", "a part that is zero"),
]

CLASS_REFUSED = [
    Case("region", "frankfurt", "a city", "must be the code of an AWS region, such as eu-central-1"),
    Case("region", "us-east-1a", "a zone", "must be the code of an AWS region"),
    Case("executionRoleArn", "model", "a name", "must be the ARN of an IAM role: arn:aws:iam::<account>:role/<name>"),
    Case("forwarderRoleArn", "arn:aws:iam::123456789012:user/model", "a user", "must be the ARN of an IAM role"),
    Case("invokeRoleArn", ROLE + "x" * 65, "a name too long", "must be the ARN of an IAM role"),
    Case("assumeRole.roleArn", "operator", "a name", "must be the ARN of an IAM role"),
    Case("assumeRole", {"roleArn": ROLE + "a", "externalId": "x"}, "too short an ID"),
    Case("assumeRole", {"roleArn": ROLE + "a", "externalId": "two words"}, "a blank", "must be an external ID"),
    Case("assumeRole", {"externalId": "eep"}, "no role"),
    Case("images.allowedRepositories", ["models/*"], "no registry", NOT_A_REPOSITORY),
    Case("images.allowedRepositories", [f"{REGISTRY}/models:1"], "with a tag", NOT_A_REPOSITORY),
    Case("images.allowedRepositories", [f"{REGISTRY}/m"] * 101, "too many"),
    Case(
        "lifecycle",
        {"defaultTtl": "8d", "maxTtl": "1w"},
        "8 days are more than a week",
        "defaultTtl must not be longer",
    ),
    Case("lifecycle.maxTtl", "2d", "shorter than the default of 72h", "defaultTtl must not be longer than maxTtl"),
    Case("lifecycle.maxTtl", "71h", "shorter than the default", "defaultTtl must not be longer than maxTtl"),
    Case("lifecycle.ttlFrom", "LastInvocation", "no such value"),
    Case("endpoints.creationTimeout", "0s", "none at all", DURATION),
    Case("endpoints.creationAttempts", 0, "it is made at least once"),
    Case("endpoints.creationAttempts", 21, "too many"),
    Case("endpoints.retryAfter", "61m", "too long", "must be at most 1h"),
    Case("prices", {"m5.large": "0.115"}, "no type of SageMaker", BAD_PRICE),
    Case("prices", {"ml.m5.large": "0,115"}, "a comma", BAD_PRICE),
    Case("prices", {"ml.m5.large": "-1"}, "nobody is paid", BAD_PRICE),
    Case("prices", {"ml.m5.large": 0.115}, "a float is not what was written"),
    Case("prices", {f"ml.m{number}.large": "1" for number in range(201)}, "too many"),
    Case("lifecycle.defaultTtl", "337h", "longer than the maximum", "defaultTtl must not be longer than maxTtl"),
    Case("lifecycle.defaultTtl", "0s", "gone at once", DURATION),
    Case("events.queueName", "https://sqs.us-east-1.amazonaws.com/123456789012/eep", "a URL", NOT_A_QUEUE),
    Case("events.queueName", "arn:aws:sqs:us-east-1:123456789012:eep", "an ARN", NOT_A_QUEUE),
    Case("events.queueName", "eep.fifo", "no standard queue", NOT_A_QUEUE),
    Case("instances.allowedTypes", ["m5.*"], "EC2 types", NOT_AN_INSTANCE_TYPE),
    Case("instances.maxCount", -1, "fewer than none"),
    Case("comparisons.recordings", ["s3://acme/{name}"], "another placeholder", NO_RECORDINGS),
    Case("comparisons.recordings", ["s3://{namespace}"], "a bucket for each namespace", NO_RECORDINGS),
    Case("comparisons.recordings", ["s3://acme/../{namespace}"], "a step", "must not contain the segments"),
    Case("comparisons.reportsS3Uri", "s3://acme/{namespace}", "a placeholder", "must be the S3 URL of a folder"),
    Case("events.queueName", "", "empty", NOT_A_QUEUE),
    Case("events.queueName", "eep\n", "a line break at the end", NOT_A_QUEUE),
    Case("events.queueName", "e" * 81, "too long"),
    Case("events", {}, "no queue"),
]
CLASS_ACCEPTED = [
    Case("region", "us-gov-west-1", "three words"),
    Case("region", "ap-southeast-4", "two words"),
    Case("executionRoleArn", ROLE + "a/b/c+=,.@-_", "with a path and all characters"),
    Case("assumeRole", {"roleArn": ROLE + "a"}, "a role of the same account"),
    Case("assumeRole", {"roleArn": ROLE + "a", "externalId": "A1_+=,.@:/-"}, "an ID with all characters"),
    Case("assumeRole", None, "the operator's own credentials"),
    Case("images.allowedRepositories", ["*.dkr.ecr.*.amazonaws.com/team-?/*"], "everywhere"),
    Case("images.allowedRepositories", ["*.dkr.ecr.eusc-*.amazonaws.eu/*"], "the European Sovereign Cloud"),
    Case("images.allowedRepositories", [], "only the own account and region"),
    Case("instances.allowedTypes", ["ml.m5.*", "ml.g4dn.xlarge"], "a family and a type"),
    Case("instances.maxCount", 0, "serverless only"),
    Case("lifecycle.maxTtl", "72h", "as long as the default"),
    Case("lifecycle", {"defaultTtl": "3d", "maxTtl": "1w"}, "days and weeks"),
    Case("endpoints.retryAfter", "0d60m", "an hour, with a part that is zero"),
    Case("endpoints", {"creationTimeout": "1h", "creationAttempts": 1, "retryAfter": "1s"}, "no patience"),
    Case("prices", {"ml.m5.large": "0.115", "ml.p5.48xlarge": "9999"}, "with and without decimals"),
    Case("prices", {f"ml.m{number}.large": "1234.123456" for number in range(200)}, "as many as can be"),
    Case("events.queueName", "Eep_events-" + "1" * 69, "all characters; the longest"),
    Case("events", None, "no events"),
    Case(
        "comparisons",
        {"reportsS3Uri": "s3://acme-reports", "recordings": ["s3://acme/of-{namespace}/a/", "s3://acme"]},
        "one folder for each namespace, and one for all",
    ),
]
OTHER_ACCOUNT = {
    "executionRoleArn": "arn:aws:iam::210987654321:role/a",
    "forwarderRoleArn": "arn:aws:iam::210987654321:role/b",
    "invokeRoleArn": "arn:aws:iam::210987654321:role/c",
}


@pytest.mark.parametrize("case", [*ENDPOINT_REFUSED, *MALFORMED_TTL], ids=str)
def test_python_refuses_an_endpoint(case: Case, endpoint: Body) -> None:
    with pytest.raises(ValueError, match=f"spec.{case.path}[^ ]*\n.*{re.escape(case.message)}"):
        EphemeralEndpoint.model_validate(case.applied_to(endpoint))


@pytest.mark.parametrize(
    "case", [*ENDPOINT_REFUSED, *(replace(case, message=DURATION) for case in MALFORMED_TTL)], ids=str
)
def test_the_api_server_refuses_an_endpoint(case: Case, endpoint: Body, create: Callable[..., Body]) -> None:
    with pytest.raises(ValueError, match=f"spec.{case.path}.*{re.escape(case.message)}"):
        create(case.applied_to(endpoint))


@pytest.mark.parametrize("case", ENDPOINT_ACCEPTED, ids=str)
def test_both_accept_an_endpoint(case: Case, endpoint: Body, create: Callable[..., Body]) -> None:
    body = case.applied_to(endpoint)
    assert EphemeralEndpoint.model_validate(create(body)).spec == EphemeralEndpoint.model_validate(body).spec


@pytest.mark.parametrize("case", CLASS_REFUSED, ids=str)
def test_python_refuses_a_class(case: Case, endpoint_class: Body) -> None:
    with pytest.raises(ValueError, match=f"spec.{case.block}[^ ]*\n.*{re.escape(case.message)}"):
        EphemeralEndpointClass.model_validate(case.applied_to(endpoint_class))


@pytest.mark.parametrize("case", CLASS_REFUSED, ids=str)
def test_the_api_server_refuses_a_class(case: Case, endpoint_class: Body, create: Callable[..., Body]) -> None:
    with pytest.raises(ValueError, match=f"spec.{case.block}.*{re.escape(case.message)}"):
        create(case.applied_to(endpoint_class))


def test_both_refuse_lives_by_use_without_a_queue_that_tells_of_use(
    endpoint_class: Body, create: Callable[..., Body]
) -> None:
    body = Case("lifecycle.ttlFrom", "LastUse", "nobody tells of use").applied_to(endpoint_class)
    for accept in (create, EphemeralEndpointClass.model_validate):
        with pytest.raises(ValueError, match=r"lifecycle\.ttlFrom can be LastUse only with events"):
            accept(body)


def test_both_refuse_a_price_list_in_partitions_that_it_has_no_prices_of(
    endpoint_class: Body, create: Callable[..., Body]
) -> None:
    listed = Case("priceSource", "PriceList", "it has none").applied_to(endpoint_class)
    in_china = json.loads(json.dumps(listed).replace("arn:aws:", "arn:aws-cn:"))
    for accept in (create, EphemeralEndpointClass.model_validate):
        accept(listed)
        with pytest.raises(ValueError, match="priceSource can be PriceList only in the partition aws"):
            accept(in_china)


@pytest.mark.parametrize("case", CLASS_ACCEPTED, ids=str)
def test_both_accept_a_class(case: Case, endpoint_class: Body, create: Callable[..., Body]) -> None:
    body = case.applied_to(endpoint_class)
    assert EphemeralEndpointClass.model_validate(create(body)).spec == EphemeralEndpointClass.model_validate(body).spec


@pytest.mark.parametrize("kind", [EphemeralEndpoint, EphemeralEndpointClass])
def test_both_refuse_an_unknown_field(
    kind: type[EphemeralEndpoint | EphemeralEndpointClass],
    endpoint: Body,
    endpoint_class: Body,
    create: Callable[..., Body],
) -> None:
    body = Case("classname", "x", "a slip").applied_to(endpoint if kind is EphemeralEndpoint else endpoint_class)
    with pytest.raises(ValueError, match=r"spec\.classname\n.*not permitted"):
        kind.model_validate(body)
    with pytest.raises(ValueError, match=r'unknown field "spec\.classname"'):
        create(body)


def test_both_demand_the_sample_that_a_check_names(endpoint: Body, create: Callable[..., Body]) -> None:
    endpoint["spec"] |= {"checks": [{"name": "c", "sample": "a"}], "api": {"samples": [SAMPLE]}}
    assert EphemeralEndpoint.model_validate(create(endpoint)).spec.checks[0].sample == "a"
    endpoint["spec"]["checks"].append({"name": "d", "sample": "b"})
    with pytest.raises(ValueError, match=rf"spec\n.*{NO_SAMPLE_OF_CHECK}"):
        EphemeralEndpoint.model_validate(endpoint)
    with pytest.raises(ValueError, match=f"spec: Invalid value: {NO_SAMPLE_OF_CHECK}"):
        create(endpoint)


def test_both_refuse_load_on_an_endpoint_that_queues_requests(endpoint: Body, create: Callable[..., Body]) -> None:
    queued = {"instances": {"type": "ml.m5.large"}, "asynchronous": {"s3Uri": "s3://queue/requests"}}
    endpoint["spec"] |= {"checks": _load(), "serving": queued}
    refused = "checks of an asynchronous endpoint cannot have load"
    with pytest.raises(ValueError, match=refused):
        EphemeralEndpoint.model_validate(endpoint)
    with pytest.raises(ValueError, match=refused):
        create(endpoint)
    del endpoint["spec"]["checks"][0]["load"]
    assert EphemeralEndpoint.model_validate(create(endpoint)).spec.checks[0].load is None


@pytest.mark.parametrize("field", ["source", "model"])
def test_both_demand_what_every_endpoint_needs(field: str, endpoint: Body, create: Callable[..., Body]) -> None:
    del endpoint["spec"][field]
    with pytest.raises(ValueError, match=rf"spec\.{field}\n.*required"):
        EphemeralEndpoint.model_validate(endpoint)
    with pytest.raises(ValueError, match=rf"spec\.{field}: Required value"):
        create(endpoint)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("a", "b", id="changed"),
        pytest.param("a", None, id="removed"),
    ],
)
def test_the_class_of_an_endpoint_stays(
    before: str,
    after: str | None,
    endpoint: Body,
    stored: Callable[[Body], Body],
    patch: Callable[[Body, Body], Body],
) -> None:
    body = stored(Case("className", before, "").applied_to(endpoint))
    with pytest.raises(ValueError, match="className cannot be changed or removed, because the AWS resources are"):
        patch(body, {"spec": {"className": after}})


def test_the_class_of_an_endpoint_is_set_once(
    endpoint: Body, stored: Callable[[Body], Body], patch: Callable[[Body, Body], Body]
) -> None:
    """By the operator, for an object that named none: from then on it holds for everybody, administrators too."""
    body = stored(Case("className", None, "").applied_to(endpoint))
    patch(body, {"spec": {"className": "a"}})
    with pytest.raises(ValueError, match="className cannot be changed or removed"):
        patch(body, {"spec": {"className": "b"}})


@pytest.mark.parametrize("class_name", ["a", None])
def test_all_else_of_an_endpoint_can_change(
    class_name: str | None, endpoint: Body, stored: Callable[[Body], Body], patch: Callable[[Body, Body], Body]
) -> None:
    body = stored(Case("className", class_name, "").applied_to(endpoint))
    assert patch(body, {"spec": {"source": {"revision": "abcdef0"}}})["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"region": "eu-central-1"}, id="another region"),
        pytest.param(OTHER_ACCOUNT, id="another account"),
    ],
)
def test_a_class_stays_where_it_is(
    change: Body, endpoint_class: Body, stored: Callable[[Body], Body], patch: Callable[[Body, Body], Body]
) -> None:
    body = stored(endpoint_class)
    with pytest.raises(ValueError, match="the region and the account of the roles cannot change"):
        patch(body, {"spec": change})
    assert patch(body, {"spec": {"executionRoleArn": ROLE + "other"}})["metadata"]["generation"] == 2


@pytest.mark.parametrize("role", ["forwarderRoleArn", "invokeRoleArn"])
def test_the_roles_of_a_class_are_of_one_account(role: str, endpoint_class: Body, create: Callable[..., Body]) -> None:
    body = Case(role, OTHER_ACCOUNT[role], "").applied_to(endpoint_class)
    with pytest.raises(ValueError, match="must be roles of the same account"):
        EphemeralEndpointClass.model_validate(body)
    with pytest.raises(ValueError, match="must be roles of the same account"):
        create(body)


def test_the_role_to_assume_is_of_the_account_that_the_class_lives_in(
    endpoint_class: Body,
    create: Callable[..., Body],
    stored: Callable[[Body], Body],
    patch: Callable[[Body, Body], Body],
) -> None:
    refusal = "assumeRole.roleArn must be a role of the same account"
    body = Case("assumeRole", {"roleArn": OTHER_ACCOUNT["executionRoleArn"]}, "").applied_to(endpoint_class)
    with pytest.raises(ValueError, match=refusal):
        EphemeralEndpointClass.model_validate(body)
    with pytest.raises(ValueError, match=refusal):
        create(body)
    own = stored(Case("assumeRole", {"roleArn": ROLE + "a"}, "").applied_to(endpoint_class))
    with pytest.raises(ValueError, match=refusal):
        patch(own, {"spec": {"assumeRole": {"roleArn": OTHER_ACCOUNT["executionRoleArn"]}}})
    other = {"roleArn": ROLE + "b", "externalId": "eep"}
    assert patch(own, {"spec": {"assumeRole": other}})["spec"]["assumeRole"] == other
    assert "assumeRole" not in patch(own, {"spec": {"assumeRole": None}})["spec"]


@pytest.mark.parametrize("name", ["a.b", "x" * 64])
def test_the_name_of_a_class_is_one_that_class_name_can_say(
    name: str, endpoint_class: Body, create: Callable[..., Body]
) -> None:
    with pytest.raises(ValueError, match="the name of a class must be a DNS label"):
        create(endpoint_class | {"metadata": {"name": name}})


def test_an_endpoint_has_any_name_that_kubernetes_allows(endpoint: Body, create: Callable[..., Body]) -> None:
    name = ".".join(["x" * 63] * 4)[:253]
    assert EphemeralEndpoint.model_validate(create(endpoint | {"metadata": {"name": name}})).metadata.name == name


def test_null_means_absent_to_both(endpoint: Body, create: Callable[..., Body]) -> None:
    body = deepcopy(endpoint)
    body["spec"] |= {"className": None, "serving": None, "api": {"path": None, "auth": None}}
    assert EphemeralEndpoint.model_validate(create(body)).spec == EphemeralEndpoint.model_validate(endpoint).spec
    assert EphemeralEndpoint.model_validate(body).spec == EphemeralEndpoint.model_validate(endpoint).spec


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compare": WITH}, "compare needs requests: api.samples or compare.recorded"),
        (
            {"api": {"samples": [SAMPLE]}, "compare": {**WITH, "samples": ["a", "b"]}},
            "compare.samples must be names of api.samples",
        ),
        (
            {
                "compare": {**WITH, **RECORDED},
                "serving": {"instances": {"type": "ml.m5.large"}, "asynchronous": {"s3Uri": "s3://acme/queue"}},
            },
            "compare must not be set on an asynchronous endpoint",
        ),
        (
            {
                "api": {"postprocess": {"endpoint": "a"}},
                "serving": {"instances": {"type": "ml.m5.large"}, "asynchronous": {"s3Uri": "s3://acme/queue"}},
            },
            "api.postprocess must not be set on an asynchronous endpoint",
        ),
        (
            {"api": {"postprocess": {"endpoint": "itself"}}},
            "spec.api.postprocess.endpoint must be another object",
        ),
        (
            {"compare": {**RECORDED, "with": {"endpoint": "itself"}}},
            "spec.compare.with.endpoint must be another object",
        ),
    ],
)
def test_a_comparison_has_requests_that_another_object_answers_at_once(
    changes: Body, message: str, endpoint: Body, create: Callable[..., Body]
) -> None:
    body = {**endpoint, "metadata": {"name": "itself"}, "spec": {**endpoint["spec"], **changes}}
    for accept in (create, EphemeralEndpoint.model_validate):
        with pytest.raises(ValueError, match=re.escape(message)):
            accept(body)
