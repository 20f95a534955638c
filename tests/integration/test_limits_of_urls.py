"""What callers of a URL get beyond its throttle."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from tests.fixtures.operator import Bench


def test_a_flood_of_one_url_is_refused_and_others_are_answered(bench: Bench) -> None:
    name = f"narrow-{bench.namespace}"
    bench.make_class(name, routing={"throttle": {"rateLimit": 1, "burstLimit": 5}})
    open_to_all = {"auth": {"type": "None"}}
    for each in ("flooded", "other"):
        bench.apply(each, bench.spec(className=name, api=open_to_all))
    flooded, other = (bench.wait_ready(each)["status"]["url"] for each in ("flooded", "other"))
    with ThreadPoolExecutor(max_workers=40) as callers:
        answers = Counter(callers.map(lambda _: bench.call(flooded, b"", token=None).status_code, range(40)))
    assert answers[HTTPStatus.TOO_MANY_REQUESTS] > 0
    assert bench.call(other, b"", token=None).status_code == HTTPStatus.OK
    for each in ("flooded", "other"):
        bench.delete(each)
        bench.wait_gone(each)
    bench.delete_class(name)
    bench.wait_class_gone(name)
