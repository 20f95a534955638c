from datetime import UTC, datetime, timedelta

import pytest

from eep_platform.emulation.account import Account
from eep_platform.emulation.errors import ServiceError
from eep_platform.sagemaker.registry.group import ModelPackageGroup
from eep_platform.sagemaker.registry.group_operations import GroupOperations
from eep_platform.sagemaker.settings import HostingSettings
from eep_platform.sagemaker.store import Store

START = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_group_is_not_empty_as_soon_as_its_last_version_is_gone() -> None:
    now, settings = [START], HostingSettings()
    settings.patch({"consistency_lag_seconds": 10})
    store = Store(Account("000000000000", "us-east-1"), lambda: now[0], settings)
    store.groups.add("wine", ModelPackageGroup(last_deletion=START + timedelta(seconds=20)), {})
    request = {"ModelPackageGroupName": "wine"}
    now[0] = START + timedelta(seconds=29)
    with pytest.raises(ServiceError, match="still contains Model Packages"):
        await GroupOperations(store).delete_model_package_group(request)
    now[0] = START + timedelta(seconds=30)
    assert await GroupOperations(store).delete_model_package_group(request) == {}
    assert store.groups.find("wine") is None
