"""Endpoints that fall asleep and wake by an update: they serve the same all the time, and how fast is what changes.

SageMaker takes provisioned concurrency away, and gives it back, by an update to a configuration without or with it:
https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-update.html. The endpoint answers meanwhile.
"""

from ephemeral_endpoints.engine.plan import DesiredState, View, is_ready
from ephemeral_endpoints.engine.resources import Key, ObservedResources
from ephemeral_endpoints.features.serving.specs import ENDPOINT_CONFIG, EndpointSpec


def served_configs(view: View) -> list[str]:
    """The configurations of the endpoints, by the names that they have awake."""
    forms = {each.key: each.spec.forms for each in view.desired.resources if isinstance(each.spec, EndpointSpec)}
    served = ((key, view.own[key].spec) for key in sorted(view.own))
    return [_awake(spec.config, forms.get(key, ())) for key, spec in served if isinstance(spec, EndpointSpec)]


def changing_form(desired: DesiredState, own: ObservedResources) -> frozenset[Key]:
    """The endpoints, with their configurations, that serve as desired but for their provisioned concurrency."""
    found: set[Key] = set()
    for resource in desired.resources:
        observed = own.get(resource.key)
        if not isinstance(resource.spec, EndpointSpec) or observed is None or is_ready(resource, own):
            continue
        configs = {key.name for key in observed.uses if key.kind is ENDPOINT_CONFIG}
        if observed.serves and configs - {resource.spec.config} and configs <= set(resource.spec.forms):
            found |= {resource.key, Key(ENDPOINT_CONFIG, resource.spec.config)}
    return frozenset(found)


def _awake(config: str, forms: tuple[str, ...]) -> str:
    return forms[0] if config in forms else config
