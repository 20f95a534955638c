"""What AWS alone can do to a job, for tests."""

from aiohttp import web

from eep_platform.sagemaker.jobs.runner import JobRunner
from eep_platform.sagemaker.store import Store


async def interrupt(store: Store, runner: JobRunner, request: web.Request) -> web.Response:
    """Take the spot instance of a training job away."""
    runner.interrupt(store.training_jobs.get(request.match_info["name"]))
    return web.Response(status=204)
