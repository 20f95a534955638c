import pytest
from tests.features.reviews.classes import class_with

from ephemeral_endpoints.features.reviews.policy import fixed_owners, fixed_repositories, grants, not_granted

GRANTED = class_with(("acme/wine", ["nlp"]), ("acme/v-*", ["vision-*", "cv"]), ("b?b/*", ["bob"]))


@pytest.mark.parametrize(
    ("namespace", "repository", "expected", "reason"),
    [
        ("nlp", "acme/wine", True, "as it stands there"),
        ("nlp", "Acme/Wine", True, "forges know no case"),
        ("nlp", "acme/wine2", False, "a name that begins alike"),
        ("nlp", "evil/acme/wine", False, "a name that ends alike"),
        ("nlp2", "acme/wine", False, "a namespace that begins alike"),
        ("cv", "acme/wine", False, "the namespace of another entry"),
        ("nlp", "acme/v-1", False, "the repository of another entry"),
        ("vision-1", "acme/v-1", True, "both as patterns"),
        ("cv", "acme/v-1", True, "one of several namespaces"),
        ("bob", "bob/x", True, "one character"),
        ("bob", "boob/x", False, "two"),
        ("bob", "b/b/x", True, "a character is any character: do not write ? where / is not meant"),
        ("", "acme/wine", False, "no namespace"),
    ],
)
def test_an_object_speaks_for_what_its_namespace_is_granted(
    namespace: str, repository: str, expected: object, reason: str
) -> None:
    assert reason
    assert grants(GRANTED, namespace, repository) is expected
    cause = not_granted(GRANTED, namespace, repository)
    assert (cause is None) is expected
    if cause:
        assert cause.reason.name == "RepositoryNotGranted"
        assert namespace in cause.message
        assert repository in cause.message


def test_without_a_forge_nobody_speaks_and_nothing_is_wrong() -> None:
    without = class_with()
    assert not grants(without, "nlp", "acme/wine")
    assert not_granted(without, "nlp", "acme/wine") is None


def test_only_what_is_no_pattern_can_be_asked_for() -> None:
    assert GRANTED.spec.reviews
    assert fixed_repositories(GRANTED.spec.reviews) == {"acme/wine"}
    assert fixed_owners(GRANTED.spec.reviews) == {"acme"}
