"""The Secret that a class names, with errors that say who must act."""

from collections.abc import Mapping

from ephemeral_endpoints.features.reviews.errors import ForgeSecretMissing, ForgeUnavailable
from ephemeral_endpoints.kube.errors import Denied, KubernetesError
from ephemeral_endpoints.kube.secrets import OwnSecrets


class ClassSecret:
    """A Secret in the operator's own namespace."""

    def __init__(self, secrets: OwnSecrets, name: str) -> None:
        self._secrets = secrets
        self._name = name
        self.where = f"the Secret {secrets.namespace}/{name}"
        """For people."""

    async def data(self) -> Mapping[str, bytes]:
        """Its decoded data. Raises ForgeSecretMissing, or ForgeUnavailable where the API server does not answer."""
        try:
            found = await self._secrets.data(self._name)
        except Denied:
            raise ForgeSecretMissing(
                f"the operator may not read {self.where}: a platform engineer must add {self._name} to the value "
                "secrets of the chart; the operator looks again within 5 minutes"
            ) from None
        except KubernetesError as error:
            raise ForgeUnavailable(f"{self.where} cannot be read: {error}; the operator tries again") from None
        if found is None:
            raise ForgeSecretMissing(
                f"{self.where} does not exist: a platform engineer must create it, or correct spec.reviews.secretName "
                "of the class; the operator looks again within 5 minutes"
            )
        return found

    def forget(self) -> None:
        """Have it read again: what it holds was refused."""
        self._secrets.forget(self._name)
