from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.objects import (
    ACCOUNT,
    CLUSTER,
    DIGEST,
    OTHER_DIGEST,
    OTHER_TOKEN,
    REGISTRY,
    TOKEN,
    endpoint,
    make_class,
    resolved,
    subject,
)

from ephemeral_endpoints.api import PIN_ANNOTATION
from ephemeral_endpoints.controllers.endpoint_class.desired import desired_of_class
from ephemeral_endpoints.engine.names import owner_of
from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key, ResourceKind
from ephemeral_endpoints.features.desired import desired
from ephemeral_endpoints.features.images.policy import images_of
from ephemeral_endpoints.features.monitoring.specs import ALARM, LOG_GROUP, AlarmSpec, LogGroupSpec
from ephemeral_endpoints.features.routing.apis import api_key
from ephemeral_endpoints.features.routing.forwarder import bundle
from ephemeral_endpoints.features.routing.forwarder.config import Sample
from ephemeral_endpoints.features.routing.specs import (
    AUTHORIZER,
    FUNCTION,
    FUNCTION_CONCURRENCY,
    HTTP_API,
    INTEGRATION,
    ROUTE,
    ROUTE_THROTTLE,
    FunctionSpec,
    HttpApiSpec,
    RouteSpec,
    RouteThrottleSpec,
    ThrottleSpec,
)
from ephemeral_endpoints.features.serving.specs import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    SCALABLE_TARGET,
    EndpointConfigSpec,
    EndpointSpec,
    ModelSpec,
)
from ephemeral_endpoints.features.subject import Resolved, Subject

SERVING = frozenset({MODEL, ENDPOINT_CONFIG, ENDPOINT})
ENTRANCE = frozenset({FUNCTION, INTEGRATION, ROUTE})
BASE = subject().names.base


def resources(spec: Mapping[str, Any] | None = None, endpoint_class: Mapping[str, Any] | None = None) -> DesiredState:
    one = subject(spec, endpoint_class)
    return desired(one, resolved(images=tuple(images_of(one))))


def by_key(wanted: DesiredState) -> dict[Key, DesiredResource]:
    found = {resource.key: resource for resource in wanted.resources}
    assert len(found) == len(wanted.resources)
    return found


def only(wanted: DesiredState, kind: ResourceKind) -> DesiredResource:
    (resource,) = (resource for resource in wanted.resources if resource.key.kind is kind)
    return resource


def difference(one: DesiredState, two: DesiredState) -> tuple[set[ResourceKind], set[ResourceKind]]:
    """The kinds that get another name, and those that are changed in place."""
    before, after = by_key(one), by_key(two)
    renamed = {key.kind for key in before.keys() ^ after.keys()}
    changed = {key.kind for key in before.keys() & after.keys() if before[key].spec != after[key].spec}
    return renamed, changed


def test_an_object_is_made_of_eleven_things() -> None:
    api, keys = api_key(CLUSTER, make_class()), ("ANY /nlp/pr-42", "ANY /nlp/pr-42/{proxy+}")
    found = by_key(resources())
    assert {(key.kind, key.name) for key in found if key.kind not in {MODEL, ENDPOINT_CONFIG}} == {
        (LOG_GROUP, f"/aws/lambda/{BASE}"),
        (LOG_GROUP, f"/aws/sagemaker/Endpoints/{BASE}"),
        (ALARM, f"{BASE}:latency"),
        (ALARM, f"{BASE}:errors"),
        (ENDPOINT, BASE),
        (FUNCTION, BASE),
        (INTEGRATION, BASE),
        *((ROUTE, f"{api.name} {key}") for key in keys),
    }
    assert len(found) == 11
    routes = [found[Key(ROUTE, f"{api.name} {key}")].spec for key in keys]
    assert routes == [RouteSpec(api, key, Key(INTEGRATION, BASE)) for key in keys]


def test_the_image_is_pinned_to_its_digest() -> None:
    model = only(resources(), MODEL).spec
    assert isinstance(model, ModelSpec)
    assert model.image == f"{REGISTRY}/models/sentiment@{DIGEST}"
    assert model.role_arn == f"arn:aws:iam::{ACCOUNT}:role/model"


def test_the_endpoint_serves_the_configuration_of_the_model() -> None:
    wanted = resources()
    config, serving = only(wanted, ENDPOINT_CONFIG), only(wanted, ENDPOINT)
    assert isinstance(config.spec, EndpointConfigSpec)
    assert [each.model for each in config.spec.variants] == [only(wanted, MODEL).key.name]
    assert serving.spec == EndpointSpec(config.key.name)


SAMPLE = {"name": "a", "request": "1,2", "contentType": "text/csv"}


@dataclass(frozen=True, kw_only=True)
class Change:
    spec: Mapping[str, Any]
    endpoint_class: Mapping[str, Any]
    renamed: AbstractSet[ResourceKind]
    changed: AbstractSet[ResourceKind]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Change(
                spec={"model": {"environment": {"A": "1"}}},
                endpoint_class={},
                renamed=SERVING - {ENDPOINT},
                changed={ENDPOINT},
            ),
            id="models are immutable",
        ),
        pytest.param(
            Change(
                spec={"model": {"dataUrl": "s3://bucket/m.tar.gz"}},
                endpoint_class={},
                renamed=SERVING - {ENDPOINT},
                changed={ENDPOINT},
            ),
            id="data too",
        ),
        pytest.param(
            Change(
                spec={"model": {"image": f"{REGISTRY}/models/other:1"}},
                endpoint_class={},
                renamed=SERVING - {ENDPOINT},
                changed={ENDPOINT},
            ),
            id="the repository is part of the image",
        ),
        pytest.param(
            Change(
                spec={},
                endpoint_class={"executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
                renamed=SERVING - {ENDPOINT},
                changed={ENDPOINT},
            ),
            id="a model has its role for good",
        ),
        pytest.param(
            Change(
                spec={"serving": {"serverless": {"memorySizeMB": 4096}}},
                endpoint_class={},
                renamed={ENDPOINT_CONFIG},
                changed={ENDPOINT},
            ),
            id="the size is of the configuration, the model stays",
        ),
        pytest.param(
            Change(
                spec={"serving": {"serverless": {"maxConcurrency": 2}}},
                endpoint_class={},
                renamed={ENDPOINT_CONFIG},
                changed={ENDPOINT},
            ),
            id="the concurrency likewise",
        ),
        pytest.param(
            Change(
                spec={"model": {"image": f"{REGISTRY}/models/sentiment:2"}},
                endpoint_class={},
                renamed=set(),
                changed=set(),
            ),
            id="another tag of the same image",
        ),
        pytest.param(
            Change(spec={"source": {"revision": "2f0c2a9"}}, endpoint_class={}, renamed=set(), changed={FUNCTION}),
            id="a commit that changed nothing in the image is named in the answers",
        ),
        pytest.param(
            Change(
                spec={"monitoring": {"logRetentionDays": 30}}, endpoint_class={}, renamed=set(), changed={LOG_GROUP}
            ),
            id="retention is set in place",
        ),
        pytest.param(
            Change(
                spec={"monitoring": {"alarms": {"latencyMs": 1}}}, endpoint_class={}, renamed=set(), changed={ALARM}
            ),
            id="so is the threshold of latency",
        ),
        pytest.param(
            Change(
                spec={"monitoring": {"alarms": {"errorRatePercent": 1}}},
                endpoint_class={},
                renamed=set(),
                changed={ALARM},
            ),
            id="so is the threshold of errors",
        ),
        pytest.param(
            Change(spec={"api": {"path": "/p"}}, endpoint_class={}, renamed={ROUTE}, changed={FUNCTION}),
            id="a route is its path, which its code knows",
        ),
        pytest.param(
            Change(spec={"api": {"maxBodyBytes": 1}}, endpoint_class={}, renamed=set(), changed={FUNCTION}),
            id="the forwarder's configuration is in its code",
        ),
        pytest.param(
            Change(spec={"api": {"auth": {"type": "None"}}}, endpoint_class={}, renamed=set(), changed={FUNCTION}),
            id="the token's hash likewise",
        ),
        pytest.param(
            Change(
                spec={"api": {"samples": [SAMPLE], "readiness": {"sample": "a"}}},
                endpoint_class={},
                renamed=set(),
                changed={FUNCTION},
            ),
            id="the sample that proves readiness is in its code",
        ),
        pytest.param(
            Change(spec={"api": {"samples": [SAMPLE]}}, endpoint_class={}, renamed=set(), changed={FUNCTION}),
            id="so are the other samples, which it describes",
        ),
        pytest.param(
            Change(
                spec={},
                endpoint_class={"forwarderRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
                renamed=set(),
                changed={FUNCTION},
            ),
            id="a function's role can change",
        ),
        pytest.param(
            Change(
                spec={},
                endpoint_class={"invokeRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
                renamed=set(),
                changed={INTEGRATION},
            ),
            id="an integration's role can change",
        ),
        pytest.param(
            Change(spec={"lifecycle": {"ttl": "1h"}}, endpoint_class={}, renamed=set(), changed=set()),
            id="when it ends is in tags alone",
        ),
    ],
)
def test_a_change_reaches_what_it_concerns_and_nothing_else(case: Change) -> None:
    assert difference(resources(), resources(case.spec, case.endpoint_class)) == (case.renamed, case.changed)


@pytest.mark.parametrize(
    ("found_out", "renamed", "changed"),
    [
        (resolved(OTHER_DIGEST, TOKEN, owns_path=True), SERVING - {ENDPOINT}, {ENDPOINT}),
        (resolved(DIGEST, OTHER_TOKEN, owns_path=True), set(), {FUNCTION}),
        (resolved(DIGEST, TOKEN, owns_path=False), {ROUTE}, set()),
    ],
    ids=["another image", "another token", "a path that is another's has no route of ours"],
)
def test_resolved_values_reach_the_resources_that_use_them(
    found_out: Resolved, renamed: set[ResourceKind], changed: set[ResourceKind]
) -> None:
    assert difference(resources(), desired(subject(), found_out)) == (renamed, changed)


@dataclass(frozen=True, kw_only=True)
class Unknown:
    auth: str
    digest: str | None
    token: str | None
    keep_kinds: AbstractSet[ResourceKind]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Unknown(auth="Token", digest=DIGEST, token=TOKEN, keep_kinds=set()), id="all is known"),
        pytest.param(
            Unknown(auth="Token", digest=None, token=TOKEN, keep_kinds=SERVING),
            id="without a digest nobody knows what to serve, and what serves goes on",
        ),
        pytest.param(
            Unknown(auth="Token", digest=DIGEST, token=None, keep_kinds=ENTRANCE),
            id="without a token the entrance would be open",
        ),
        pytest.param(
            Unknown(auth="Token", digest=None, token=None, keep_kinds=SERVING | ENTRANCE), id="nothing is known"
        ),
        pytest.param(Unknown(auth="None", digest=DIGEST, token=None, keep_kinds=set()), id="no token is asked for"),
    ],
)
def test_what_is_not_known_is_neither_made_nor_taken_away(case: Unknown) -> None:
    wanted = desired(subject({"api": {"auth": {"type": case.auth}}}), resolved(case.digest, case.token, owns_path=True))
    beside = {ENDPOINT: {SCALABLE_TARGET}, FUNCTION: {FUNCTION_CONCURRENCY}, ROUTE: {ROUTE_THROTTLE}}
    beside |= {INTEGRATION: {HTTP_API, AUTHORIZER}}
    further = {each for kind in case.keep_kinds & beside.keys() for each in beside[kind]}
    assert wanted.keep_kinds == case.keep_kinds | further
    assert {resource.key.kind for resource in wanted.resources} == {LOG_GROUP, ALARM} | (
        SERVING | ENTRANCE
    ) - case.keep_kinds


@pytest.mark.parametrize(
    ("asked", "policy", "expected", "reason"),
    [
        (None, {}, None, "the stage has the class's for all routes"),
        ((10, 20), {}, (10, 20), "an object may ask for less than the class's default"),
        ((500, 20), {}, (100, 20), "it gets no more than that"),
        ((500, 900), {"maxThrottle": {"rateLimit": 1000, "burstLimit": 800}}, (500, 800), "unless the class allows it"),
        ((5, 9), {"throttle": {"rateLimit": 2}}, (2, 9), "the class's own throttle is the cap"),
    ],
)
def test_routes_have_the_throttle_that_the_object_asks_for_and_the_class_allows(
    asked: tuple[int, int] | None, policy: Mapping[str, Any], expected: tuple[int, int] | None, reason: str
) -> None:
    api = {"throttle": {"rateLimit": asked[0], "burstLimit": asked[1]}} if asked else {}
    wanted = by_key(resources({"api": api}, {"routing": policy}))
    found = {key.name: each for key, each in wanted.items() if key.kind is ROUTE_THROTTLE}
    assert found.keys() == ({key.name for key in wanted if key.kind is ROUTE} if expected else set()), reason
    for name, each in found.items():
        assert isinstance(each.spec, RouteThrottleSpec)
        assert each.spec.throttle == ThrottleSpec(*expected or ()), reason
        assert Key(ROUTE, name) in each.needs, "settings of a route that does not exist are refused"


def test_without_authentication_the_token_does_not_count() -> None:
    open_to_all = subject({"api": {"auth": {"type": "None"}}})
    one, two = (desired(open_to_all, resolved(DIGEST, token, owns_path=True)) for token in (TOKEN, None))
    assert one == two


def test_alarms_watch_the_only_variant_in_the_units_of_sagemaker() -> None:
    found = {
        resource.spec.metric: resource.spec
        for resource in resources({"monitoring": {"alarms": {"latencyMs": 1500, "errorRatePercent": 5}}}).resources
        if isinstance(resource.spec, AlarmSpec)
    }
    assert {metric: spec.threshold for metric, spec in found.items()} == {
        "ModelLatency": 1_500_000.0,
        "Invocation5XXErrors": 0.05,
    }
    assert {spec.dimensions for spec in found.values()} == {(("EndpointName", BASE), ("VariantName", "main"))}


def test_everything_that_takes_tags_says_when_it_ends() -> None:
    for resource in resources({"lifecycle": {"ttl": "8h"}}).resources:
        if resource.key.kind not in {INTEGRATION, ROUTE}:
            tags = dict(getattr(resource.spec, "tags", ()))
            assert tags["ephemeral-endpoints.io/expires-at"] == "2026-11-01T20:00:00Z", resource.key
            assert tags["PR_Number"] == "42"


def test_the_objects_of_a_class_share_its_api_and_nothing_else() -> None:
    endpoint_class = make_class()
    one = Subject(CLUSTER, endpoint(), endpoint_class)
    two = Subject(CLUSTER, endpoint({"metadata": {"uid": "another", "name": "pr-43"}}), endpoint_class)
    keys = [set(by_key(desired(each, resolved()))) for each in (one, two)]
    assert not keys[0] & keys[1]
    (shared,) = desired_of_class(CLUSTER, endpoint_class, [resolved().api, resolved().api]).resources
    assert shared.key == api_key(CLUSTER, endpoint_class)
    assert shared.spec == HttpApiSpec(staged=True, throttle=ThrottleSpec(100, 200))
    limits = {"routing": {"throttle": {"rateLimit": 5, "burstLimit": 7}}}
    (shared,) = desired_of_class(CLUSTER, make_class({"spec": limits}), [resolved().api]).resources
    assert shared.spec == HttpApiSpec(staged=True, throttle=ThrottleSpec(5, 7))


def test_the_lifetime_is_what_the_class_grants() -> None:
    granted = subject({"lifecycle": {"ttl": "400h"}}).lifetime
    assert granted.expires_at == datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(hours=336)
    assert granted.capped


@pytest.mark.parametrize(
    ("value", "hours"), [("true", 336), ("yes", 72), ("", 72)], ids=["pinned", "what says nothing", "nothing"]
)
def test_a_pinned_object_lives_as_long_as_its_class_grants(value: str, hours: int) -> None:
    pinned = subject({"lifecycle": {"ttl": "72h"}})
    metadata = pinned.endpoint.metadata.model_copy(update={"annotations": {PIN_ANNOTATION: value}})
    life = replace(pinned, endpoint=pinned.endpoint.model_copy(update={"metadata": metadata})).lifetime
    assert (life.expires_at, life.capped) == (pinned.created_at + timedelta(hours=hours), False)


def test_an_object_that_the_api_server_never_had_has_no_lifetime() -> None:
    unborn = endpoint({"metadata": {"creationTimestamp": None}})
    with pytest.raises(ValueError, match="creationTimestamp"):
        _ = replace(subject(), endpoint=unborn).lifetime


def test_of_what_ends_nothing_is_wanted() -> None:
    assert DesiredState() == DesiredState.absent()


WORDS = st.text("abcXYZ019._~-", min_size=1, max_size=20).filter(lambda word: word.strip("."))
SEEN = st.characters(exclude_categories=["C", "Zl", "Zp"])
SPECS = st.fixed_dictionaries(
    {
        "source": st.fixed_dictionaries(
            {"repository": st.just("acme/sentiment"), "revision": st.from_regex("[0-9a-f]{7,64}", fullmatch=True)},
            optional={"pullRequest": st.integers(1, 2**31 - 1), "branch": st.text(SEEN, min_size=1, max_size=255)},
        ),
        "model": st.fixed_dictionaries(
            {
                "image": st.sampled_from([f"{REGISTRY}/ml:{'t' * 128}", f"{REGISTRY}/a/b/c@{OTHER_DIGEST}"]),
                "environment": st.dictionaries(
                    st.from_regex("[A-Z_][A-Z0-9_]{0,9}", fullmatch=True), st.text(SEEN, max_size=50), max_size=5
                ),
            },
            optional={"dataUrl": st.just("s3://bucket/model.tar.gz")},
        ),
        "serving": st.fixed_dictionaries(
            {
                "serverless": st.fixed_dictionaries(
                    {
                        "memorySizeMB": st.sampled_from(range(1024, 6145, 1024)),
                        "maxConcurrency": st.integers(1, 200),
                    }
                )
            }
        ),
        "api": st.fixed_dictionaries(
            {"auth": st.fixed_dictionaries({"type": st.sampled_from(["Token", "None"])})},
            optional={"path": st.lists(WORDS, min_size=1, max_size=5).map(lambda words: "/" + "/".join(words))},
        ),
        "monitoring": st.fixed_dictionaries({"logRetentionDays": st.sampled_from([1, 7, 3653])}),
    }
)
RESOLUTIONS = st.builds(
    resolved, st.sampled_from([None, DIGEST]), st.sampled_from([None, TOKEN]), owns_path=st.booleans()
)
OBJECT_NAMES = st.from_regex("[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?", fullmatch=True)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(spec=SPECS, name=OBJECT_NAMES, uid=st.uuids().map(str), found_out=RESOLUTIONS)
def test_what_any_object_needs_is_wanted_too_in_some_order_and_under_its_own_name(
    spec: dict[str, Any], name: str, uid: str, found_out: Resolved
) -> None:
    someones = Subject(CLUSTER, endpoint({"metadata": {"name": name, "uid": uid}, "spec": spec}), make_class())
    wanted = desired(someones, found_out)
    found = by_key(wanted)
    for resource in wanted.resources:
        assert resource.needs <= found.keys() | {found_out.api}, resource.key
        assert resource.key.kind not in wanted.keep_kinds
        assert len(resource.key.name) <= _longest(resource.key.kind)
        if resource.key.kind is not ROUTE:
            assert owner_of(CLUSTER, resource.key.name) == someones.names.owner
    assert list(TopologicalSorter({key: resource.needs for key, resource in found.items()}).static_order())
    assert wanted == desired(someones, found_out)


def _longest(kind: ResourceKind) -> int:
    limits = {LOG_GROUP: 512, ALARM: 255, FUNCTION: 64, ROUTE: 1024}
    return limits.get(kind, 63)


def test_equal_specs_in_another_order_are_one_model() -> None:
    one = resources({"model": {"environment": {"A": "1", "B": "2"}}})
    two = resources({"model": {"environment": {"B": "2", "A": "1"}}})
    assert one == two


def test_the_forwarder_is_as_lambda_will_report_it() -> None:
    function = only(resources(), FUNCTION).spec
    assert isinstance(function, FunctionSpec)
    assert function.forwarder
    assert function.code_sha256 == bundle.build(function.forwarder).sha256_base64
    assert function == replace(function, forwarder=None, tags=())


def test_the_forwarder_has_the_sample_that_proves_readiness() -> None:
    function = only(resources({"api": {"samples": [SAMPLE], "readiness": {"sample": "a"}}}), FUNCTION).spec
    assert isinstance(function, FunctionSpec)
    assert function.forwarder
    assert function.forwarder.sample == Sample("a", "1,2", "text/csv")


def test_no_alarm_looks_at_what_the_proof_of_readiness_may_count_as() -> None:
    """SageMaker refuses the proof with 400; whether it counts that as an invocation is not documented."""
    specs = [resource.spec for resource in resources().resources if resource.key.kind is ALARM]
    assert {spec.metric for spec in specs if isinstance(spec, AlarmSpec)} == {"Invocation5XXErrors", "ModelLatency"}


def test_logs_are_kept_as_long_as_the_spec_says() -> None:
    kept = {
        resource.spec
        for resource in resources({"monitoring": {"logRetentionDays": 90}}).resources
        if resource.key.kind is LOG_GROUP
    }
    assert kept == {LogGroupSpec(90)}
