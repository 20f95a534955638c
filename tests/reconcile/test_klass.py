from contextlib import suppress

from tests.fixtures.platform import Aws
from tests.reconcile.test_controls import DENIED
from tests.reconcile.world import Desk

from ephemeral_endpoints.core.errors import AwsError
from ephemeral_endpoints.kube.store import ObjectKey
from ephemeral_endpoints.local.aws.contents import contents
from ephemeral_endpoints.local.aws.faults import Fault, FaultError

KLASS = ObjectKey(None, "default")


async def snapshot(desk: Desk) -> None:
    with suppress(AwsError):
        await desk.snapshot()


async def test_a_class_tells_what_cannot_be_listed_any_more_and_when_it_can_its_objects_stay_ready(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="ListFunctions", error=DENIED))
    await snapshot(desk)
    assert "ListFunctions: not you" in await desk.reason(KLASS, "AccessDenied")
    assert desk.condition(key)["status"] == "True"

    writes = desk.api.writes
    await snapshot(desk)
    await desk.rest()
    assert desk.api.writes == writes, "it is told once"

    fresh_aws.control.clear_faults()
    await snapshot(desk)
    await desk.reason(KLASS, "Connected")


async def test_a_list_that_fails_for_a_moment_is_no_trouble_of_the_class(desk: Desk, fresh_aws: Aws) -> None:
    key = desk.make()
    await desk.ready(key)
    away = FaultError(code="InternalFailure", message="away", status=500)
    fresh_aws.control.add_faults(Fault(service="lambda", operation="ListFunctions", error=away))
    writes = desk.api.writes
    await snapshot(desk)
    await desk.rest()
    assert desk.api.writes == writes
    assert desk.condition(KLASS)["reason"] == "Connected"


async def test_a_class_is_told_when_an_object_goes_whose_finalizer_somebody_takes_off_meanwhile(
    desk: Desk, fresh_aws: Aws
) -> None:
    key = desk.make()
    await desk.ready(key)
    fresh_aws.control.add_faults(Fault(service="apigatewayv2", operation="DeleteIntegration", delay_seconds=0.5))
    desk.api.remove(key)
    await desk.until(lambda: fresh_aws.control.faults()[0].fired == 1, "its things are being deleted")
    desk.api.vanish(key)
    await desk.until(lambda: not contents(fresh_aws.session, fresh_aws.endpoint), "nothing is left")
