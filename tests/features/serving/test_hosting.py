"""How models are hosted: what a class sets, what an object chooses, and what that changes in AWS."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from tests.engine.objects import ACCOUNT, merged, resolved, subject

from ephemeral_endpoints.engine.resources import DesiredResource, ResourceKind
from ephemeral_endpoints.engine.tags import ACTIVE_TAGS
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP
from ephemeral_endpoints.features.serving.hosting import longest_start
from ephemeral_endpoints.features.serving.policy import refusal
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    SCALABLE_TARGET,
    DataSpec,
    EndpointConfigSpec,
    InstanceSpec,
    ModelSpec,
    VpcSpec,
)

ON_INSTANCES: Mapping[str, Any] = {"serving": {"instances": {"type": "ml.m5.large"}}}
GROUPS, SUBNETS = ["sg-0000000a", "sg-0000000b"], ["subnet-0000000a", "subnet-0000000b"]
IN_VPC: Mapping[str, Any] = {"network": {"vpc": {"securityGroupIds": GROUPS, "subnetIds": SUBNETS}}}
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/0a1b2c3d"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/gated"
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:previews"


def by_kind(
    spec: Mapping[str, Any],
    endpoint_class: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[ResourceKind, list[DesiredResource]]:
    """What is wanted of an object on instances with another spec in parts."""
    found_out = resolved()
    found_out = type(found_out)(
        found_out.digests, found_out.token_sha256, found_out.api, owns_path=True, environment=environment or {}
    )
    state = desired(subject(merged(ON_INSTANCES, spec), endpoint_class), found_out)
    assert not state.keep_kinds
    found: dict[ResourceKind, list[DesiredResource]] = {}
    for resource in state.resources:
        found.setdefault(resource.key.kind, []).append(resource)
    return found


def model(*changes: Mapping[str, Any], **more: Any) -> ModelSpec:  # noqa: ANN401 - of `by_kind`
    [resource] = by_kind(*changes, **more)[MODEL]
    assert isinstance(resource.spec, ModelSpec)
    return resource.spec


def config(*changes: Mapping[str, Any]) -> EndpointConfigSpec:
    [resource] = by_kind(*changes)[ENDPOINT_CONFIG]
    assert isinstance(resource.spec, EndpointConfigSpec)
    return resource.spec


def capacity(*changes: Mapping[str, Any]) -> InstanceSpec:
    [variant] = config(*changes).variants
    assert isinstance(variant.capacity, InstanceSpec)
    return variant.capacity


def test_what_was_made_before_these_settings_existed_keeps_its_names() -> None:
    """Or an upgrade of the operator would replace every endpoint."""
    queued = {"serving": {"asynchronous": {"s3Uri": "s3://bucket/c"}, "instances": {"count": 2}}}
    given = {**queued, "capture": {"s3Uri": "s3://bucket/c"}, "model": {"dataUrl": "s3://bucket/m.tar.gz"}}
    found = by_kind(given)
    assert [each.key.name for each in found[MODEL]] == ["eep-c1-pr-42-iko7rjeflo-gy6fok-d5k5le4ifweplyukm4kes6yxyp"]
    assert [each.key.name for each in found[ENDPOINT_CONFIG]] == [
        "eep-c1-pr-42-iko7rjeflo-gy6fok-2wvodljzxg2on6ggiztzw3biqm"
    ]
    serverless = desired(subject(), resolved())
    assert [each.key.name for each in serverless.resources if each.key.kind.content_named] == [
        "eep-c1-pr-42-iko7rjeflo-ypxjyg-ggqfd35o4elmqtkjbcvbjiioge",
        "eep-c1-pr-42-iko7rjeflo-ypxjyg-4uk5dxmnvviorbin2vqxssbokq",
    ]


def instances(**chosen: object) -> dict[str, Any]:
    return {"serving": {"instances": chosen}}


@pytest.mark.parametrize(
    ("spec", "endpoint_class", "renamed"),
    [
        pytest.param(instances(startupTimeout="10m"), {}, {ENDPOINT_CONFIG}, id="time to start"),
        pytest.param(instances(modelDownloadTimeout="10m"), {}, {ENDPOINT_CONFIG}, id="time to download"),
        pytest.param(instances(volumeSizeGB=64), {}, {ENDPOINT_CONFIG}, id="volume"),
        pytest.param(
            instances(amiVersion="al2-ami-sagemaker-inference-gpu-2"), {}, {ENDPOINT_CONFIG}, id="machine image"
        ),
        pytest.param(instances(routingStrategy="Random"), {}, {ENDPOINT_CONFIG}, id="routing"),
        pytest.param(instances(capacityTimeout="5m"), {}, {ENDPOINT_CONFIG}, id="time to find capacity"),
        pytest.param(instances(fallbackTypes=["ml.m6i.large"]), {}, {ENDPOINT_CONFIG}, id="other types"),
        pytest.param({"model": {"s3Prefix": "s3://bucket/m/"}}, {}, {MODEL, ENDPOINT_CONFIG}, id="a folder of data"),
        pytest.param(
            {"model": {"dataUrl": "s3://bucket/m.tar.gz", "acceptEula": True}},
            {},
            {MODEL, ENDPOINT_CONFIG},
            id="an agreement",
        ),
        pytest.param(
            {"model": {"additionalData": [{"name": "a", "s3Prefix": "s3://bucket/a/"}]}},
            {},
            {MODEL, ENDPOINT_CONFIG},
            id="additional data",
        ),
        pytest.param({}, IN_VPC, {MODEL, ENDPOINT_CONFIG}, id="the class's VPC"),
        pytest.param({"serving": {"network": {"isolation": True}}}, {}, {MODEL, ENDPOINT_CONFIG}, id="isolation"),
        pytest.param(
            {"serving": {"executionRoleArn": ROLE}},
            {"allowedExecutionRoleArns": [ROLE]},
            {MODEL, ENDPOINT_CONFIG},
            id="another role",
        ),
        pytest.param({}, {"encryption": {"volumeKeyArn": KEY}}, {ENDPOINT_CONFIG}, id="the key of volumes"),
        pytest.param({}, {"encryption": {"captureKeyArn": KEY}}, set(), id="a key for what is not captured"),
        pytest.param({}, {"encryption": {"resultKeyArn": KEY}}, set(), id="a key for what is not queued"),
        pytest.param({"tags": {"Team": "a"}}, {"tags": {"allowedKeys": ["*"]}}, set(), id="tags are no content"),
    ],
)
def test_a_changed_value_is_a_new_resource_of_the_kinds_that_it_concerns(
    spec: Mapping[str, Any], endpoint_class: Mapping[str, Any], renamed: set[ResourceKind]
) -> None:
    before, after = by_kind({}), by_kind(spec, endpoint_class)
    changed = {kind for kind in before if {r.key for r in before[kind]} != {r.key for r in after[kind]}}
    assert changed == renamed
    # The endpoint keeps its name and is updated to the new configuration.
    assert (before[ENDPOINT][0].spec == after[ENDPOINT][0].spec) is not bool(renamed)


def test_keys_reach_what_they_encrypt() -> None:
    every = {"encryption": {"volumeKeyArn": KEY, "captureKeyArn": f"{KEY}1", "resultKeyArn": f"{KEY}2"}}
    given = {"capture": {"s3Uri": "s3://bucket/c"}, "serving": {"asynchronous": {"s3Uri": "s3://bucket/q"}}}
    found = config(given, every)
    assert found.capture
    assert found.asynchronous
    assert (found.volume_key_arn, found.capture.key_arn, found.asynchronous.key_arn) == (KEY, f"{KEY}1", f"{KEY}2")


def test_an_objects_settings_take_precedence_over_its_classs() -> None:
    defaults = {"startupTimeout": "10m", "volumeSizeGB": 64, "routingStrategy": "Random"}
    found = capacity(instances(startupTimeout="20m"), {"instances": {"defaults": defaults}})
    assert found == InstanceSpec("ml.m5.large", 1, startup_timeout=1200, volume_size_gb=64, routing=found.routing)
    assert found.routing == "Random"


@pytest.mark.parametrize(
    ("chosen", "size"),
    [
        ({"type": "ml.m5.large"}, 64),
        ({"type": "ml.m5d.large"}, None),
        ({"type": "ml.g5.xlarge"}, None),
        ({"type": "ml.m5.large", "fallbackTypes": ["ml.g4dn.xlarge"]}, None),
        ({"type": "ml.m5.large", "fallbackTypes": ["ml.m6i.large"], "volumeSizeGB": 32}, 32),
    ],
)
def test_the_classs_volume_is_for_types_without_disks_of_their_own(chosen: dict[str, Any], size: int | None) -> None:
    assert capacity(instances(**chosen), {"instances": {"defaults": {"volumeSizeGB": 64}}}).volume_size_gb == size


def test_the_time_that_a_start_may_take_is_the_sum_of_its_parts() -> None:
    given = instances(startupTimeout="20m", modelDownloadTimeout="30m", type="ml.m5.large")
    assert longest_start(subject(given)) == timedelta(minutes=50)
    assert longest_start(subject(given, {"instances": {"defaults": {"capacityTimeout": "1h"}}})) == timedelta(
        minutes=110
    )
    assert longest_start(subject()) == timedelta(0)


def test_autoscaling_ends_before_any_of_the_types_changes() -> None:
    """SageMaker refuses a change of the instance type of a registered variant."""
    scaling = {"autoscaling": {"maxCount": 2, "invocationsPerInstance": 9}}
    [plain], [more] = (
        by_kind(instances(**scaling, **types))[SCALABLE_TARGET] for types in ({}, {"fallbackTypes": ["ml.m6i.large"]})
    )
    assert plain.key == more.key
    assert not plain.spec.can_become(more.spec)


def test_an_archive_of_serverless_endpoints_is_a_plain_url() -> None:
    url = "s3://bucket/m.tar.gz"
    assert (model({"model": {"dataUrl": url}}).data_url, model({"model": {"dataUrl": url}}).data_source) == (url, None)


def test_data_that_a_plain_url_cannot_express_is_a_source() -> None:
    folder = model({"model": {"s3Prefix": "s3://bucket/m/"}})
    assert (folder.data_url, folder.data_source) == (None, DataSpec("s3://bucket/m/"))
    gated = model({"model": {"dataUrl": "s3://bucket/m.tar.gz", "acceptEula": True}})
    assert (gated.data_url, gated.data_source) == (None, DataSpec("s3://bucket/m.tar.gz", accepts_eula=True))
    assert (gated.data_source and gated.data_source.is_folder, DataSpec("s3://bucket/m/").is_folder) == (False, True)


def test_a_variant_replaces_the_data_of_the_model_whichever_form_either_has() -> None:
    variants = [
        {"name": "a"},
        {"name": "b", "model": {"dataUrl": "s3://bucket/b.tar.gz"}},
        {"name": "c", "model": {"s3Prefix": "s3://bucket/c/"}},
    ]
    found = by_kind({"model": {"s3Prefix": "s3://bucket/m/"}, "serving": {"variants": variants}})[MODEL]
    specs = [each.spec for each in found if isinstance(each.spec, ModelSpec)]
    assert [(each.data_url, each.data_source) for each in specs] == [
        (None, DataSpec("s3://bucket/m/")),
        ("s3://bucket/b.tar.gz", None),
        (None, DataSpec("s3://bucket/c/")),
    ]


def test_variables_from_elsewhere_yield_to_those_of_the_object() -> None:
    given = {"model": {"environment": {"A": "object", "B": "object"}}}
    found = model(given, environment={"A": "elsewhere", "C": "elsewhere"})
    assert found.environment == (("A", "object"), ("B", "object"), ("C", "elsewhere"))


def test_while_a_variable_is_not_known_what_serves_goes_on() -> None:
    found_out = resolved()
    unknown = type(found_out)(
        found_out.digests, found_out.token_sha256, found_out.api, owns_path=True, environment=None
    )
    state = desired(subject(), unknown)
    assert {MODEL, ENDPOINT_CONFIG, ENDPOINT} <= state.keep_kinds
    assert not {MODEL, ENDPOINT_CONFIG, ENDPOINT} & {resource.key.kind for resource in state.resources}


@pytest.mark.parametrize(
    ("network", "vpc"),
    [
        ({}, VpcSpec(tuple(GROUPS), tuple(SUBNETS))),
        ({"subnetIds": SUBNETS[:1]}, VpcSpec(tuple(GROUPS), tuple(SUBNETS[:1]))),
        ({"securityGroupIds": GROUPS[1:]}, VpcSpec(tuple(GROUPS[1:]), tuple(SUBNETS))),
    ],
    ids=["the class's", "fewer subnets", "fewer groups"],
)
def test_an_object_narrows_the_network_of_its_class(network: dict[str, Any], vpc: VpcSpec) -> None:
    found = model({"serving": {"network": network}}, IN_VPC)
    assert (found.vpc, found.isolated) == (vpc, False)


def test_an_object_cannot_end_the_isolation_that_its_class_demands() -> None:
    assert model({"serving": {"network": {"isolation": False}}}, {"network": {"isolation": True}}).isolated


@pytest.mark.parametrize(
    ("spec", "endpoint_class", "message"),
    [
        pytest.param({"serving": {}}, {}, None, id="serverless in a class without a network"),
        pytest.param(
            {"serving": {}},
            IN_VPC,
            "the class connects models to a VPC, which SageMaker does not support for serverless endpoints: "
            "set spec.serving.instances",
            id="serverless in a VPC",
        ),
        pytest.param(
            {"serving": {}},
            {"network": {"isolation": True}},
            "the class isolates models from the network, which SageMaker does not support for serverless endpoints: "
            "set spec.serving.instances",
            id="serverless isolated",
        ),
        pytest.param(ON_INSTANCES, IN_VPC, None, id="instances in a VPC"),
        pytest.param(
            merged(ON_INSTANCES, {"serving": {"network": {"subnetIds": ["subnet-0000000c"]}}}),
            IN_VPC,
            "the class does not allow subnet-0000000c in spec.serving.network.subnetIds: use some of subnet-0000000a, "
            "subnet-0000000b",
            id="a subnet of nobody",
        ),
        pytest.param(
            merged(ON_INSTANCES, {"serving": {"network": {"securityGroupIds": ["sg-0000000a"]}}}),
            {},
            "the class does not allow sg-0000000a in spec.serving.network.securityGroupIds: the class has no VPC: "
            "remove it",
            id="a group without a VPC",
        ),
        pytest.param(
            merged(ON_INSTANCES, instances(fallbackTypes=["ml.p5.48xlarge"])),
            {"instances": {"allowedTypes": ["ml.m5.*"]}},
            "the class does not allow ml.p5.48xlarge: use one of ml.m5.*",
            id="another type that is not allowed",
        ),
        pytest.param(
            merged(ON_INSTANCES, instances(volumeSizeGB=65)),
            {"instances": {"maxVolumeSizeGB": 64}},
            "volumeSizeGB is 65, but the class allows 64: reduce it",
            id="a large volume",
        ),
        pytest.param(
            {"serving": {"executionRoleArn": ROLE}},
            {},
            f"the class does not allow the execution role {ROLE}: use one of arn:aws:iam::{ACCOUNT}:role/model",
            id="a role that is not listed",
        ),
        pytest.param(
            {"serving": {"executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/model"}}, {}, None, id="the class's own role"
        ),
        pytest.param(
            {"tags": {"Team": "nlp"}},
            {},
            "the class does not allow the tag Team: it allows none: remove spec.tags",
            id="tags",
        ),
        pytest.param(
            {"tags": {"cost-center": "1", "Team": "nlp"}},
            {"tags": {"allowedKeys": ["cost-*", "site"]}},
            "the class does not allow the tag Team: use cost-*, site",
            id="other tags",
        ),
        pytest.param({"tags": {"cost-center": "1"}}, {"tags": {"allowedKeys": ["cost-*"]}}, None, id="tags that match"),
    ],
)
def test_what_a_class_does_not_allow(
    spec: Mapping[str, Any], endpoint_class: Mapping[str, Any], message: str | None
) -> None:
    refused = refusal(subject(spec, endpoint_class))
    assert (refused.message if refused else None) == message


def tags_of(resource: DesiredResource) -> dict[str, str]:
    spec: Any = resource.spec
    return dict(getattr(spec, "tags", ()))


def test_everything_that_takes_tags_has_those_of_its_class_and_its_object() -> None:
    policy = {"tags": {"values": {"CostCenter": "{namespace}", "Team": "platform"}, "allowedKeys": ["Team"]}}
    scaling = instances(autoscaling={"maxCount": 2, "invocationsPerInstance": 9})
    found = by_kind({**scaling, "tags": {"Team": "nlp"}}, policy)
    for kind, resources in found.items():
        for each in resources if kind.taggable else []:
            tags = tags_of(each)
            assert (tags["CostCenter"], tags["Team"], tags["ManagedBy"]) == ("nlp", "nlp", "ephemeral-endpoints"), kind


def test_there_is_room_for_all_tags() -> None:
    """AWS takes 50 (https://docs.aws.amazon.com/tag-editor/latest/userguide/reference.html); `retain` comes later."""
    most = (("class", 19), ("object", 20))
    values, own = ({f"{whose}{number}": "x" for number in range(count)} for whose, count in most)
    found = by_kind({"tags": own}, {"tags": {"values": values, "allowedKeys": ["*"]}})
    assert {len(tags_of(each)) + len(ACTIVE_TAGS) for each in found[MODEL]} == {50}


def test_alarms_notify_the_topics_of_the_class_and_can_be_turned_off() -> None:
    topics = {"alarms": {"actions": [f"{TOPIC}-b", TOPIC, TOPIC]}}
    alarms: Any = [each.spec for each in by_kind({}, topics)[ALARM]]
    assert [each.actions for each in alarms] == [(TOPIC, f"{TOPIC}-b")] * 2
    without = by_kind({"monitoring": {"alarms": {"enabled": False}}}, topics)
    assert ALARM not in without
    assert LOG_GROUP in without
    [endpoint] = without[ENDPOINT]
    rollout: Any = endpoint.spec
    assert rollout.rollout.alarms == ()
