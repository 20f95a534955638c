"""SageMaker Pipelines: pipelines and their versions, executions, and what these leave behind.

Lists of executions are shared by all objects of a pipeline. Every method may raise an error of the ``AwsError`` tree.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError

from ephemeral_endpoints.aws.account import Account
from ephemeral_endpoints.aws.calls import Calls
from ephemeral_endpoints.aws.component import Scope, if_there, items, tag_list, tag_map
from ephemeral_endpoints.aws.errors import translate
from ephemeral_endpoints.engine import errors, tags
from ephemeral_endpoints.engine.names import content_digest
from ephemeral_endpoints.engine.redaction import redacted
from ephemeral_endpoints.engine.tags import CLUSTER, UID
from ephemeral_endpoints.features.monitoring.log_groups import last_lines
from ephemeral_endpoints.features.monitoring.policy import Attempt
from ephemeral_endpoints.features.training.definition import EVALUATE, EVALUATION, canonical
from ephemeral_endpoints.features.training.outcome import Package, Run, Step
from ephemeral_endpoints.features.training.reasons import DefinitionInvalid
from ephemeral_endpoints.features.training.specs import Definition, TrainingSpec

NEWEST: Final = 100
"""So many executions of a pipeline are known, the newest: more than can run at once."""

PREPARED_SECONDS: Final = 600.0
"""For so long a group that was just made is taken to be there."""

LINES: Final = 5
_LONGEST_EVALUATION: Final = 1024 * 1024
JOB_LOGS: Final = {"training-job": "/aws/sagemaker/TrainingJobs", "processing-job": "/aws/sagemaker/ProcessingJobs"}

Key = tuple[Scope, str]


@dataclass(frozen=True, slots=True)
class _Listed:
    """The executions of a pipeline, and when their list began."""

    began: float
    runs: tuple[Run, ...]


@dataclass(slots=True)
class Pipelines:
    """The pipelines of all accounts, by scope and name. ``clock`` is monotonic seconds."""

    clock: Callable[[], float]
    _versions: dict[Key, dict[str, int]] = field(default_factory=dict)
    _listed: dict[Key, _Listed] = field(default_factory=dict)
    _listing: dict[Key, asyncio.Task[None]] = field(default_factory=dict)
    _turns: dict[Key, asyncio.Lock] = field(default_factory=dict)
    _prepared: dict[Key, float] = field(default_factory=dict)

    async def prepare(self, account: Account, calls: Calls, spec: TrainingSpec) -> int:
        """Make the group and the pipeline with this definition if need be; returns the version of the pipeline.

        Costs no call where that was done a short while ago. Raises DefinitionInvalid if SageMaker refuses what people
        have written.
        """
        key, now = (account.scope, spec.group), self.clock()
        if key not in self._prepared or now >= self._prepared[key] + PREPARED_SECONDS:
            await self._ensure_group(account, calls, spec)
            self._prepared[key] = now
        return await self._version(account, calls, spec)

    async def start(self, account: Account, calls: Calls, spec: TrainingSpec, attempt: int) -> Run:
        """Start an execution, once however often it is asked for; the pipeline and the group are made if need be.

        Raises DefinitionInvalid if SageMaker refuses what people have written.
        """
        version = await self.prepare(account, calls, spec)
        # The next one asks again: a sweep or a person may delete the group meanwhile.
        self._prepared.pop((account.scope, spec.group), None)
        name = spec.run_name(attempt)
        try:
            with _judged(spec.definition):
                answer = await calls(
                    account.clients.sagemaker.start_pipeline_execution,
                    PipelineName=spec.pipeline,
                    PipelineVersionId=version,
                    PipelineExecutionDisplayName=name,
                    PipelineParameters=[{"Name": key, "Value": value} for key, value in spec.parameters.items()],
                    ClientRequestToken=content_digest("start", name),
                )
        except errors.NotFound:
            # Somebody has deleted the pipeline: the next attempt makes it again.
            self._versions.pop((account.scope, spec.pipeline), None)
            raise
        return Run(answer["PipelineExecutionArn"], name, "Executing")

    async def stop(self, account: Account, calls: Calls, arn: str) -> None:
        """Have an execution stopped; nothing if it has ended."""
        client = account.clients.sagemaker
        try:
            await calls(
                client.stop_pipeline_execution, PipelineExecutionArn=arn, ClientRequestToken=content_digest("stop", arn)
            )
        except (errors.NotFound, errors.AlreadyExists, errors.InProgress, errors.Invalid):
            # It is gone, has ended, or is being stopped: the next list shows which.
            return

    async def used(self, account: Account, calls: Calls, prefix: str, *, begun_after: datetime) -> tuple[str, ...]:
        """The pipelines whose names begin so, and that have begun an execution since."""
        # SageMaker takes no prefix that ends in a hyphen, which no name may end in.
        method, begins = account.clients.sagemaker.list_pipelines, prefix.rstrip("-")
        found = await items(calls, method, "PipelineSummaries", PipelineNamePrefix=begins, MaxResults=NEWEST)
        return tuple(
            each["PipelineName"]
            for each in found
            if each["PipelineName"].startswith(prefix)
            and "LastExecutionTime" in each
            and each["LastExecutionTime"] > begun_after
        )

    async def runs(self, account: Account, pipeline: str, *, since: float) -> tuple[Run, ...]:
        """The newest executions, the newest first, by a list that began at or after ``since``; callers share lists."""
        key = (account.scope, pipeline)
        while (listed := self._listed.get(key)) is None or listed.began < since:
            running = self._listing.get(key)
            if running is None:
                running = self._listing[key] = asyncio.create_task(self._list(account, key))
            await asyncio.shield(running)
        return listed.runs

    async def steps(self, account: Account, calls: Calls, arn: str) -> tuple[Step, ...]:
        """The steps of an execution that have started, in their order."""
        method = account.clients.sagemaker.list_pipeline_execution_steps
        found = await items(
            calls, method, "PipelineExecutionSteps", PipelineExecutionArn=arn, SortOrder="Ascending", MaxResults=NEWEST
        )
        return tuple(map(_step, found))

    async def package(self, account: Account, calls: Calls, arn: str) -> Package | None:
        """A package that can be served; None if there is none of that ARN, or its registration failed."""
        answer = await if_there(calls(account.clients.sagemaker.describe_model_package, ModelPackageName=arn))
        if answer is None or answer.get("ModelPackageStatus") == "Failed":
            return None
        containers: Any = answer.get("InferenceSpecification", {}).get("Containers") or [{}]
        quality: Any = answer.get("ModelMetrics", {}).get("ModelQuality", {})
        return Package(
            arn=arn,
            group=answer.get("ModelPackageGroupName", ""),
            image=containers[0].get("Image", ""),
            data_url=containers[0].get("ModelDataUrl", ""),
            evaluation=quality.get("Statistics", {}).get("S3Uri"),
        )

    async def evaluation(self, account: Account, calls: Calls, steps: tuple[Step, ...]) -> str | None:
        """The S3 URL of the figures of a model that was not registered; None where no step of ours made any."""
        step = next((each for each in steps if each.name == EVALUATE and each.job_arn), None)
        answer = await self._processing_job(account, calls, step) if step else None
        outputs: Any = answer.get("ProcessingOutputConfig", {}).get("Outputs", []) if answer else []
        folder = next((each["S3Output"]["S3Uri"] for each in outputs if each["OutputName"] == EVALUATION), None)
        return f"{folder.rstrip('/')}/evaluation.json" if folder else None

    async def _processing_job(self, account: Account, calls: Calls, step: Step) -> Mapping[str, Any] | None:
        """The job of a step; None if there is none any more.

        The name in its ARN is in lower case, and AWS does not say whether its calls take that for the job's name.
        """
        client, job = account.clients.sagemaker, step.streams
        answer = await if_there(calls(client.describe_processing_job, ProcessingJobName=job.job))
        if answer is not None:
            return answer
        # The prefix has the name of the step as it is written.
        jobs = await items(calls, client.list_processing_jobs, "ProcessingJobSummaries", NameContains=job.prefix)
        name = next((each["ProcessingJobName"] for each in jobs if each["ProcessingJobArn"] == step.job_arn), None)
        return await if_there(calls(client.describe_processing_job, ProcessingJobName=name)) if name else None

    async def read(self, account: Account, calls: Calls, url: str) -> bytes | None:
        """The beginning of an object in S3; None if there is none."""
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        try:
            client = await loop.run_in_executor(calls.pool, account.clients.s3)
            answer = await if_there(calls(client.get_object, Bucket=parts.netloc, Key=parts.path.lstrip("/")))
            return await loop.run_in_executor(calls.pool, _beginning, answer["Body"]) if answer else None
        except BotoCoreError as error:
            raise translate(error, "GetObject") from error

    async def last_lines(self, account: Account, calls: Calls, step: Step) -> tuple[str, ...]:
        """The last telling lines of the log of a step's job, without what looks like a secret."""
        group = JOB_LOGS.get((step.job_arn or "").rpartition(":")[2].partition("/")[0])
        if group is None:
            return ()
        found = await last_lines(calls, account.clients.logs, group, Attempt(), count=LINES, job=step.streams)
        return tuple(map(redacted, found))

    async def _ensure_group(self, account: Account, calls: Calls, spec: TrainingSpec) -> None:
        """Make the group if there is none."""
        # Teams may have made it themselves: the class names the groups.
        with suppress(errors.AlreadyExists, errors.InProgress):
            await calls(
                account.clients.sagemaker.create_model_package_group,
                ModelPackageGroupName=spec.group,
                ModelPackageGroupDescription="Models that commits have trained",
                Tags=tag_list(spec.tags),
            )

    async def _version(self, account: Account, calls: Calls, spec: TrainingSpec) -> int:
        """The version of the pipeline with this definition; it is made if the newest one has another."""
        key, digest = (account.scope, spec.pipeline), _digest(spec.definition.text, spec.role_arn)
        async with self._turns.setdefault(key, asyncio.Lock()):
            if key not in self._versions:
                self._versions[key] = await self._known_version(account, calls, spec)
            known = self._versions[key]
            if digest not in known:
                # If its answer is lost, the next attempt finds the version that was made.
                del self._versions[key]
                self._versions[key] = known = {**known, digest: await self._new_version(account, calls, spec)}
            return known[digest]

    async def _known_version(self, account: Account, calls: Calls, spec: TrainingSpec) -> dict[str, int]:
        """The newest version by its definition; makes the pipeline if there is none."""
        client = account.clients.sagemaker
        found = await if_there(calls(client.describe_pipeline, PipelineName=spec.pipeline))
        if found is None:
            with _judged(spec.definition):
                await calls(
                    client.create_pipeline,
                    PipelineName=spec.pipeline,
                    PipelineDefinition=spec.definition.text,
                    RoleArn=spec.role_arn,
                    Tags=tag_list(spec.tags),
                    ClientRequestToken=content_digest("create", spec.pipeline, spec.definition.digest),
                )
            digest = _digest(spec.definition.text, spec.role_arn)
        else:
            await self._verify_ownership(account, calls, spec, found["PipelineArn"])
            digest = _digest(found.get("PipelineDefinition", ""), found.get("RoleArn", ""))
        answer = await calls(
            client.list_pipeline_versions, PipelineName=spec.pipeline, SortOrder="Descending", MaxResults=1
        )
        return {digest: answer["PipelineVersionSummaries"][0]["PipelineVersionId"]}

    async def _new_version(self, account: Account, calls: Calls, spec: TrainingSpec) -> int:
        with _judged(spec.definition):
            answer = await calls(
                account.clients.sagemaker.update_pipeline,
                PipelineName=spec.pipeline,
                PipelineDefinition=spec.definition.text,
                RoleArn=spec.role_arn,
            )
        return answer["PipelineVersionId"]

    async def _verify_ownership(self, account: Account, calls: Calls, spec: TrainingSpec, arn: str) -> None:
        found = tag_map(await items(calls, account.clients.sagemaker.list_tags, "Tags", ResourceArn=arn))
        wanted = dict(spec.tags)
        if not tags.is_owned(found, cluster_id=wanted[CLUSTER], uid=wanted[UID]):
            raise errors.NameConflict(
                f"the pipeline {spec.pipeline} exists without the tags of this class: delete it or restore its tags; "
                "the operator does not touch it"
            )

    async def _list(self, account: Account, key: Key) -> None:
        began = self.clock()
        try:
            answer = await if_there(
                account.calls(
                    account.clients.sagemaker.list_pipeline_executions,
                    PipelineName=key[1],
                    SortBy="CreationTime",
                    SortOrder="Descending",
                    MaxResults=NEWEST,
                )
            )
            found = answer["PipelineExecutionSummaries"] if answer else []
            self._listed[key] = _Listed(began, tuple(map(_run, found)))
        finally:
            del self._listing[key]


@contextmanager
def _judged(definition: Definition) -> Iterator[None]:
    """Tell those who have written a definition that SageMaker refuses it."""
    try:
        yield
    except errors.Invalid as error:
        if not definition.place:
            raise
        raise DefinitionInvalid.by_sagemaker(definition.place, error) from error


def _run(item: Mapping[str, Any]) -> Run:
    return Run(
        item["PipelineExecutionArn"],
        item.get("PipelineExecutionDisplayName", ""),
        item["PipelineExecutionStatus"],
        item.get("PipelineExecutionFailureReason", ""),
    )


def _step(item: Mapping[str, Any]) -> Step:
    metadata: Any = item.get("Metadata", {})
    jobs = (metadata.get(name, {}).get("Arn") for name in ("TrainingJob", "ProcessingJob"))
    return Step(
        name=item["StepName"],
        status=item["StepStatus"],
        job_arn=next((arn for arn in jobs if arn), None),
        is_cached=bool(item.get("CacheHitResult", {}).get("SourcePipelineExecutionArn")),
        failure=item.get("FailureReason", "") or metadata.get("Fail", {}).get("ErrorMessage", ""),
        outcome=metadata.get("Condition", {}).get("Outcome"),
        package=metadata.get("RegisterModel", {}).get("Arn"),
        is_fail="Fail" in metadata,
    )


def _digest(text: str, role_arn: str) -> str:
    """By which a version is known: another client may have laid its definition out differently."""
    try:
        return content_digest(canonical(json.loads(text)), role_arn)
    except (ValueError, RecursionError):
        return ""


def _beginning(body: Any) -> bytes:
    with body:
        return bytes(body.read(_LONGEST_EVALUATION))
