"""What a class tells of the quotas of its account."""

from tests.controllers.environment import Environment
from tests.fixtures.platform import Aws

from eep_platform.aws.faults import Fault, FaultError
from ephemeral_endpoints.features.capacity.service_quotas import DAY_SECONDS
from ephemeral_endpoints.kube.cache import class_key

CLASS = class_key("default")
LARGE = "ml.m5.large"


async def test_the_class_tells_of_a_quota_that_is_too_low_and_asks_once_a_day(env: Environment, fresh_aws: Aws) -> None:
    def limit(count: int) -> None:
        fresh_aws.control.patch_sagemaker_settings({"quotas": {"instances": {LARGE: count}}})

    def asked() -> int:
        return sum(each.operation == "ListServiceQuotas" for each in fresh_aws.control.log())

    limit(1)
    await env.ready(env.make("serverless"))
    assert asked() == 0, "only instances have such quotas"
    on_instances = {"instances": {"type": LARGE}}
    await env.ready(env.make("first", serving=on_instances))
    assert env.condition(CLASS, "QuotaLow")["status"] == "False"
    pages = asked()
    assert pages > 1, "there are more than one page has"
    waits = env.make("second", serving=on_instances)
    message = await env.reason(CLASS, "QuotaBelowDemand", "QuotaLow")
    assert "'ml.m5.large for endpoint usage' is 1, and they ask for 2" in message
    assert env.condition(CLASS)["status"] == "True", "it is a hint"
    assert asked() == pages, "it was asked today"
    limit(2)
    env.clock.advance(DAY_SECONDS)
    await env.refresh(CLASS)
    await env.reason(CLASS, "QuotasSuffice", "QuotaLow")
    env.api.remove(waits)


async def test_without_the_permission_there_is_no_condition(env: Environment, fresh_aws: Aws) -> None:
    denied = FaultError(code="AccessDeniedException", message="not authorized to perform: ListServiceQuotas")
    fresh_aws.control.add_faults(Fault(service="service-quotas", error=denied))
    await env.ready(env.make("first", serving={"instances": {"type": LARGE}}))
    assert not env.condition(CLASS, "QuotaLow")
    assert env.condition(CLASS)["status"] == "True"
