"""Service Quotas, as far as it tells of instances of endpoints: the quotas that are in force here."""

from collections.abc import Mapping
from typing import Any, Final

from eep_platform.emulation.errors import ServiceError
from eep_platform.emulation.paging import page
from eep_platform.emulation.validation import service_model
from eep_platform.sagemaker.quotas import endpoint_usage, instances_allowed
from eep_platform.sagemaker.settings import HostingSettings

SERVICE: Final = "sagemaker"
_MOST_RESULTS: Final = 100


class QuotaOperations:
    """The operations on quotas. One that is unlimited here, as none is in AWS, is not listed."""

    def __init__(self, settings: HostingSettings) -> None:
        self._settings = settings

    async def list_service_quotas(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListServiceQuotas."""
        if request["ServiceCode"] != SERVICE:
            raise ServiceError("NoSuchResourceException", f"The service {request['ServiceCode']} has no quotas here.")
        types: Any = service_model(SERVICE).shape_for("ProductionVariantInstanceType")
        quotas = [
            _quota(endpoint_usage(type_), limit)
            for type_ in types.enum
            if (limit := instances_allowed(self._settings.now.quotas, type_)) != "unlimited"
        ]
        quotas.sort(key=lambda each: each["QuotaName"])
        shown, token = page(
            quotas,
            lambda each: (each["QuotaName"], ""),
            request.get("NextToken"),
            request.get("MaxResults", _MOST_RESULTS),
            invalid_token=_invalid_token,
        )
        return {"Quotas": shown, **({"NextToken": token} if token else {})}


def _quota(name: str, value: int) -> dict[str, Any]:
    return {
        "ServiceCode": SERVICE,
        "ServiceName": "Amazon SageMaker",
        "QuotaName": name,
        "Value": float(value),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _invalid_token() -> ServiceError:
    return ServiceError("InvalidPaginationTokenException", "The token is not one of an earlier answer.")
