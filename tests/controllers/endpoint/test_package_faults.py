"""Every call for a package fails in every way: the latest approved version is served, and nothing is left."""

from typing import Any

import pytest
from tests.controllers.endpoint.test_packages import GROUP, Wines
from tests.controllers.environment import Environment
from tests.fixtures.faults import Trouble
from tests.fixtures.platform import Aws

READS = (("sagemaker", "DescribeModelPackage"), ("sagemaker", "ListModelPackages"))
SERVED = (*READS, ("sagemaker", "CreateModel"))


@pytest.fixture
async def wines(env: Environment, fresh_aws: Aws, untroubled: Any) -> Wines:  # noqa: ANN401 - a client
    wines = Wines(env, fresh_aws)
    wines.client = untroubled
    return wines


@pytest.mark.chaos
async def test_whatever_call_fails_the_latest_approved_version_is_served(
    env: Environment, wines: Wines, trouble: Trouble
) -> None:
    first = wines.register("Approved")
    trouble.begin(SERVED)
    async with trouble.at_work():
        key = wines.make()
        await env.until(lambda: env.api.kept[key]["status"].get("package", {}).get("arn") == first, "the first one")
        await trouble.all_hit()
        await env.until(lambda: env.is_up_to_date(key), "ready")
        trouble.begin(SERVED)
        second = wines.register("Approved")
        env.operator.services.package_changed("default", GROUP)
        await env.until(lambda: env.api.kept[key]["status"]["package"]["arn"] == second, "the second one")
        await trouble.all_hit()
        await env.until(
            lambda: [each["ModelPackageName"] for each in wines.models()] == [second], "only the second one"
        )
        await env.until(lambda: env.is_up_to_date(key), "ready")
        env.api.remove(key)
        await env.until(lambda: key not in env.api.kept, "gone")
    assert trouble.stalled == set()
    assert not wines.client.list_models()["Models"]
    assert not wines.client.list_endpoints()["Endpoints"]
    assert len(wines.client.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"]) == 2
