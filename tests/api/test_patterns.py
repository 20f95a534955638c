"""Every pattern of ours beside the rule of those who read the value: what they accept, ours accepts too.

A pattern without a row fails, and so does a row or an exception that no longer holds.
"""

import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import botocore.session
import pytest
from botocore.handlers import VALID_BUCKET
from botocore.model import StringShape
from dulwich.refs import Ref, check_ref_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import TypeAdapter, ValidationError
from tests.chart.test_values import SCHEMA

from ephemeral_endpoints.api.rules import VALIDATIONS
from ephemeral_endpoints.api.schema.crds import crds
from ephemeral_endpoints.api.v1alpha1 import (
    capture,
    comparison,
    endpoint_class,
    hosting,
    image_policy,
    image_types,
    model_data,
    network,
    packages,
    postprocessing,
    samples,
    serving,
    tags,
    types,
)
from ephemeral_endpoints.api.v1alpha1.duration import FORM
from ephemeral_endpoints.features.images.policy import platform_of
from ephemeral_endpoints.features.routing.forwarder import config
from ephemeral_endpoints.features.serving.desired import AsynchronousFolders

ASCII: Final = st.characters(max_codepoint=127)
AWS: Final = botocore.session.get_session()
PARTITIONS: Final = AWS.get_data("partitions")["partitions"]
REGIONS: Final = [region for each in PARTITIONS for region in each["regions"] if not region.endswith("-global")]

ACCOUNT: Final = "[0-9]{12}"
PARTITION: Final = "(" + "|".join(each["id"] for each in PARTITIONS) + ")"
REGION: Final = "(" + "|".join(REGIONS) + ")"
LABEL: Final = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"


def words(expression: str, least: int = 0, most: int = 10_000) -> SearchStrategy[str]:
    """The texts that a regular expression matches, in ASCII as AWS and Kubernetes mean it."""
    texts = st.from_regex(re.compile(expression, re.ASCII), fullmatch=True, alphabet=ASCII)
    return texts.filter(lambda text: least <= len(text) <= most)


def model(service: str, name: str) -> StringShape:
    """What botocore's model of a service says of a type of strings."""
    found = AWS.get_service_model(service).shape_for(name)
    assert isinstance(found, StringShape)
    return found


def shape(service: str, name: str) -> SearchStrategy[str]:
    """The values of a type of botocore's, or the texts of its pattern and its lengths."""
    found = model(service, name)
    if found.enum:
        return st.sampled_from(found.enum)
    # Java's \uXXXX and Python's are the same; a range over planes has no meaning in ASCII.
    return words(found.metadata["pattern"], found.metadata.get("min", 0), found.metadata["max"])


def joined(*parts: str | SearchStrategy[str]) -> SearchStrategy[str]:
    """The parts one after another."""
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


@dataclass(frozen=True)
class Refused:
    """What ours refuses on purpose although theirs accepts it: the texts that contain a match, such as ``example``."""

    expression: str
    example: str
    reason: str

    def covers(self, text: str) -> bool:
        return re.search(self.expression, text) is not None


@dataclass(frozen=True)
class Row:
    """A type of ours, texts that their rule accepts, and where that is written.

    ``such`` are texts at the edges of their rule. ``value`` is what a text becomes in the type, such as a map's key.
    """

    name: str
    ours: Any
    theirs: SearchStrategy[str]
    source: str
    but: tuple[Refused, ...] = ()
    such: tuple[str, ...] = ()
    value: Callable[[str], object] = field(default=str)

    def __str__(self) -> str:
        return self.name

    def accepts(self, text: str) -> bool:
        try:
            _adapter(self).validate_python(self.value(text))
        except ValidationError:
            return False
        return True


@cache
def _adapter(row: Row) -> TypeAdapter[Any]:
    return TypeAdapter(row.ours)


_KEY: Final = words(r"[A-Za-z0-9!_.*'()&$@=;:+ ,?/-]{0,200}")
_BUCKETS: Final = words(VALID_BUCKET.pattern.strip("^$"))
_NO_BUCKET: Final = (
    Refused("^s3://([._-]|[^/]*[._-](/|$))", "s3://-models/a.tar.gz", "S3 has never made such a bucket"),
    Refused("^s3://[^/]{0,2}(/|$)", "s3://ab/a.tar.gz", "a bucket's name has at least 3 characters"),
)
_STEPS: Final = Refused("/[.]{1,2}(/|$)", "s3://acme/../a.tar.gz", "S3 does not resolve segments, but people do")
_DIGEST: Final = "sha256:[0-9a-f]{64}"
_ECR_WORD: Final = r"[a-z0-9]{1,9}((\.|_|__|-{1,3})[a-z0-9]{1,9}){0,2}"
_ECR_NAME: Final = f"[a-z]{_ECR_WORD}(/{_ECR_WORD}){{0,3}}"  # as botocore's, but faster to draw
_ECR_HOST: Final = "|".join(
    rf"{ACCOUNT}\.dkr\.ecr(-fips)?\.{next(iter(each['regions']))}\.{re.escape(each['outputs']['dnsSuffix'])}"
    for each in PARTITIONS
)
_LONG_REPOSITORY: Final = Refused(
    "^.{192,}$", "a" * 192, "SageMaker takes images of 255 characters with registry and digest"
)
_SEGMENT: Final = "[a-zA-Z0-9_.][a-zA-Z0-9_.-]{0,40}"
_DOTS: Final = Refused("(^|/)[.]{1,2}(/|$)", "acme/..", "no service has such a repository, and URLs are resolved")

ROWS: Final = (
    Row(
        "className",
        types.DnsLabel,
        words(LABEL),
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names",
    ),
    Row(
        "ServiceAccount, Secret",
        types.DnsSubdomain,
        words(rf"{LABEL}(\.{LABEL})*", most=253),
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names",
        such=(".".join(["a" * 63] * 3 + ["a" * 61]),),
    ),
    Row(
        "SageMaker endpoint",
        postprocessing.SageMakerEndpointName,
        shape("sagemaker", "EndpointName"),
        "botocore: EndpointName of SageMaker",
    ),
    Row(
        "model package group",
        packages.PackageGroup,
        shape("sagemaker", "EntityName"),
        "botocore: EntityName of SageMaker",
    ),
    Row(
        "version of a model package",
        packages.PackageArn,
        joined(
            words(rf"arn:{PARTITION}:sagemaker:{REGION}:{ACCOUNT}:model-package/"),
            shape("sagemaker", "EntityName"),
            words("/[1-9][0-9]{0,8}"),
        ),
        "botocore: ModelPackageArn and VersionedArnOrName of SageMaker",
    ),
    Row(
        "delivery stream",
        capture.DeliveryStreamName,
        shape("firehose", "DeliveryStreamName"),
        "botocore: DeliveryStreamName of Firehose",
    ),
    Row(
        "Kinesis stream",
        capture.KinesisStreamName,
        shape("kinesis", "StreamName"),
        "botocore: StreamName of Kinesis Data Streams",
    ),
    Row(
        "duration",
        types.Duration,
        words("([0-9]{1,4}w)?([0-9]{1,4}d)?([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?(250ms)?|[0-9]{1,5}[.][0-9]h"),
        "https://gateway-api.sigs.k8s.io/geps/gep-2257/ and Prometheus's",
        (
            Refused("^$", "", "nothing is no duration"),
            Refused("ms", "250ms", "nothing in AWS is timed in milliseconds"),
            Refused("[.]", "1.5h", "two spellings of 1h30m"),
            Refused("^[^1-9]*$", "0h", "an endpoint would be gone at once"),
            Refused("[0-9]{3,}w|[0-9]{3,}d|[0-9]{4,}h|[0-9]{6}[ms]", "366d", "longer than a year"),
            Refused("^(5[2-9]|[6-9][0-9])w", "53w", "longer than a year"),
            Refused("[0-9]w.*[0-9]{2}d", "52w10d", "may be longer than a year"),
        ),
    ),
    Row(
        "repository: GitHub",
        types.Repository,
        words(r"[a-zA-Z0-9]([a-zA-Z0-9]|-[a-zA-Z0-9]){0,19}(_[a-z0-9]{3,8})?/[A-Za-z0-9._-]{1,100}"),
        "https://docs.github.com/en/enterprise-cloud@latest/admin/concepts/identity-and-access-management/usernames",
        (_DOTS,),
    ),
    Row(
        "repository: GitLab",
        types.Repository,
        words(f"{_SEGMENT}(/{_SEGMENT}){{1,20}}", most=512),
        "https://docs.gitlab.com/user/reserved_names/ and up to 20 levels of groups",
        (_DOTS,),
        such=("group/sub/project", "_g/.s/p-", "/".join(["group"] * 20 + ["project"])),
    ),
    Row(
        "repository: Bitbucket, sourcehut",
        types.Repository,
        words("~[a-zA-Z][a-zA-Z0-9_-]{0,30}/[a-z0-9][a-z0-9_.-]{0,60}"),
        "https://confluence.atlassian.com/bitbucketserver/personal-repositories-776639896.html",
    ),
    Row(
        "revision",
        types.Revision,
        words("[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-f]{4,64}"),
        "https://git-scm.com/docs/gitrevisions and https://git-scm.com/docs/hash-function-transition",
        (
            Refused("[A-F]", "A" * 40, "Git prints lower case, and tags of images and approvals are compared by text"),
            Refused("^.{4,6}$", "1f0c", "Git's shortest abbreviations become ambiguous soon; services show 7"),
        ),
    ),
    Row(
        "branch",
        types.BranchName,
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=256).filter(
            lambda name: check_ref_format(Ref(f"refs/heads/{name}".encode()))
        ),
        "https://git-scm.com/docs/git-check-ref-format",
        (
            Refused(
                "[\x80-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]",
                "main\u202etxt",
                "whoever opens a pull request names its branch, and people must see what they read",
            ),
        ),
        such=("a" * 256,),
    ),
    Row(
        "dataUrl",
        types.ModelDataUrl,
        joined(st.sampled_from(["s3://", "https://"]), _BUCKETS, "/", words(r"[ -~]{1,200}"), words(r"(\.tar\.gz)?")),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html",
        (
            Refused("^https:", "https://acme/a.tar.gz", "SageMaker reads S3 only, where its pattern takes https too"),
            Refused(r"(?<!\.tar\.gz)$", "s3://acme/a.zip", "SageMaker unpacks gzip-compressed tar archives only"),
            *_NO_BUCKET,
            _STEPS,
        ),
        such=("s3://Acme_Models/a b/c.tar.gz", f"s3://{'a' * 255}/a.tar.gz", "s3://acme--use1-az4--x-s3/a.tar.gz"),
    ),
    Row(
        "s3Uri",
        types.S3Prefix,
        joined("s3://", _BUCKETS, words("/?"), _KEY).filter(lambda uri: len(uri) <= 512),
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html",
        (
            *_NO_BUCKET,
            Refused("[&$;? ]", "s3://acme/a b", "S3 advises against them: they must be escaped in URLs"),
            Refused("//.*//|//$", "s3://acme/a//b", "a folder without a name"),
            _STEPS,
            Refused("^s3://[^/]*[!*'()@=:+,]", "s3://a=b", "no bucket's name has these characters"),
        ),
        such=("s3://Acme_Models", "s3://acme/team=nlp/year=2026/", "s3://acme/v1+2,3:4@5"),
    ),
    Row(
        "recordings",
        comparison.RecordingsPrefix,
        joined("s3://", _BUCKETS, words("/?"), _KEY).filter(lambda uri: len(uri) <= 512),
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html",
        (
            *_NO_BUCKET,
            Refused("[&$;? ]", "s3://acme/a b", "S3 advises against them: they must be escaped in URLs"),
            Refused("//.*//|//$", "s3://acme/a//b", "a folder without a name"),
            _STEPS,
            Refused("^s3://[^/]*[!*'()@=:+,]", "s3://a=b", "no bucket's name has these characters"),
        ),
        such=("s3://acme-recordings/{namespace}", "s3://acme-recordings/of-{namespace}/requests/"),
    ),
    Row(
        "pointer",
        comparison.Pointer,
        words("(/([^/~]|~[01]){0,20}){0,5}", most=256),
        "https://www.rfc-editor.org/rfc/rfc6901#section-3",
        (Refused("[\x00-\x1f\x7f]", "/a\nb", "people must see what they read"),),
        such=("", "/predictions/-/label", "/a~1b/~0c", "/möwe"),
    ),
    Row(
        "topic",
        types.TopicArn,
        shape("sagemaker", "SnsTopicArn"),
        "botocore",
        (
            Refused(r"\.", "arn:aws:sns:us-east-1:123456789012:a.fifo", "SageMaker notifies standard topics only"),
            Refused("::", "arn:aws:sns::123456789012:a", "a topic has a region"),
            Refused("[^:]{257}$", "arn:aws:sns:us-east-1:123456789012:" + "a" * 257, "SNS takes 256 characters"),
        ),
    ),
    Row("instance type", types.InstanceType, shape("sagemaker", "ProductionVariantInstanceType"), "botocore"),
    Row("allowed types", types.InstanceTypeGlob, shape("sagemaker", "ProductionVariantInstanceType"), "botocore"),
    Row(
        "price of an instance type",
        endpoint_class.Prices,
        shape("sagemaker", "ProductionVariantInstanceType"),
        "botocore",
        value=lambda text: {text: "0.115"},
    ),
    Row(
        "schedule",
        types.ScheduleExpression,
        words(
            r"at\(20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\)"
            r"|rate\((1 (minute|hour|day)|[1-9][0-9]{0,3} (minutes|hours|days))\)"
            r"|cron\([0-9*,/-]{1,5} [0-9*,/-]{1,5} [0-9*,/?LW-]{1,5} [0-9A-Z*,/-]{1,7} [0-9A-Z*,/?L#-]{1,7} "
            r"[0-9*,/-]{1,9}\)"
        ),
        "https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html",
    ),
    Row("time zone", types.TimeZone, st.sampled_from(sorted(zoneinfo.available_timezones())), "the IANA database"),
    Row("region", types.Region, st.sampled_from(REGIONS), "botocore"),
    Row(
        "region to come",
        types.Region,
        st.one_of(*(words(each["regionRegex"].strip("^$"), most=32) for each in PARTITIONS)),
        "botocore",
        (
            Refused("[A-Z_]", "us-EAST-1", "DNS names are lower case, and have no '_'"),
            Refused("-[^-]*[0-9][^-]*-", "us-e1st-1", "a direction has no digits"),
            Refused("[0-9]{3,}$", "us-east-100", "regions are few"),
        ),
    ),
    Row(
        "role: SageMaker",
        types.RoleArn,
        shape("sagemaker", "RoleArn"),
        "botocore",
        (
            Refused("role[^/]", "arn:aws:iam::123456789012:roleX", "IAM puts a '/' in front of the name"),
            Refused("/$", "arn:aws:iam::123456789012:role/a/", "a path without a name"),
            Refused("[^/]{65,}$", "arn:aws:iam::123456789012:role/" + "a" * 65, "IAM takes 64 characters"),
            Refused("^.{641,}$", "arn:aws:iam::123456789012:role" + "/a" * 306, "IAM's paths have 512 characters"),
        ),
    ),
    Row(
        "role: IAM",
        types.RoleArn,
        joined(words(f"arn:{PARTITION}:iam::{ACCOUNT}:role"), shape("iam", "pathType"), shape("iam", "roleNameType")),
        "botocore",
        such=(f"arn:aws-us-gov:iam::123456789012:role/{'p' * 510}/{'r' * 64}", "arn:aws-eusc:iam::123456789012:role/a"),
    ),
    Row(
        "environment",
        types.Environment,
        shape("sagemaker", "EnvironmentKey"),
        "botocore",
        value=lambda name: {name: "x"},
    ),
    Row(
        "environment's values",
        types.Environment,
        st.text(st.characters(exclude_categories=["Cs"]), max_size=250),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html",
        (Refused("\0", "a\0b", "no process can be given it"),),
        value=lambda value: {"A": value},
    ),
    Row(
        "allowed paths",
        types.RoutePathGlob,
        words("(/[A-Za-z0-9._~*?!$&'()+,;=:@%{}-]{0,20}){1,5}", least=1),
        "https://datatracker.ietf.org/doc/html/rfc3986#section-3.3",
        (
            Refused("[!$&'()+,;=:@%{}]", "/a%20b", "no path has them"),
            Refused("//|/$", "/a//b", "no path has empty segments"),
        ),
    ),
    Row(
        "api.path",
        types.RoutePath,
        words("(/[A-Za-z0-9._~!$&'()*+,;=:@%{}-]{0,20}){1,5}", least=1),
        "https://datatracker.ietf.org/doc/html/rfc3986#section-3.3",
        (
            Refused("[!$&'()*+,;=:@%{}]", "/a%20b", "API Gateway decodes and resolves them before it compares routes"),
            Refused("//|/$", "/a//b", "HTTP clients drop empty segments"),
            Refused("(^|/)[.]{1,2}(/|$)", "/a/../b", "HTTP clients resolve them"),
            Refused("^/s?ping$", "/ping", "API Gateway's own"),
        ),
    ),
    Row(
        "image",
        image_types.Image,
        joined(words(f"({_ECR_HOST})/"), words(_ECR_NAME), words(f":[A-Za-z0-9_][A-Za-z0-9._-]{{0,60}}|@{_DIGEST}")),
        "botocore and https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests",
    ),
    Row(
        "allowed repositories",
        image_types.ImageRepositoryGlob,
        joined(words(f"({_ECR_HOST})/"), words(_ECR_NAME)),
        "botocore",
        (
            Refused(
                "ecr-fips",
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/ml/*",
                "images are compared under the registry's first name, whichever name they are written with",
            ),
        ),
    ),
    Row(
        "copied image",
        image_types.ForeignImage,
        words(
            r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,10}[a-zA-Z0-9])?(\.[a-zA-Z0-9]{1,9}){1,3}(:[0-9]{1,4})?"
            rf"(/[a-z0-9]{{1,9}}((\.|_|__|-+)[a-z0-9]{{1,9}}){{0,2}}){{1,3}}(:\w[\w.-]{{0,20}})?(@{_DIGEST})?",
            most=255,
        ),
        "https://github.com/distribution/reference/blob/main/reference.go",
        (
            Refused("^[^/]*[A-Z]", "Quay.io/a:1", "host names are compared with the class's patterns by text"),
            Refused("^[^@]*/[^:@]*$", "quay.io/a", "what latest is, nobody can say later"),
        ),
    ),
    Row(
        "allowed sources",
        image_types.ForeignImageGlob,
        words(
            r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]{1,9}){1,3}(:[0-9]{1,4})?(/[a-z0-9]{1,9}([._-][a-z0-9]{1,9})?){1,3}"
        ),
        "https://github.com/distribution/reference/blob/main/reference.go",
    ),
    Row(
        "build.context, build.dockerfile",
        image_types.RepositoryPath,
        words("[!-~]{1,30}(/[!-~]{1,30}){0,3}", most=256),
        "https://git-scm.com/docs/git-ls-tree: any bytes but NUL",
        (
            Refused(r"[^A-Za-z0-9_.+/-]", "models/$(id)", "it becomes a word of the builder's command and URL"),
            Refused("(^|/)-", "-o", "programs take it for an option"),
            Refused(r"(^|/)\+", "+a", "programs may take it for an option"),
            Refused("//|^/|/$", "/models", "a path within the repository"),
            Refused("(^|/)[.][.]|(^|/)[.](/|$)", "a/../b", "out of the repository"),
        ),
    ),
    Row(
        "build.target",
        image_types.StageName,
        words("[A-Za-z][A-Za-z0-9_.-]{0,63}"),
        "https://docs.docker.com/reference/dockerfile/#from",
    ),
    Row(
        "build.arguments",
        image_types.BuildArguments,
        words("[A-Za-z_][A-Za-z0-9_]{0,127}"),
        "https://docs.docker.com/reference/dockerfile/#arg",
        (Refused("^MODEL_REVISION$", "MODEL_REVISION", "the operator sets it"),),
        value=lambda name: {name: "x"},
    ),
    Row(
        "secret's name",
        image_types.SecretId,
        words(r"[\w/+=.@-]{1,512}"),
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html",
        such=("s" * 512,),
    ),
    Row(
        "secret's ARN",
        image_types.SecretId,
        words(rf"arn:{PARTITION}:secretsmanager:{REGION}:{ACCOUNT}:secret:[\w/+=.@-]{{1,512}}-[A-Za-z0-9]{{6}}"),
        "https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html",
        such=(f"arn:aws-us-gov:secretsmanager:us-gov-west-1:123456789012:secret:{'s' * 512}-a1B2c3",),
    ),
    Row(
        "repository of ECR", image_types.EcrRepository, shape("ecr", "RepositoryName"), "botocore", (_LONG_REPOSITORY,)
    ),
    Row(
        "prefix of ECR",
        image_types.EcrPrefix,
        joined(words(_ECR_NAME), "/"),
        "botocore, with room for the name that the operator adds",
    ),
    Row(
        "key of KMS",
        image_types.KeyArn,
        words(
            rf"arn:{PARTITION}:kms:{REGION}:{ACCOUNT}:(key/(mrk-[0-9a-f]{{32}}|[0-9a-f-]{{36}})|alias/[\w/-]{{1,99}})"
        ),
        "https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id",
        (Refused(":alias/", "arn:aws:kms:us-east-1:123456789012:alias/a", "ECR answers with the key: drift for ever"),),
    ),
    Row(
        "project of CodeBuild",
        image_types.BuildProject,
        shape("codebuild", "ProjectName"),
        "botocore",
        such=("p" * 150,),
    ),
    Row(
        "gitUrl",
        image_types.GitUrl,
        words(
            rf"(https|ssh|git|http)://([a-z]{{1,5}}@)?{LABEL}(\.{LABEL}){{0,2}}(:[0-9]{{1,5}})?(/[\w.~-]{{1,20}}){{0,4}}/?"
        ),
        "https://git-scm.com/docs/git-clone#_git_urls",
        (
            Refused("^(ssh|git|http)://", "ssh://github.com", "builders fetch by HTTPS with a token"),
            Refused("@", "https://git@github.com", "who fetches is the builder's business; it hides the host"),
            Refused("/$", "https://github.com/", "the path of the repository follows after a '/'"),
        ),
    ),
    Row(
        "finding",
        image_policy.FindingId,
        words("CVE-[0-9]{4}-[0-9]{4,7}") | words("GHSA(-[23456789cfghjmpqrvwx]{4}){3}"),
        "https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning.html and the vendors it names",
        such=("RHSA-2026:1234", "ELSA-2026-1234", "ALAS2LIVEPATCH-2026-101", "SNYK-PYTHON-NUMPY-2321964", "USN-7001-1"),
    ),
    Row(
        "cpu",
        image_policy.CpuQuantity,
        words("[0-9]{1,4}([.][0-9]{1,3})?|[0-9]{1,6}m|[0-9]e[0-9]|[0-9]{1,3}k|[+-][0-9]"),
        "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/",
        (
            Refused("e|k", "1k", "nobody counts CPUs so"),
            Refused("[+-]", "-1", "an amount is not negative"),
        ),
    ),
    Row(
        "memory",
        image_policy.MemoryQuantity,
        words("[0-9]{1,5}([.][0-9]{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?|[0-9]{1,12}|[0-9]m|[0-9]e[0-9]|[+-][0-9]"),
        "https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/",
        (
            Refused("m|e|P", "1Pi", "no node has as much, and no program as little"),
            Refused("[+-]", "-1", "an amount is not negative"),
        ),
    ),
    Row(
        "queue",
        endpoint_class.QueueName,
        words(r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo"),
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html",
        (Refused(r"\.fifo$", "a.fifo", "EventBridge's rules need a message group for it"),),
    ),
    Row(
        "sample's media type",
        samples.MediaType,
        words(
            r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,20}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,40}"
            r"([ \t]{0,2};[ \t]{0,2}[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}="
            r"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}|\"([ !#-\[\]-~]|\\\\[ -~]){0,9}\")){0,2}",
            most=128,
        ),
        "https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1 and https://www.rfc-editor.org/rfc/rfc6838#section-4.2",
        (
            Refused('"', 'text/csv; header="absent"', "quotes are needed by no registered type that models take"),
            Refused("\t| {2}| ;", "text/csv;  header=absent", "one space says the same"),
            Refused("=.*['*%`|~]|;.*['*%`|~].*=", "text/csv; a=%", "registered types have no such parameters"),
        ),
        such=("text/csv; charset=utf-8", "application/vnd.acme.model+json;v=1"),
    ),
    Row(
        "folder of model data",
        types.ModelDataPrefix,
        joined("s3://", _BUCKETS, "/", _KEY.filter(lambda key: not key.endswith("/")), st.sampled_from(["", "/"])),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html",
        (
            *_NO_BUCKET,
            Refused("[^/]$", "s3://acme-models/a", "a valid prefix ends with a slash"),
            Refused("//$", "s3://acme-models/a//", "SageMaker refuses files with an empty name"),
            _STEPS,
        ),
        such=("s3://acme-models/", "s3://acme-models/möwe/"),
    ),
    Row(
        "additional data",
        model_data.ChannelName,
        shape("sagemaker", "AdditionalModelChannelName"),
        "botocore",
        (Refused("^[.]", "..", "it is a folder"),),
    ),
    Row(
        "variable",
        types.VariableName,
        shape("sagemaker", "EnvironmentKey"),
        "botocore",
        such=("a" * 1024,),
    ),
    Row(
        "key of a ConfigMap",
        model_data.ConfigMapKey,
        words("[-._a-zA-Z0-9]+", most=253),
        "https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object",
        such=("k" * 253,),
    ),
    Row("machine image", hosting.AmiVersion, shape("sagemaker", "ProductionVariantInferenceAmiVersion"), "botocore"),
    Row(
        "subnet",
        network.SubnetId,
        words("subnet-([0-9a-f]{8}|[0-9a-f]{17})"),
        "https://docs.aws.amazon.com/vpc/latest/userguide/what-is-amazon-vpc.html",
    ),
    Row(
        "security group",
        network.SecurityGroupId,
        words("sg-([0-9a-f]{8}|[0-9a-f]{17})"),
        "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-security-groups.html",
    ),
    Row(
        "key of a tag",
        tags.UserTags,
        words(r"[\w .:/=+@-]{1,128}"),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html",
        (
            Refused("(?i)^aws:", "aws:team", "AWS reserves it"),
            Refused("(?i)^ephemeral-endpoints[.]io/", "ephemeral-endpoints.io/uid", "the proof of ownership"),
            Refused("(?i)^(createdat|environment|managedby|pr_number)$", "managedby", "an owner tag"),
        ),
        such=("Kostenstelle für Modelle", "t" * 128),
        value=lambda text: {text: ""},
    ),
    Row(
        "value of a tag",
        tags.UserTags,
        words(r"[\w .:/=+@-]{0,256}"),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html",
        such=("v" * 256,),
        value=lambda text: {"Team": text},
    ),
    Row(
        "value of a class's tag",
        tags.TagTemplates,
        words(r"([\w .:/=+@-]|\{name\}){0,30}"),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html",
        such=("{namespace}/{pullRequest}",),
        value=lambda text: {"Team": text},
    ),
    Row(
        "allowed key of a tag",
        tags.TagKeyGlob,
        words(r"[\w .:/=+@*?-]{1,128}"),
        "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html",
    ),
    Row("external ID", endpoint_class.ExternalId, shape("sts", "externalIdType"), "botocore"),
)

ABOUT: Final = config.About("nlp", "pr-42", "0" * 40, "acme/wine")
OURS: Final = {
    "ModelPromotion.spec.version": "a group of packages and a version of it, written as the end of their ARN",
    "ModelStage": "the name is that of its endpoint",
    "ModelStage.spec.freeze.days.from": "a day of the calendar",
    "ModelStage.spec.freeze.days.to": "a day of the calendar",
    "ModelStage.spec.freeze.hours": "days and times of our own notation",
    "ModelStage.spec.timeout": "our own patience",
    "EphemeralEndpoint.spec.api.playground.answer.image": "a JSON pointer of RFC 6901, which is no service's",
    "EphemeralEndpoint.spec.api.playground.answer.label": "a JSON pointer of RFC 6901, which is no service's",
    "EphemeralEndpoint.spec.api.playground.answer.score": "a JSON pointer of RFC 6901, which is no service's",
    "EphemeralEndpoint.spec.api.playground.answer.text": "a JSON pointer of RFC 6901, which is no service's",
    "EphemeralEndpoint.spec.api.auth.jwt.claims": "claims of any issuer, with patterns of our own",
    "EphemeralEndpoint.spec.api.cors.allowHeaders": "the name of an HTTP header, narrower than a token of RFC 9110",
    "EphemeralEndpoint.spec.api.cors.allowOrigins": "an origin of the Fetch standard, or *",
    "EphemeralEndpoint.spec.api.postprocess.input": "a JSON pointer of RFC 6901, which is no service's",
    "EphemeralEndpoint.spec.api.postprocess.member": "a plain name of a member in the request of another model",
    "EphemeralEndpoint.spec.api.sticky.header": "the name of an HTTP header, narrower than a token of RFC 9110",
    "EphemeralEndpoint.spec.checks.expect.values.pointer": "a JSON pointer of RFC 6901, which is no service's",
    "EphemeralEndpoint.spec.checks.load": "multiplies a rate by a duration, which has a rule of its own",
    "EphemeralEndpoint.spec.checks.load.duration": "bounds a duration, which has a rule of its own",
    "EphemeralEndpoint.spec.model.training.data.revision": "a word that people choose, in tags and variables",
    "EphemeralEndpoint.spec.model.training.gate.atLeast": "a decimal number without an exponent, NaN or infinity",
    "EphemeralEndpoint.spec.model.training.gate.metric": "names of members, narrower than JSONPath",
    "EphemeralEndpoint.spec.model.training.hyperparameters": "names of the pipeline's parameters, but none of ours",
    "EphemeralEndpoint.spec.model.training.resources": "compares durations, which have a rule of their own",
    "EphemeralEndpoint.spec.model.training.resources.maxRuntime": "bounds a duration, which has a rule of its own",
    "EphemeralEndpoint.spec.model.training.resources.spot.maxWait": "bounds a duration, which has a rule of its own",
    "EphemeralEndpoint.spec.serving.instances": "asks whether a valid type is burstable, or has disks of its own",
    "EphemeralEndpoint.spec.serving.rollout": "adds up durations, which have a rule of their own",
    "EphemeralEndpoint.spec.sleep.idleTimeout": "bounds a duration, which has a rule of its own",
    "EphemeralEndpoint.spec.sleep.schedule.awake": "days and hours in a form of our own",
    "EphemeralEndpointClass": "className must be able to name a class, and is a DNS label",
    "EphemeralEndpointClass.spec.builds.allowedFrontends": "patterns of our own that a shell compares",
    **dict.fromkeys(
        (
            "EphemeralEndpoint.spec.lifecycle.budgetUSD",
            *(
                f"EphemeralEndpointClass.spec.budgets.{each}USD"
                for each in ("object", "repository", "namespace", "class")
            ),
        ),
        "an amount of money in a form of our own",
    ),
    "EphemeralEndpointClass.spec.builds.codeBuild.pricePerMinute": "an amount of money in a form of our own",
    "EphemeralEndpointClass.spec.builds.secrets": "the names by which objects ask for a class's secrets",
    "EphemeralEndpointClass.spec.lifecycle": "compares durations, which have a rule of their own",
    "EphemeralEndpointClass.spec.notifications.expiringBefore": "bounds a duration, which has a rule of its own",
    "EphemeralEndpointClass.spec.packages.groups": "patterns of our own over names of groups",
    "EphemeralEndpointClass.spec.parameters.prefix": "levels of names of SSM, whose model has no rule for them",
    "EphemeralEndpointClass.spec.reviews.closeGrace": "bounds a duration, which has a rule of its own",
    "EphemeralEndpointClass.spec.reviews.context": "narrower than what GitHub takes, which is any text",
    "EphemeralEndpointClass.spec.reviews.environment": "narrower than what GitHub takes, which is any text",
    "EphemeralEndpointClass.spec.reviews.repositories.namespaces": "patterns of our own over names of namespaces",
    "EphemeralEndpointClass.spec.reviews.repositories.repository": "patterns of our own over paths of repositories",
    "EphemeralEndpointClass.spec.reviews.url": "the URL of a forge without a path: credentials are sent there",
    "EphemeralEndpointClass.spec.routing.auth.jwt.audiences": "narrower than a claim aud, which is any text",
    "EphemeralEndpointClass.spec.routing.auth.jwt.claims": "claims of any issuer, with patterns of our own",
    "EphemeralEndpointClass.spec.routing.auth.jwt.issuer": "a URL as of OpenID Connect, or one of this machine",
    "EphemeralEndpointClass.spec.routing.domain.basePath": "segments of a path, narrower than API Gateway's keys",
    "EphemeralEndpointClass.spec.routing.domain.name": "a DNS name, for which the model of API Gateway has no rule",
    "EphemeralEndpointClass.spec.sleep.idleTimeout": "bounds a duration, which has a rule of its own",
    "EphemeralEndpointClass.spec.sleep.schedule.awake": "days and hours in a form of our own",
    "EphemeralEndpointClass.spec.training.maxRuntime": "bounds a duration, which has a rule of its own",
}
"""The places of rules with an expression that no service has a rule for, and why."""


@pytest.mark.parametrize("row", ROWS, ids=str)
@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=30)
@given(data=st.data())
def test_what_they_accept_is_accepted(row: Row, data: st.DataObject) -> None:
    text = data.draw(row.theirs)
    assert row.accepts(text) or any(each.covers(text) for each in row.but), f"{row.source}: {text!r}"


@pytest.mark.parametrize(
    ("row", "text"), [pytest.param(row, text, id=f"{row}: {text[:40]}") for row in ROWS for text in row.such]
)
def test_what_they_just_accept_is_accepted(row: Row, text: str) -> None:
    assert row.accepts(text)


@pytest.mark.parametrize(
    ("row", "but"), [pytest.param(row, but, id=f"{row}: {but.reason}") for row in ROWS for but in row.but]
)
def test_an_exception_is_one(row: Row, but: Refused) -> None:
    assert but.covers(but.example)
    assert not row.accepts(but.example)


def _expressions(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a tree
    """The rules with a regular expression in a schema, with their places."""
    for each in schema.get(VALIDATIONS, []):
        if ".matches(" in each["rule"]:
            yield path, each["rule"]
    for name, part in schema.get("properties", {}).items():
        yield from _expressions(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _expressions(schema[key], path)


def test_every_expression_of_the_crds_has_a_row() -> None:
    bounded = (
        types.UpToAnHour,
        types.AtLeastADay,
        types.AtLeastAnHour,
        types.AtLeastAMinute,
        types.BuildTimeout,
        hosting.StartTimeout,
        hosting.CapacityTimeout,
    )
    schemas = [TypeAdapter(ours).json_schema() for ours in (*bounded, *(row.ours for row in ROWS))]
    known = {rule for schema in schemas for _, rule in _expressions(schema)}
    found = [
        # The endpoint of a stage has fields of an object.
        place.replace("ModelStage.spec.template.spec.", "EphemeralEndpoint.spec.")
        for crd in crds()
        for place, rule in _expressions(
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"], crd["spec"]["names"]["kind"]
        )
        if rule not in known
    ]
    assert sorted(set(found)) == sorted(OURS)


def test_every_expression_of_the_forwarders_configuration_has_a_test() -> None:
    known = {"_NAME", "_SHA256_HEX", "_REGION", "_FOLDER"}
    assert {name for name, value in vars(config).items() if isinstance(value, re.Pattern)} == known


@given(shape("sagemaker", "EndpointName"), shape("sagemaker", "VariantName"), st.sampled_from(REGIONS))
def test_the_forwarder_takes_every_name_and_region(endpoint: str, variant: str, region: str) -> None:
    made = config.ForwarderConfig((config.Variant(variant, endpoint, 1),), "0" * 64, 1, region, ABOUT, "/p")
    assert config.ForwarderConfig.from_json(made.to_json()) == made


@given(words(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,60}[A-Za-z0-9](/[A-Za-z0-9!_.*'()=+,:@-]{1,20}){0,4}/?"))
def test_the_forwarder_takes_the_folders_of_every_queue(s3_uri: str) -> None:
    if Row("", types.S3Prefix, st.nothing(), "").accepts(s3_uri):
        folders = AsynchronousFolders.below(s3_uri, "eep-c1-wine-0123456789")
        made = config.AsyncConfig(folders.requests, folders.results, folders.failures)
        assert made.failures == folders.failures


def test_the_longest_queue_leaves_room_for_the_names_below_it() -> None:
    longest = TypeAdapter(serving.Asynchronous).json_schema()["properties"]["s3Uri"]["maxLength"]
    folders = AsynchronousFolders.below("s3://acme/".ljust(longest, "a"), "e" * 63)
    limit = model("sagemaker", "DestinationS3Uri").metadata["max"]
    assert max(len(folders.results), len(folders.failures)) - len("/") == limit


def test_the_platform_of_every_instance_type_is_known() -> None:
    """By the families that AWS documents as Arm: a new one of botocore's has to be looked up."""
    families = {
        kind.split(".")[1]
        for kind in model("sagemaker", "ProductionVariantInstanceType").enum
        if platform_of(serving.Serving(instances=serving.Instances(type=kind))) == "linux/arm64"
    }
    assert families == {
        *("c6g", "c6gd", "c6gn", "c7g", "c8g", "m6g", "m6gd", "m8g", "p6e-gb200", "r6g", "r6gd", "r7gd", "r8g")
    }


@pytest.mark.parametrize(
    ("place", "expression"),
    [
        pytest.param(("$defs", "duration"), FORM, id="durations"),
        pytest.param(
            ("properties", "aws", "properties", "region"), "([a-z]{2,4}(-[a-z]+){1,2}-[0-9]{1,2})?", id="regions"
        ),
    ],
)
def test_the_charts_values_are_judged_alike(place: tuple[str, ...], expression: str) -> None:
    schema = SCHEMA
    for name in place:
        schema = schema[name]
    assert schema["pattern"] == f"^{expression}$"
