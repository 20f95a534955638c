"""The annotations that send objects to sleep and wake them."""

import click

from ephemeral_endpoints.api import WAKE_ANNOTATION
from ephemeral_endpoints.cli.connection import Cluster
from ephemeral_endpoints.cli.objects import annotate, read
from ephemeral_endpoints.engine.tags import timestamp
from ephemeral_endpoints.features.capacity.budget_stage import keeps_asleep
from ephemeral_endpoints.features.sleep.policy import WHAT_SLEEPS, later_than, never_sleeps


async def give(cluster: Cluster, name: str, annotation: str, *, opposite: str) -> None:
    """Set the annotation to the present time, or to one after that of the opposite command.

    Raises ClickException for an object that cannot sleep, or that its budget keeps asleep, and KubernetesError.
    """
    _, endpoint = await read(cluster, name)
    if never_sleeps(endpoint):
        raise click.ClickException(f"{name} does not sleep: {WHAT_SLEEPS}, and no endpoint of a stage")
    if annotation == WAKE_ANNOTATION and (budget := keeps_asleep(endpoint)):
        raise click.ClickException(f"{name} stays asleep: {budget.message}")
    at = later_than(endpoint.metadata.annotations.get(opposite, ""), cluster.now())
    await annotate(cluster, name, annotation, timestamp(at))
