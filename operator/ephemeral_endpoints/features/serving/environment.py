"""The variables of an object's models whose values are in ConfigMaps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from ephemeral_endpoints.api.v1alpha1.model import Model
from ephemeral_endpoints.api.v1alpha1.types import Environment
from ephemeral_endpoints.engine.errors import ReconcileError
from ephemeral_endpoints.features.reconciliation import Reconciliation
from ephemeral_endpoints.features.serving.reasons import EnvironmentUnavailable
from ephemeral_endpoints.features.step import Step
from ephemeral_endpoints.kube.cache import ObjectKey
from ephemeral_endpoints.kube.configmaps import UNWATCHED_SECONDS, ConfigMaps
from ephemeral_endpoints.kube.errors import KubernetesError

_REFERRER: Final = "environment"
_ENVIRONMENT: Final[TypeAdapter[Mapping[str, str]]] = TypeAdapter(Environment)


def variables(model: Model, found: Mapping[str, Mapping[str, str] | None]) -> dict[str, str]:
    """The variables of ``environmentFrom`` by the data of the ConfigMaps, None for one that does not exist.

    Raises EnvironmentUnavailable for what does not exist, and for values that no environment can have.
    """
    values: dict[str, str] = {}
    for source in model.environment_from:
        if reference := source.config_map_key_ref:
            data = found[reference.name]
            if data is None:
                raise EnvironmentUnavailable(f"the ConfigMap {reference.name} does not exist: create it")
            if reference.key not in data:
                raise EnvironmentUnavailable(f"the ConfigMap {reference.name} has no key {reference.key}: add it")
            values[source.name] = data[reference.key]
    try:
        _ENVIRONMENT.validate_python({**values, **model.environment})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = ": ".join([*map(str, first["loc"]), str(first["msg"]).removeprefix("Value error, ")])
        raise EnvironmentUnavailable(f"the values of ConfigMaps make no valid environment: {message}") from error
    return values


@dataclass(slots=True)
class EnvironmentMemory:
    """The variables, None while they are not known, and why they are not. ``key`` is the object's."""

    variables: Mapping[str, str] | None = None
    error: ReconcileError | None = None
    key: ObjectKey | None = None


class EnvironmentStep(Step[EnvironmentMemory]):
    """Reads the ConfigMaps that an object refers to. ``configmaps`` enqueues it when one changes."""

    def __init__(self, configmaps: ConfigMaps) -> None:
        super().__init__(EnvironmentMemory)
        self._configmaps = configmaps

    async def run(self, reconciliation: Reconciliation) -> None:
        """Find the values of all variables; what keeps it from that is an ``error`` of its memory."""
        memory, model = self.memory(reconciliation.uid), reconciliation.subject.endpoint.spec.model
        memory.variables, memory.error, memory.key = None, None, reconciliation.key
        try:
            memory.variables = variables(model, await self._read(reconciliation.key, model))
        except EnvironmentUnavailable as error:
            memory.error = error
        except KubernetesError as error:
            memory.error = error.problem("GetConfigMap")

    def due(self, reconciliation: Reconciliation) -> float | None:
        """See ``Step``."""
        if not reconciliation.subject.endpoint.spec.model.environment_from or self._configmaps.is_watched:
            return None
        return UNWATCHED_SECONDS

    def forget(self, uid: str) -> None:
        """See ``Step``."""
        if key := self.memory(uid).key:
            self._configmaps.refer(key, (), _REFERRER)
        super().forget(uid)

    async def _read(self, key: ObjectKey, model: Model) -> dict[str, Mapping[str, str] | None]:
        """The data of each ConfigMap that the model refers to. Raises KubernetesError."""
        references = (each.config_map_key_ref for each in model.environment_from)
        names = sorted({reference.name for reference in references if reference})
        self._configmaps.refer(key, names, _REFERRER)
        return {name: await self._configmaps.data(key.namespace or "", name) for name in names}
