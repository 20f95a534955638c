from ephemeral_endpoints.api.v1alpha1.base import ObjectMeta

METADATA = {"name": "pr-42", "uid": "u"}


def test_models_alike_share_what_was_given_and_copies_do_not_spoil_it() -> None:
    one, two = (ObjectMeta.model_validate(METADATA) for _ in range(2))
    other = ObjectMeta.model_validate({**METADATA, "namespace": "nlp"})
    assert one.model_fields_set is two.model_fields_set
    assert other.model_fields_set == {"name", "uid", "namespace"}
    changed = one.model_copy(update={"namespace": "nlp"})
    assert changed.model_fields_set == {"name", "uid", "namespace"}
    assert two.model_fields_set == {"name", "uid"}
