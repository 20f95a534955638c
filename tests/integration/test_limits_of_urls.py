"""What callers of a URL get beyond its throttle."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from tests.fixtures.operator import Bench

FOR_ALL = {"serverless": {"maxConcurrency": 20}}
"""Room for all callers at once: it is the gateway that refuses, and not SageMaker."""


def test_a_flood_of_one_url_is_refused_and_others_are_answered(bench: Bench) -> None:
    name = f"narrow-{bench.namespace}"
    bench.make_class(name, routing={"auth": {"allowed": ["None"]}, "throttle": {"rateLimit": 1, "burstLimit": 5}})
    open_to_all = {"auth": {"type": "None"}}
    for each in ("flooded", "other"):
        bench.apply(each, bench.spec(className=name, api=open_to_all, serving=FOR_ALL))
    flooded, other = (bench.wait_ready(each)["status"]["url"] for each in ("flooded", "other"))
    bench.wait_throttle()
    with ThreadPoolExecutor(max_workers=40) as callers:
        answers = Counter(callers.map(lambda _: bench.call(flooded, b"", token=None).status_code, range(40)))
    assert answers[HTTPStatus.TOO_MANY_REQUESTS] > 0
    assert bench.call(other, b"", token=None).status_code == HTTPStatus.OK
    for each in ("flooded", "other"):
        bench.delete(each)
        bench.wait_gone(each)
    bench.delete_class(name)
    bench.wait_class_gone(name)


def test_an_object_that_asks_for_less_gets_less_and_its_neighbour_in_the_same_api_does_not(bench: Bench) -> None:
    open_to_all = {"auth": {"type": "None"}}
    bench.apply(
        "narrow", bench.spec(api={**open_to_all, "throttle": {"rateLimit": 1, "burstLimit": 3}}, serving=FOR_ALL)
    )
    bench.apply("wide", bench.spec(api=open_to_all, serving=FOR_ALL))
    narrow, wide = (bench.wait_ready(each)["status"]["url"] for each in ("narrow", "wide"))
    assert narrow.rpartition("/")[0] == wide.rpartition("/")[0], "they share an API"
    with ThreadPoolExecutor(max_workers=20) as callers:
        answers = [
            Counter(callers.map(lambda _, url=url: bench.call(url, b"", token=None).status_code, range(20)))
            for url in (narrow, wide)
        ]
    assert answers[0][HTTPStatus.TOO_MANY_REQUESTS] > 0
    assert answers[1] == {HTTPStatus.OK: 20}
