from ephemeral_endpoints.api.v1alpha1.endpoint_status import Resource
from ephemeral_endpoints.controllers.endpoint.status import inventory, resolved_image
from ephemeral_endpoints.engine.resources import Key, ObservedResource, Phase
from ephemeral_endpoints.features.monitoring.specs import ALARM
from ephemeral_endpoints.features.serving.specs import MODEL


def test_equal_inventories_are_equal_in_whatever_order_they_were_found() -> None:
    observed_resources = [
        ObservedResource(Key(MODEL, "b"), Phase.READY, arn="arn:b"),
        ObservedResource(Key(MODEL, "a"), Phase.READY),
        ObservedResource(Key(ALARM, "c"), Phase.READY),
    ]
    one, two = (
        inventory({observed.key: observed for observed in target})
        for target in (observed_resources, observed_resources[::-1])
    )
    assert one == two
    assert one == (
        Resource(kind="Alarm", name="c"),
        Resource(kind="Model", name="a"),
        Resource(kind="Model", name="b", arn="arn:b"),
    )


def test_an_image_is_resolved_once_it_has_a_digest() -> None:
    assert resolved_image("uri", {"other": "sha256:1"}) is None
    found = resolved_image("uri", {"uri": "sha256:1"})
    assert found is not None
    assert (found.uri, found.digest) == ("uri", "sha256:1")
