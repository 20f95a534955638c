"""A result with a figure of its own everywhere, to be changed by tests."""

from dataclasses import replace

from eep_platform.bench.figures import Bound, Spread
from eep_platform.bench.results import (
    Builds,
    BuildTimes,
    Burst,
    Forwarder,
    Imaged,
    Machine,
    Measured,
    Memory,
    Naive,
    OffAndOn,
    Reaped,
    ReaperRun,
    Rest,
    Restart,
    ReviewMemory,
    Reviews,
    ReviewsAtRest,
    Trained,
    Trainings,
    Trickle,
)

MB = 1024**2
MACHINE = Machine("2026-11-21", "abc1234", "A processor", 2, 24 * 1024**3, 0.5, {"Python": "3.11.4", "kopf": "1.45.2"})


def measured(objects: int = 300) -> Measured:
    """A result that keeps every promise."""
    return Measured(
        objects=objects,
        machine=MACHINE,
        create_seconds=5.0,
        burst=Burst(
            seconds=200.0,
            bound=Bound(195.0, "PutMetricAlarm 3/s"),
            beyond_aws=Spread(objects, 0.31, 0.91, 1.2),
            mutating={"CreateEndpoint": float(objects), "PutMetricAlarm": 2.0 * objects},
            reading={"ListEndpoints": objects / 2},
            throttled=3,
            writes={"POST events": 6.0 * objects},
        ),
        trickle=Trickle(
            objects=20,
            created=Spread(20, 0.52, 0.98, 1.1),
            acted=Spread(20, 0.05, 0.07, 0.1),
            updated=Spread(20, 0.53, 0.99, 1.1),
            deleted=Spread(20, 0.04, 0.07, 0.1),
            writes_created={"POST events": 120.0, "PATCH ephemeralendpoints": 20.0},
            writes_updated={"POST events": 60.0},
            writes_deleted={"POST events": 20.0},
        ),
        rest=Rest(
            idle_seconds=10.0,
            idle_calls=0,
            idle_cpu_seconds=0.01,
            seconds=30.0,
            snapshots=6,
            calls={"ListModels": 18.0, "GetApis": 6.0},
            writes={},
            cpu_seconds=1.23,
        ),
        restart=Restart(2.5, {}, {"ListModels": 3.0}, {}, changed=0, ready=objects),
        memory=Memory(100 * MB, 110 * MB, 108 * MB),
        teardown=Burst(
            seconds=61.0,
            bound=Bound(59.0, "DeleteLogGroup 10/s"),
            beyond_aws=Spread(objects, 0.05, 0.2, 0.3),
            mutating={"DeleteEndpoint": float(objects)},
            reading={},
            throttled=0,
            writes={},
        ),
        left_behind=0,
        naive=Naive(30, 30.0, 60.0, {"DescribeEndpoint": 60.0}, {"PATCH ephemeralendpoints/status": 60.0}),
    )


def builds() -> Builds:
    """Builds of three rounds, of which the second is the median."""
    return Builds(
        machine=replace(MACHINE, commit="def5678"),
        cold=[_imaged(20.0 + seconds, BuildTimes(0.25 + seconds, 19.0, 0.5 + seconds)) for seconds in (1.0, 0.0, -0.1)],
        warm=[_imaged(4.0 + seconds, BuildTimes(0.02, 3.5, 0.4)) for seconds in (-1.0, 0.0, 9.0)],
        present=[_imaged(0.1, None)] * 3,
    )


def _imaged(seconds: float, build: BuildTimes | None) -> Imaged:
    asking = {"codebuild StartBuild": 1.0, "codebuild BatchGetBuilds": seconds} if build else {}
    return Imaged(
        image_seconds=seconds, ready_seconds=seconds + 2, calls={"ecr BatchGetImage": 1.0, **asking}, build=build
    )


def reviews() -> Reviews:
    """Pull requests that keep every promise."""
    return Reviews(
        machine=replace(MACHINE, commit="fed9876"),
        grace=1.0,
        notified=[4.0, 7.0, 5.0],
        polled=[20.0, 54.0, 37.0],
        left_behind=0,
        first_revision={"repos/create-deployment": 1.0, "issues/create-comment": 1.0},
        next_revision={"repos/create-deployment": 1.0, "issues/update-comment": 2.0},
        at_rest=ReviewsAtRest(1000, 20, 1800.0, {"graphql": 150.0, "issues/list-comments-for-repo": 60.0}, 0),
        memory=ReviewMemory(OffAndOn(10, 100 * MB, 102 * MB), OffAndOn(310, 150 * MB, 154 * MB), 170 * MB),
    )


def forwarder() -> Forwarder:
    """A forwarder that keeps every promise."""
    return Forwarder(
        machine=replace(MACHINE, commit="cab1234"),
        answered=Spread(500, 6.5, 12.0, 20.0),
        overhead=Spread(500, 0.52, 1.4, 3.0),
        bare=Spread(500, 5.5, 10.0, 18.0),
        validated=Spread(500, 0.05, 0.1, 0.3),
        imported=Spread(9, 350.0, 400.0, 400.0),
        request_bytes=1040,
        bundle_bytes=195_000,
        page_bytes=19_500,
    )


def trainings() -> Trainings:
    """Trainings of three rounds that keep every promise, and of which the second is the median."""
    return Trainings(
        machine=replace(MACHINE, commit="bad1234"),
        first=[_trained(30.0 + more, 0.4) for more in (9.0, 0.0, -1.0)],
        changed=[_trained(12.0, 0.1 + more) for more in (1.0, 0.0, -0.05)],
        cached=[_trained(5.0, 0.2)] * 3,
        rest_seconds=90.0,
        rest_calls={},
    )


def _trained(ready: float, started: float) -> Trained:
    calls = {"StartPipelineExecution": 1.0, "ListPipelineExecutions": 2.0}
    return Trained(started_seconds=started, modelled_seconds=0.6, ready_seconds=ready, calls=calls)


def reaped() -> Reaped:
    """A reaper that keeps every promise."""
    return Reaped(
        machine=replace(MACHINE, commit="dad1234"),
        previews=300,
        at_rest=ReaperRun(1.5, {"sagemaker": 3.0, "cloudwatch": 1.0}, deleted=0, waiting=0, failed=0),
        all_due=[
            ReaperRun(100.0, {"sagemaker": 500.0, "logs": 700.0}, deleted=900, waiting=200, failed=0),
            ReaperRun(120.0, {"sagemaker": 900.0, "logs": 1100.0}, deleted=1200, waiting=100, failed=0),
        ],
        left_behind=0,
    )
