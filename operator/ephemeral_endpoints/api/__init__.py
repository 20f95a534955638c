"""The API group `ephemeral-endpoints.io`: pydantic models, and the CRDs and the field reference generated from them."""

from typing import Final

GROUP: Final = "ephemeral-endpoints.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "ephemeral-endpoints.io/v1alpha1"
RECONCILE_AT_ANNOTATION: Final = "ephemeral-endpoints.io/reconcile-at"
"""Whenever its value changes, AWS is looked at anew for this object, and what failed is tried again at once."""

ABANDON_ANNOTATION: Final = "ephemeral-endpoints.io/abandon"
"""Set to "true" on an object that is being deleted, it lets the object go although things of it are left in AWS."""

DEFAULT_CLASS_ANNOTATION: Final = "ephemeral-endpoints.io/is-default-class"
"""Set to "true" on the EphemeralEndpointClass that serves objects which name none."""

APPROVED_ANNOTATION: Final = "ephemeral-endpoints.io/approved-revision"
"""The one commit of a fork's pull request that may be built, as somebody says who may approve objects."""
