"""What SageMaker has to ask of automatic scaling before it changes an endpoint."""

from typing import Protocol

from ephemeral_endpoints.local.sagemaker.endpoints import Deployment


class Scaling(Protocol):
    """The variants that are registered as scalable targets."""

    def refuse_update(self, endpoint_name: str, present: Deployment, pending: Deployment) -> None:
        """Raise `ValidationException` if an update may not be made as long as a variant is registered."""

    async def forget(self, endpoint_name: str) -> None:
        """Deregister the variants of an endpoint that is being deleted."""
