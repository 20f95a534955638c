"""Where a model's data and its environment come from, beside the archive and the plain values."""

from typing import Annotated, ClassVar

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule, matches
from ephemeral_endpoints.api.v1alpha1.base import ApiModel
from ephemeral_endpoints.api.v1alpha1.types import DnsSubdomain, ModelDataPrefix, ModelDataUrl, VariableName

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AdditionalModelDataSource.html
ChannelName = Annotated[
    str,
    Field(max_length=64),
    matches("[A-Za-z0-9_-][A-Za-z0-9._-]*", "must be at most 64 letters, digits and '.', '_', '-', and no '.' first"),
]

# https://kubernetes.io/docs/concepts/configuration/configmap/#configmap-object
ConfigMapKey = Annotated[
    str,
    Field(max_length=253),
    matches("[A-Za-z0-9._-]+", "must be the key of a ConfigMap: letters, digits, '-', '_' and '.'"),
]


class ModelData(ApiModel):
    """Files of a model in S3."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!(has(self.dataUrl) && has(self.s3Prefix))",
            message="set only one of dataUrl, for an archive, and s3Prefix, for a folder",
            holds=lambda data: data.data_url is None or data.s3_prefix is None,
        ),
        Rule(
            cel="!self.acceptEula || has(self.dataUrl) || has(self.s3Prefix)",
            message="acceptEula needs dataUrl or s3Prefix: it is about the license of that data",
            holds=lambda data: not data.accept_eula or bool(data.data_url or data.s3_prefix),
        ),
    )

    data_url: ModelDataUrl | None = None
    """S3 URL of the model's archive, s3://<bucket>/<key>.tar.gz, in the region of the class; it is unpacked into
    /opt/ml/model. Absent, and no s3Prefix: the image contains its model."""

    s3_prefix: ModelDataPrefix | None = None
    """S3 URL of a folder, s3://<bucket>/<prefix>/ with a / at the end, in the region of the class, whose objects
    SageMaker places in /opt/ml/model as they are: no archive has to be unpacked. Needs serving.instances."""

    accept_eula: bool = False
    """Whether you accept the end user license agreement that the provider of the data attached to it, such as that of a
    gated foundation model. Needs serving.instances. Default false."""

    @property
    def is_source(self) -> bool:
        """Whether SageMaker takes it as a ModelDataSource only, which serverless endpoints do not support."""
        return self.s3_prefix is not None or self.accept_eula


class AdditionalData(ModelData):
    """Further files of a model in S3."""

    rules: ClassVar[tuple[Rule, ...]] = (
        *ModelData.rules,
        Rule(
            cel="has(self.dataUrl) || has(self.s3Prefix)",
            message="set one of dataUrl and s3Prefix",
            holds=lambda data: bool(data.data_url or data.s3_prefix),
        ),
    )

    name: ChannelName
    """Name of the data, at most 64 characters; it must be unique. The files are in
    /opt/ml/additional-model-data-sources/<name>."""


class ConfigMapKeyRef(ApiModel):
    """A value in a ConfigMap of the object's namespace."""

    name: DnsSubdomain
    """Name of the ConfigMap."""

    key: ConfigMapKey
    """Key in its data."""


class EnvironmentSource(ApiModel):
    """An environment variable whose value is elsewhere."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.configMapKeyRef)",
            message="configMapKeyRef is required. Secrets cannot be referenced, because DescribeModel shows the "
            "environment of a model: pass the ARN of a secret in AWS Secrets Manager, and have the model server read "
            "it with the execution role",
            holds=lambda source: source.config_map_key_ref is not None,
        ),
    )

    name: VariableName
    """Name of the variable."""

    config_map_key_ref: ConfigMapKeyRef | None = None
    """The value: a key of a ConfigMap in the object's namespace. A change of it makes a new revision of the model. It
    is waited for until it exists. Required."""


EnvironmentFrom = Annotated[
    tuple[EnvironmentSource, ...],
    Field(
        max_length=50,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    ),
]
"""Variables whose values are elsewhere, each name once."""
