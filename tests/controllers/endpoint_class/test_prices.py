"""Prices of AWS's Price List: read once a day for each region, and kept whatever happens."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.capacity.listed_prices import RETRY_SECONDS
from ephemeral_endpoints.kube.cache import class_key

CLASS = class_key("default")
CURRENT = "PricesCurrent"
ONLY_LISTED: Any = {"serving": {"instances": {"type": "ml.c5.large"}}}
DENIED = FaultError(code="AccessDeniedException", message="not authorized to perform: pricing:GetProducts")


def asked(aws: Aws) -> int:
    return sum(each.operation == "GetProducts" for each in aws.control.log())


def listed(env: Environment, name: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = env.api.kept[class_key(name)]["status"].get("prices", {})
    return found


async def test_objects_cost_what_the_list_says_which_is_read_once_a_day_for_all_classes_of_a_region(
    env: Environment, fresh_aws: Aws
) -> None:
    key = env.make(**ONLY_LISTED)
    await env.ready(key)
    assert env.api.kept[key]["status"]["cost"]["unpriced"] == ["ml.c5.large"]
    assert (asked(fresh_aws), listed(env)) == (0, {}), "nobody asked for it"

    env.api.change(CLASS, {"spec": {"priceSource": "PriceList"}})
    await env.reason(CLASS, "PricesRead", CURRENT, saying="Price List of 2026-11-25 counts")
    await env.until(lambda: env.api.kept[key]["status"]["cost"].get("hourlyUSD") == "0.102", "the price of the list")
    assert listed(env)["items"]["serverless"]["unit"] == "GB-second"
    first = asked(fresh_aws)

    env.make_class("other", priceSource="PriceList")
    await env.reason(class_key("other"), "PricesRead", CURRENT)
    assert listed(env, "other") == listed(env)
    await env.restart()
    await env.refresh(CLASS)
    assert asked(fresh_aws) == first, "neither for another class nor after a restart"
    env.ahead += timedelta(days=1)
    await env.refresh(CLASS)
    await env.refresh(class_key("other"))
    assert asked(fresh_aws) == 2 * first, "the next day once"

    env.api.change(CLASS, {"spec": {"priceSource": "Table"}})
    await env.until(lambda: not listed(env) and not env.condition(CLASS, CURRENT), "no prices of the list")
    await env.until(lambda: "hourlyUSD" not in env.api.kept[key]["status"]["cost"], "a cost that is not known")


async def test_a_list_that_cannot_be_read_changes_nothing_that_is_known(env: Environment, fresh_aws: Aws) -> None:
    fresh_aws.control.add_faults(Fault(service="pricing", error=DENIED))
    env.api.change(CLASS, {"spec": {"priceSource": "PriceList"}})
    await env.reason(CLASS, "PricesUnread", CURRENT, saying="those of the built-in table count meanwhile")
    assert env.condition(CLASS)["status"] == "True", "the class serves all the same"
    await env.refresh(CLASS)
    assert asked(fresh_aws) == 1, "it is asked again an hour later"
    fresh_aws.control.clear_faults()
    env.clock.advance(RETRY_SECONDS)
    await env.refresh(CLASS)
    await env.reason(CLASS, "PricesRead", CURRENT)
    before = listed(env)

    fresh_aws.control.add_faults(Fault(service="pricing", error=DENIED))
    env.ahead += timedelta(days=1)
    await env.refresh(CLASS)
    await env.reason(CLASS, "PricesUnread", CURRENT, saying="its prices of 2026-11-25 count meanwhile")
    assert listed(env) == before
    await env.restart()
    await env.reason(CLASS, "PricesUnread", CURRENT, saying="its prices of 2026-11-25 count meanwhile")
    assert listed(env) == before


async def test_what_a_clock_that_was_ahead_has_read_is_read_again(env: Environment, fresh_aws: Aws) -> None:
    env.api.change(CLASS, {"spec": {"priceSource": "PriceList"}})
    await env.reason(CLASS, "PricesRead", CURRENT)
    first = asked(fresh_aws)
    await env.stop()
    later = datetime.now(UTC) + timedelta(days=400)
    env.api.change(CLASS, {"status": {"prices": {"readAt": timestamp(later)}}})
    await env.start()
    await env.until(lambda: listed(env)["readAt"] < timestamp(later), "another reading")
    await env.rest()
    assert asked(fresh_aws) == 2 * first


async def test_a_class_that_cannot_be_reconciled_does_not_try_all_the_time_since_a_list_is_due(
    env: Environment, fresh_aws: Aws
) -> None:
    env.api.change(CLASS, {"spec": {"priceSource": "PriceList"}})
    await env.reason(CLASS, "PricesRead", CURRENT)
    fresh_aws.control.add_faults(Fault(service="sts", error=DENIED))
    await env.restart()
    env.ahead += timedelta(days=2)
    due = await env.operator.reconcilers[CLASS.kind](CLASS)
    assert due
    assert due >= 1
