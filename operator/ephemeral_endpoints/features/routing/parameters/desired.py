"""The parameter of an object, below the prefix of its class.

There is one for each object, with all names in it: SSM takes three writes a second of an account.
"""

import json

from ephemeral_endpoints.engine.plan import DesiredState
from ephemeral_endpoints.engine.resources import DesiredResource, Key
from ephemeral_endpoints.features.routing.parameters.specs import PARAMETER, ParameterSpec, digest_of
from ephemeral_endpoints.features.routing.specs import FUNCTION
from ephemeral_endpoints.features.serving.desired import endpoint_keys, variants_of
from ephemeral_endpoints.features.subject import Resolved, Subject


def desired(subject: Subject, resolved: Resolved, state: DesiredState) -> DesiredState:
    """The parameter, if the class has a prefix. It names a revision only once the endpoint and the URL serve it."""
    policy = subject.endpoint_class.spec.parameters
    if policy is None:
        return DesiredState()
    served = endpoint_keys(variants_of(subject)) | {Key(FUNCTION, subject.names.base)}
    if not served <= {each.key for each in state.resources} or (resolved.owns_path and resolved.url is None):
        return DesiredState(keep_kinds=frozenset({PARAMETER}))
    metadata, value = subject.endpoint.metadata, _value(subject, resolved)
    name = f"{policy.prefix}/{metadata.namespace}/{metadata.name}/{subject.names.base}"
    spec = ParameterSpec(digest_of(value), value=value, tags=subject.tags)
    return DesiredState((DesiredResource(Key(PARAMETER, name), spec, needs=served, after=served),))


def _value(subject: Subject, resolved: Resolved) -> str:
    variants = variants_of(subject)
    endpoints = {each.endpoint for each in variants}
    names = {
        "namespace": subject.endpoint.metadata.namespace,
        "name": subject.endpoint.metadata.name,
        "revision": subject.endpoint.revision,
        "region": subject.endpoint_class.spec.region,
        "url": resolved.url if resolved.owns_path else None,
        "endpointName": endpoints.pop() if len(endpoints) == 1 else None,
        "variants": [{"name": each.name, "endpointName": each.endpoint, "weight": each.weight} for each in variants],
    }
    return json.dumps(names, separators=(",", ":"))
