import sys

from ephemeral_endpoints.api.v1alpha1.base import Condition, ObjectMeta

METADATA = {"name": "pr-42", "uid": "u"}


def test_models_alike_share_what_was_given_and_copies_do_not_spoil_it() -> None:
    one, two = (ObjectMeta.model_validate(METADATA) for _ in range(2))
    other = ObjectMeta.model_validate({**METADATA, "namespace": "nlp"})
    assert one.model_fields_set is two.model_fields_set
    assert other.model_fields_set == {"name", "uid", "namespace"}
    changed = one.model_copy(update={"namespace": "nlp"})
    assert changed.model_fields_set == {"name", "uid", "namespace"}
    assert two.model_fields_set == {"name", "uid"}


def test_models_alike_share_the_keys_of_their_dictionaries() -> None:
    one, two = (ObjectMeta.model_validate(METADATA) for _ in range(2))
    assert one == two
    assert vars(one) == dict(vars(one))
    assert sys.getsizeof(vars(one)) < sys.getsizeof(dict(vars(one)))
    changed = one.model_copy(update={"namespace": "nlp"})
    assert (changed.namespace, one.namespace) == ("nlp", None)


def test_conditions_that_changed_at_the_same_time_share_it() -> None:
    raw = {"status": "True", "reason": "Ready", "lastTransitionTime": "2026-11-30T12:00:00Z"}
    one, two = (Condition.model_validate({**raw, "type": each}) for each in ("Ready", "ImageReady"))
    assert one.last_transition_time is two.last_transition_time
