from hypothesis import given
from hypothesis import strategies as st
from requests.utils import parse_header_links
from yarl import URL

from eep_platform.github.access import Caller
from eep_platform.github.rest.operations import Call
from eep_platform.github.rest.paging import links, paged

START = URL("http://github.example/pulls?state=all")


@given(st.integers(0, 400), st.sampled_from(["", "1", "2", "30", "100", "1000", "0", "-1", "x"]))
def test_the_links_lead_through_everything_once(count: int, per_page: str) -> None:
    url: URL | None = START.update_query(per_page=per_page)
    found: list[int] = []
    while url is not None:
        answer = paged(Call(Caller(), {}, url.query, {}), list(range(count)), lambda item: item)
        assert len(answer.body) <= 100
        found += answer.body
        leads = {each["rel"]: each["url"] for each in parse_header_links(links(url, answer).get("Link", ""))}
        assert ("last" in leads) == ("next" in leads)
        url = URL(leads["next"]) if "next" in leads else None
        assert url is None or url.query["state"] == "all"
    assert found == list(range(count))
