"""The API group `ephemeral-endpoints.io`: pydantic models, and the CRDs and the field reference generated from them."""

from typing import Final

GROUP: Final = "ephemeral-endpoints.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "ephemeral-endpoints.io/v1alpha1"
DEFAULT_CLASS_ANNOTATION: Final = "ephemeral-endpoints.io/is-default-class"
"""Set to "true" on the EphemeralEndpointClass that serves objects which name none."""
