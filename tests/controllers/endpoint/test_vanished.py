"""Objects that vanish while they are reconciled: somebody has removed their finalizer, or none was there yet."""

import logging

import pytest
from tests.controllers.environment import Environment
from tests.fixtures.logs import of_operator
from tests.fixtures.platform import Aws

from eep_platform.aws.contents import contents
from eep_platform.aws.faults import Fault


async def test_one_that_vanishes_before_it_has_anything_is_no_failure(
    env: Environment, fresh_aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    await env.stop()
    fresh_aws.control.add_faults(Fault(service="sagemaker", operation="ListModels", held=True))
    await env.start()
    key = env.make()
    await env.until(lambda: fresh_aws.control.faults()[0].fired > 0, "the account is being listed")
    env.api.vanish(key)
    fresh_aws.control.clear_faults()
    await env.rest()
    assert not [each for each in of_operator(caplog) if each.levelno >= logging.ERROR]
    assert contents(fresh_aws.client) == {}
