import pytest

from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.service_quotas import QuotaOperations
from eep_platform.sagemaker.settings import HostingSettings


def operations(**quotas: object) -> QuotaOperations:
    settings = HostingSettings()
    settings.patch({"quotas": quotas})
    return QuotaOperations(settings)


async def test_all_types_are_listed_page_by_page_with_what_is_in_force() -> None:
    asked = operations(instances={"ml.m5.large": 7})
    found: dict[str, float] = {}
    token: dict[str, str] = {}
    while True:
        answer = await asked.list_service_quotas({"ServiceCode": "sagemaker", "MaxResults": 100, **token})
        found |= {each["QuotaName"]: each["Value"] for each in answer["Quotas"]}
        assert len(answer["Quotas"]) <= 100
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert len(found) > 100
    assert (found["ml.m5.large for endpoint usage"], found["ml.m5.xlarge for endpoint usage"]) == (7.0, 4.0)


async def test_what_is_unlimited_is_not_listed() -> None:
    asked = operations(instances_of_any_other_type="unlimited", instances={"ml.m5.large": 1})
    answer = await asked.list_service_quotas({"ServiceCode": "sagemaker"})
    assert [each["QuotaName"] for each in answer["Quotas"]] == ["ml.m5.large for endpoint usage"]


@pytest.mark.parametrize("request_", [{"ServiceCode": "lambda"}, {"ServiceCode": "sagemaker", "NextToken": "x"}])
async def test_unknown_services_and_tokens_are_refused(request_: dict[str, str]) -> None:
    with pytest.raises(ServiceError):
        await operations().list_service_quotas(request_)
