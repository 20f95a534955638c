import pytest
from pydantic import ValidationError

from eep_platform.emulation.settings import merge_patch
from eep_platform.sagemaker.settings import HostingSettings, Settings, behaviour_of


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        # Rows of RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": "foo"}, None, None),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_are_those_of_the_rfc(target: object, patch: object, result: object) -> None:
    assert merge_patch(target, patch) == result


def test_an_override_changes_only_what_it_sets() -> None:
    settings = Settings.model_validate(
        {"behaviour": {"create_seconds": 7}, "overrides": {"pr-*": {"stuck": True}, "pr-4?": {"create_seconds": 1}}}
    )
    assert (behaviour_of(settings, "PR-42").create_seconds, behaviour_of(settings, "PR-42").stuck) == (1, True)
    assert (behaviour_of(settings, "pr-1").create_seconds, behaviour_of(settings, "pr-1").stuck) == (7, True)
    assert behaviour_of(settings, "other") == settings.behaviour


def test_a_patch_keeps_what_earlier_patches_set_and_a_bad_one_changes_nothing() -> None:
    settings = HostingSettings()
    settings.patch({"behaviour": {"create_seconds": 5}})
    settings.patch({"behaviour": {"delete_seconds": 6}, "quotas": {"endpoints": 3}})
    with pytest.raises(ValidationError):
        settings.patch({"quotas": {"endpoints": -1}})
    assert (settings.now.behaviour.create_seconds, settings.now.behaviour.delete_seconds) == (5, 6)
    assert settings.now.quotas.endpoints == 3
