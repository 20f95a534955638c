from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents


def test_of_repositories_those_are_shown_that_an_operator_could_have_made(fresh_aws: Aws) -> None:
    ecr = fresh_aws.client("ecr")
    for name in ("models", "team/models", "eep-c1-default-abcdefghij", "previews/eep-c1-default-abcdefghij"):
        ecr.create_repository(repositoryName=name)
    assert contents(fresh_aws.client) == {
        "Repository": ["eep-c1-default-abcdefghij", "previews/eep-c1-default-abcdefghij"]
    }
