"""Classes that publish."""

from pathlib import Path
from typing import Any

import yaml

from ephemeral_endpoints.api.v1alpha1.endpoint_class import EphemeralEndpointClass

_EXAMPLE = yaml.safe_load((Path(__file__).parents[3] / "examples" / "endpoint-class.yaml").read_text(encoding="utf-8"))


def class_with(*grants: tuple[str, list[str]], **reviews: Any) -> EphemeralEndpointClass:  # noqa: ANN401 - members
    """The class of the examples with these grants of repositories to namespaces; without any it has no forge."""
    spec = {key: value for key, value in _EXAMPLE["spec"].items() if key != "reviews"}
    if grants:
        repositories = [{"repository": name, "namespaces": namespaces} for name, namespaces in grants]
        spec["reviews"] = {"secretName": "forge-github", "repositories": repositories, **reviews}
    metadata = {**_EXAMPLE["metadata"], "uid": "uid-of-the-class"}
    return EphemeralEndpointClass.model_validate({**_EXAMPLE, "metadata": metadata, "spec": spec})
