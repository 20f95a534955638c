from eep_platform.bench import rest_of_reviews
from eep_platform.github.client import GitHubClient


def test_what_is_published_is_asked_for_and_not_written_at_rest(github: GitHubClient) -> None:
    found = rest_of_reviews.measure(github, 2, seconds=120.0)
    assert (found.objects, found.repositories, found.writes) == (2, 2, 0)
    assert found.requests == {"graphql": 2, "issues/list-comments-for-repo": 4}
    assert found.requests_per_minute == 3
    for number in (1, 2):
        seen = github.seen(f"bench/repository-{number - 1}", number)
        assert [len(each) for each in (seen.deployments, seen.statuses, seen.comments)] == [1, 1, 1]
