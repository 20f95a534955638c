"""The operations on training and processing jobs, for callers of the API and for the service itself."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from eep_platform.emulation.aws import Aws
from eep_platform.emulation.errors import validation_exception
from eep_platform.emulation.outbox import Outbox
from eep_platform.sagemaker.events import job_state_change
from eep_platform.sagemaker.jobs import describing, processing, training
from eep_platform.sagemaker.jobs.errors import no_objects, not_deletable, not_stoppable
from eep_platform.sagemaker.jobs.limits import refuse_another, refuse_long
from eep_platform.sagemaker.jobs.permissions import Permissions
from eep_platform.sagemaker.jobs.plans import Plan
from eep_platform.sagemaker.jobs.runner import JobRecord, JobRunner
from eep_platform.sagemaker.jobs.states import Job, starting
from eep_platform.sagemaker.jobs.transfer import keys_of
from eep_platform.sagemaker.listing import Fields, listed
from eep_platform.sagemaker.store import Collection, Store
from eep_platform.sagemaker.tags import tags_of

Described = Callable[[Job], dict[str, Any]]

_FIELDS: Final[Fields[JobRecord]] = Fields(
    name=lambda record: record.name,
    times={
        "CreationTime": lambda record: record.created,
        "LastModifiedTime": lambda record: record.value.modified,
    },
    sort_keys={
        "Name": lambda record: record.name,
        "CreationTime": lambda record: record.created.timestamp(),
        "Status": lambda record: record.value.status,
    },
)


class Jobs:
    """What all kinds do alike."""

    def __init__(
        self, collection: Collection[Job], store: Store, events: Outbox[dict[str, Any]], described: Described
    ) -> None:
        self.collection = collection
        self._store = store
        self._events = events
        self._described = described

    def get(self, name: str) -> JobRecord:
        """The job of this name; raises the service's error if there is none.

        AWS does not say whether it takes a name in another case, such as that of an ARN: nobody may rely on it.
        """
        return self.collection.exactly(name)

    def add(self, name: str, request: Mapping[str, Any]) -> JobRecord:
        """Store a new job."""
        job = starting(name, self.collection.arn(name), request, self._store.clock())
        return self.collection.add(name, job, tags_of(request))

    def listed(self, request: Mapping[str, Any], order: str = "Ascending") -> tuple[list[JobRecord], str | None]:
        """The page that a request asks for, in this order unless it says otherwise, and the token of the next."""
        wanted = request.get("StatusEquals")
        found = (record for record in self.collection.visible() if wanted in {None, record.value.status})
        return listed(found, {"SortOrder": order, **request}, _FIELDS)

    def stoppable(self, name: str) -> JobRecord:
        """The job of this name; raises the service's error if it cannot be stopped."""
        record = self.get(name)
        if not record.value.is_stoppable:
            raise not_stoppable(self.collection.noun, record.value.status)
        return record

    def announce(self, record: JobRecord) -> None:
        """Send an event of the job's present state."""
        detail_type = f"SageMaker {self.collection.noun.title()} State Change"
        self._events.put(job_state_change(detail_type, self._described(record.value), record.tags))


class _ContainerJobs(Jobs):
    """What jobs do alike that are one container."""

    def __init__(
        self,
        collection: Collection[Job],
        store: Store,
        runner: JobRunner,
        events: Outbox[dict[str, Any]],
        described: Described,
    ) -> None:
        super().__init__(collection, store, events, described)
        self._runner = runner

    async def ended(self, name: str) -> Job:
        """The job as it ended; waits for that, and raises the service's error if there is no such job."""
        return await self._runner.ended(self.get(name))

    def _begin(self, name: str, request: Mapping[str, Any], plan: Plan) -> JobRecord:
        record = self.add(name, request)
        self._runner.begin(record, plan, self.announce)
        return record

    def _stop(self, name: str) -> dict[str, Any]:
        self._runner.stop(self.stoppable(name))
        return {}

    def _delete(self, name: str) -> dict[str, Any]:
        record = self.get(name)
        if not record.value.is_ended:
            raise not_deletable(self.collection.noun, record.value.status)
        self.collection.remove(name)
        return {}


class TrainingJobOperations(_ContainerJobs):
    """The operations on training jobs."""

    def __init__(self, store: Store, runner: JobRunner, events: Outbox[dict[str, Any]], aws: Aws) -> None:
        super().__init__(store.training_jobs, store, runner, events, describing.training_job)
        self._aws = aws

    async def create_training_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob."""
        name, quotas = request["TrainingJobName"], self._store.settings.now.quotas
        tags_of(request)
        self.collection.refuse_duplicate(name)
        plan = training.plan(request, self._store.account, self.collection.arn(name))
        refuse_long(quotas, plan.max_runtime_seconds)
        await self._refuse_empty(plan)
        spot = training.is_spot(request)
        usage = "spot training job usage" if spot else "training job usage"
        alike = (
            each.value
            for each in self.collection
            if training.is_spot(each.value.request) is spot
            and each.value.request["ResourceConfig"]["InstanceType"] == plan.instance_type
        )
        refuse_another(quotas, usage, plan.instance_type, alike)
        return {"TrainingJobArn": self._begin(name, request, plan).arn}

    async def describe_training_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        return describing.training_job(self.get(request["TrainingJobName"]).value)

    async def list_training_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs."""
        records, token = self.listed(request)
        shown = [describing.training_summary(record.value) for record in records]
        return {"TrainingJobSummaries": shown, "NextToken": token}

    async def stop_training_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopTrainingJob."""
        return self._stop(request["TrainingJobName"])

    async def delete_training_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob."""
        return self._delete(request["TrainingJobName"])

    async def _refuse_empty(self, plan: Plan) -> None:
        account = self._store.account
        permissions = await Permissions.of(plan.role, self._aws, account)
        for source in plan.inputs:
            missing, found = no_objects(source.uri, account.region, plan.role), True
            try:
                found = source.may_be_empty or bool(await keys_of(source, self._aws, permissions))
            except (BotoCoreError, ClientError) as error:
                raise validation_exception(f"{missing} Error message from S3: {error}") from error
            if not found:
                raise validation_exception(missing)


class ProcessingJobOperations(_ContainerJobs):
    """The operations on processing jobs."""

    def __init__(self, store: Store, runner: JobRunner, events: Outbox[dict[str, Any]]) -> None:
        super().__init__(store.processing_jobs, store, runner, events, describing.processing_job)

    async def create_processing_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """CreateProcessingJob."""
        name = request["ProcessingJobName"]
        tags_of(request)
        self.collection.refuse_duplicate(name)
        plan = processing.plan(request, self._store.account, self.collection.arn(name))
        alike = (
            each.value
            for each in self.collection
            if each.value.request["ProcessingResources"]["ClusterConfig"]["InstanceType"] == plan.instance_type
        )
        refuse_another(self._store.settings.now.quotas, "processing job usage", plan.instance_type, alike)
        return {"ProcessingJobArn": self._begin(name, request, plan).arn}

    async def describe_processing_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeProcessingJob."""
        return describing.processing_job(self.get(request["ProcessingJobName"]).value)

    async def list_processing_jobs(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """ListProcessingJobs."""
        records, token = self.listed(request)
        shown = [describing.processing_summary(record.value) for record in records]
        return {"ProcessingJobSummaries": shown, "NextToken": token}

    async def stop_processing_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """StopProcessingJob."""
        return self._stop(request["ProcessingJobName"])

    async def delete_processing_job(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteProcessingJob."""
        return self._delete(request["ProcessingJobName"])
