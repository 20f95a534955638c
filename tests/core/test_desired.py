from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.objects import (
    ACCOUNT,
    CLUSTER,
    DIGEST,
    OTHER_DIGEST,
    OTHER_TOKEN,
    REGISTRY,
    TOKEN,
    endpoint,
    endpoint_class,
    resolved,
    subject,
)

from ephemeral_endpoints.core.apis import api_key
from ephemeral_endpoints.core.desired import NOTHING, Resolved, Subject, desired
from ephemeral_endpoints.core.names import owner_of
from ephemeral_endpoints.core.plan import Desired
from ephemeral_endpoints.core.resources import (
    AlarmSpec,
    EndpointConfigSpec,
    EndpointSpec,
    FunctionSpec,
    HttpApiSpec,
    Key,
    Kind,
    LogGroupSpec,
    ModelSpec,
    RouteSpec,
    Want,
)
from ephemeral_endpoints.core.shared import desired_of_class
from ephemeral_endpoints.forwarder import bundle

SERVING = frozenset({Kind.MODEL, Kind.ENDPOINT_CONFIG, Kind.ENDPOINT})
ENTRANCE = frozenset({Kind.FUNCTION, Kind.INTEGRATION, Kind.ROUTE})
BASE = subject().names.base


def wants(spec: Mapping[str, Any] | None = None, klass: Mapping[str, Any] | None = None) -> Desired:
    one = subject(spec, klass)
    return desired(one, resolved(images=tuple(one.images)))


def by_key(wanted: Desired) -> dict[Key, Want]:
    found = {want.key: want for want in wanted.wants}
    assert len(found) == len(wanted.wants)
    return found


def only(wanted: Desired, kind: Kind) -> Want:
    (want,) = (want for want in wanted.wants if want.key.kind is kind)
    return want


def difference(one: Desired, two: Desired) -> tuple[set[Kind], set[Kind]]:
    """The kinds that get another name, and those that are changed in place."""
    before, after = by_key(one), by_key(two)
    renamed = {key.kind for key in before.keys() ^ after.keys()}
    changed = {key.kind for key in before.keys() & after.keys() if before[key].spec != after[key].spec}
    return renamed, changed


def test_an_object_is_made_of_ten_things() -> None:
    api, route_key = api_key(CLUSTER, endpoint_class()), "ANY /nlp/pr-42"
    found = by_key(wants())
    assert {(key.kind, key.name) for key in found if key.kind not in {Kind.MODEL, Kind.ENDPOINT_CONFIG}} == {
        (Kind.LOG_GROUP, f"/aws/lambda/{BASE}"),
        (Kind.LOG_GROUP, f"/aws/sagemaker/Endpoints/{BASE}"),
        (Kind.ALARM, f"{BASE}:latency"),
        (Kind.ALARM, f"{BASE}:errors"),
        (Kind.ENDPOINT, BASE),
        (Kind.FUNCTION, BASE),
        (Kind.INTEGRATION, BASE),
        (Kind.ROUTE, f"{api.name} {route_key}"),
    }
    assert len(found) == 10
    assert only(wants(), Kind.ROUTE).spec == RouteSpec(api, route_key, Key(Kind.INTEGRATION, BASE))


def test_the_image_is_pinned_to_its_digest() -> None:
    model = only(wants(), Kind.MODEL).spec
    assert isinstance(model, ModelSpec)
    assert model.image == f"{REGISTRY}/models/sentiment@{DIGEST}"
    assert model.role_arn == f"arn:aws:iam::{ACCOUNT}:role/model"


def test_the_endpoint_serves_the_configuration_of_the_model() -> None:
    wanted = wants()
    config, serving = only(wanted, Kind.ENDPOINT_CONFIG), only(wanted, Kind.ENDPOINT)
    assert isinstance(config.spec, EndpointConfigSpec)
    assert [each.model for each in config.spec.variants] == [only(wanted, Kind.MODEL).key.name]
    assert serving.spec == EndpointSpec(config.key.name)


@pytest.mark.parametrize(
    ("spec", "klass", "renamed", "changed", "reason"),
    [
        (
            {"model": {"environment": {"A": "1"}}},
            {},
            SERVING - {Kind.ENDPOINT},
            {Kind.ENDPOINT},
            "models are immutable",
        ),
        ({"model": {"dataUrl": "s3://bucket/m.tar.gz"}}, {}, SERVING - {Kind.ENDPOINT}, {Kind.ENDPOINT}, "data too"),
        (
            {"model": {"image": f"{REGISTRY}/models/other:1"}},
            {},
            SERVING - {Kind.ENDPOINT},
            {Kind.ENDPOINT},
            "the repository is part of the image",
        ),
        (
            {},
            {"executionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
            SERVING - {Kind.ENDPOINT},
            {Kind.ENDPOINT},
            "a model has its role for good",
        ),
        (
            {"serving": {"serverless": {"memorySizeMB": 4096}}},
            {},
            {Kind.ENDPOINT_CONFIG},
            {Kind.ENDPOINT},
            "the size is of the configuration, the model stays",
        ),
        (
            {"serving": {"serverless": {"maxConcurrency": 2}}},
            {},
            {Kind.ENDPOINT_CONFIG},
            {Kind.ENDPOINT},
            "the concurrency likewise",
        ),
        ({"model": {"image": f"{REGISTRY}/models/sentiment:2"}}, {}, set(), set(), "another tag of the same image"),
        ({"source": {"revision": "2f0c2a9"}}, {}, set(), set(), "a commit that changed nothing in the image"),
        ({"monitoring": {"logRetentionDays": 30}}, {}, set(), {Kind.LOG_GROUP}, "retention is set in place"),
        ({"monitoring": {"alarms": {"latencyMs": 1}}}, {}, set(), {Kind.ALARM}, "thresholds too"),
        ({"monitoring": {"alarms": {"errorRatePercent": 1}}}, {}, set(), {Kind.ALARM}, "thresholds too"),
        ({"api": {"path": "/p"}}, {}, {Kind.ROUTE}, set(), "a route is its path"),
        ({"api": {"maxBodyBytes": 1}}, {}, set(), {Kind.FUNCTION}, "the forwarder's configuration is in its code"),
        ({"api": {"auth": {"type": "None"}}}, {}, set(), {Kind.FUNCTION}, "the token's hash likewise"),
        (
            {},
            {"forwarderRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
            set(),
            {Kind.FUNCTION},
            "a function's role can change",
        ),
        (
            {},
            {"invokeRoleArn": f"arn:aws:iam::{ACCOUNT}:role/other"},
            set(),
            {Kind.INTEGRATION},
            "an integration's role can change",
        ),
        ({"lifecycle": {"ttl": "1h"}}, {}, set(), set(), "when it ends is no business of what serves"),
    ],
)
def test_a_change_reaches_what_it_concerns_and_nothing_else(
    spec: Mapping[str, Any], klass: Mapping[str, Any], renamed: set[Kind], changed: set[Kind], reason: str
) -> None:
    assert difference(wants(), wants(spec, klass)) == (renamed, changed), reason


@pytest.mark.parametrize(
    ("found_out", "renamed", "changed"),
    [
        (resolved(OTHER_DIGEST, TOKEN, owns_path=True), SERVING - {Kind.ENDPOINT}, {Kind.ENDPOINT}),
        (resolved(DIGEST, OTHER_TOKEN, owns_path=True), set(), {Kind.FUNCTION}),
        (resolved(DIGEST, TOKEN, owns_path=False), {Kind.ROUTE}, set()),
    ],
    ids=["another image", "another token", "a path that is another's has no route of ours"],
)
def test_what_the_world_says_reaches_what_it_concerns(
    found_out: Resolved, renamed: set[Kind], changed: set[Kind]
) -> None:
    assert difference(wants(), desired(subject(), found_out)) == (renamed, changed)


@pytest.mark.parametrize(
    ("auth", "digest", "token", "hold", "reason"),
    [
        ("Token", DIGEST, TOKEN, set(), "all is known"),
        ("Token", None, TOKEN, SERVING, "without a digest nobody knows what to serve, and what serves goes on"),
        ("Token", DIGEST, None, ENTRANCE, "without a token the entrance would be open"),
        ("Token", None, None, SERVING | ENTRANCE, "nothing is known"),
        ("None", DIGEST, None, set(), "no token is asked for"),
    ],
)
def test_what_is_not_known_is_neither_made_nor_taken_away(
    auth: str, digest: str | None, token: str | None, hold: set[Kind], reason: str
) -> None:
    wanted = desired(subject({"api": {"auth": {"type": auth}}}), resolved(digest, token, owns_path=True))
    assert wanted.hold == (hold | {Kind.SCALABLE_TARGET} if Kind.ENDPOINT in hold else hold), reason
    assert {want.key.kind for want in wanted.wants} == {Kind.LOG_GROUP, Kind.ALARM} | (SERVING | ENTRANCE) - hold


def test_without_authentication_the_token_does_not_count() -> None:
    open_to_all = subject({"api": {"auth": {"type": "None"}}})
    one, two = (desired(open_to_all, resolved(DIGEST, token, owns_path=True)) for token in (TOKEN, None))
    assert one == two


def test_alarms_watch_the_only_variant_in_the_units_of_sagemaker() -> None:
    found = {
        want.spec.metric: want.spec
        for want in wants({"monitoring": {"alarms": {"latencyMs": 1500, "errorRatePercent": 5}}}).wants
        if isinstance(want.spec, AlarmSpec)
    }
    assert {metric: spec.threshold for metric, spec in found.items()} == {
        "ModelLatency": 1_500_000.0,
        "Invocation5XXErrors": 0.05,
    }
    assert {spec.dimensions for spec in found.values()} == {(("EndpointName", BASE), ("VariantName", "main"))}


def test_everything_that_takes_tags_says_when_it_ends() -> None:
    for want in wants({"lifecycle": {"ttl": "8h"}}).wants:
        if want.key.kind not in {Kind.INTEGRATION, Kind.ROUTE}:
            tags = dict(getattr(want.spec, "tags", ()))
            assert tags["ephemeral-endpoints.io/expires-at"] == "2026-11-01T20:00:00Z", want.key
            assert tags["PR_Number"] == "42"


def test_the_objects_of_a_class_share_its_api_and_nothing_else() -> None:
    klass = endpoint_class()
    one = Subject(CLUSTER, endpoint(), klass)
    two = Subject(CLUSTER, endpoint({"metadata": {"uid": "another", "name": "pr-43"}}), klass)
    keys = [set(by_key(desired(each, resolved()))) for each in (one, two)]
    assert not keys[0] & keys[1]
    (shared,) = desired_of_class(CLUSTER, klass, [resolved().api, resolved().api]).wants
    assert shared.key == api_key(CLUSTER, klass)
    assert shared.spec == HttpApiSpec(staged=True)


def test_the_lifetime_is_what_the_class_grants() -> None:
    granted = subject({"lifecycle": {"ttl": "400h"}}).lifetime
    assert granted.expires_at == datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(hours=336)
    assert granted.capped


def test_an_object_that_the_api_server_never_had_has_no_lifetime() -> None:
    unborn = endpoint({"metadata": {"creationTimestamp": None}})
    with pytest.raises(ValueError, match="creationTimestamp"):
        _ = replace(subject(), endpoint=unborn).lifetime


def test_of_what_ends_nothing_is_wanted() -> None:
    assert Desired() == NOTHING


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
    someones = Subject(CLUSTER, endpoint({"metadata": {"name": name, "uid": uid}, "spec": spec}), endpoint_class())
    wanted = desired(someones, found_out)
    found = by_key(wanted)
    for want in wanted.wants:
        assert want.needs <= found.keys() | {found_out.api}, want.key
        assert want.key.kind not in wanted.hold
        assert len(want.key.name) <= _longest(want.key.kind)
        if want.key.kind is not Kind.ROUTE:
            assert owner_of(CLUSTER, want.key.name) == someones.names.owner
    assert list(TopologicalSorter({key: want.needs for key, want in found.items()}).static_order())
    assert wanted == desired(someones, found_out)


def _longest(kind: Kind) -> int:
    limits = {Kind.LOG_GROUP: 512, Kind.ALARM: 255, Kind.FUNCTION: 64, Kind.ROUTE: 1024}
    return limits.get(kind, 63)


def test_equal_specs_in_another_order_are_one_model() -> None:
    one = wants({"model": {"environment": {"A": "1", "B": "2"}}})
    two = wants({"model": {"environment": {"B": "2", "A": "1"}}})
    assert one == two


def test_the_forwarder_is_as_lambda_will_report_it() -> None:
    function = only(wants(), Kind.FUNCTION).spec
    assert isinstance(function, FunctionSpec)
    assert function.forwarder
    assert function.code_sha256 == bundle.build(function.forwarder).sha256_base64
    assert function == replace(function, forwarder=None, tags=())


def test_logs_are_kept_as_long_as_the_spec_says() -> None:
    kept = {
        want.spec for want in wants({"monitoring": {"logRetentionDays": 90}}).wants if want.key.kind is Kind.LOG_GROUP
    }
    assert kept == {LogGroupSpec(90)}
