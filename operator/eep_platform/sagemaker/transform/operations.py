"""The operations on transform jobs."""

from collections.abc import Mapping
from typing import Any

from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.jobs import describing
from eep_platform.sagemaker.jobs.limits import refuse_another
from eep_platform.sagemaker.jobs.operations import Jobs
from eep_platform.sagemaker.store import Store
from eep_platform.sagemaker.tags import tags_of
from eep_platform.sagemaker.transform.plans import plan
from eep_platform.sagemaker.transform.runner import TransformRunner


class TransformJobOperations(Jobs):
    """The operations on transform jobs, which AWS does not let anybody delete."""

    def __init__(self, store: Store, runner: TransformRunner, events: Outbox[dict[str, Any]]) -> None:
        super().__init__(store.transform_jobs, store, events, describing.transform_job)
        self._runner = runner

    async def create_transform_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTransformJob."""
        tags_of(request)
        self.collection.refuse_duplicate(request["TransformJobName"])
        model = self._store.models.get(request["ModelName"])
        planned, type_ = plan(request), request["TransformResources"]["InstanceType"]
        alike = (
            each.value for each in self.collection if each.value.request["TransformResources"]["InstanceType"] == type_
        )
        refuse_another(self._store.settings.now.quotas, "transform job usage", type_, alike)
        record = self.add(request["TransformJobName"], request)
        self._runner.begin(record, planned, model.value, self.announce)
        return {"TransformJobArn": record.arn}

    async def describe_transform_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTransformJob."""
        return describing.transform_job(self.get(request["TransformJobName"]).value)

    async def list_transform_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTransformJobs."""
        records, token = self.listed(request, order="Descending")
        shown = [describing.transform_summary(record.value) for record in records]
        return {"TransformJobSummaries": shown, "NextToken": token}

    async def stop_transform_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopTransformJob."""
        self._runner.stop(self.stoppable(request["TransformJobName"]), self.announce)
        return {}
