"""What SageMaker needs of automatic scaling when it changes an endpoint."""

from typing import Protocol

from eep_platform.sagemaker.endpoints import Deployment


class Scaling(Protocol):
    """The variants that are registered as scalable targets."""

    def refuse_update(self, endpoint_name: str, present: Deployment, pending: Deployment) -> None:
        """Raise `ValidationException` if an update is not allowed while a variant is registered."""

    async def forget(self, endpoint_name: str) -> None:
        """Deregister the variants of a deleted endpoint."""
