"""The API group `ephemeral-endpoints.io`: pydantic models, and the CRDs and the field reference generated from them."""

from typing import Final

GROUP: Final = "ephemeral-endpoints.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "ephemeral-endpoints.io/v1alpha1"
MANAGER: Final = "ephemeral-endpoints"
"""The manager of what the operator writes to Kubernetes: in `managedFields`, and in the label of what it makes."""

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

FINALIZER: Final = "ephemeral-endpoints.io/cleanup"
"""Keeps an object until nothing of it is left in AWS."""

RECONCILE_AT_ANNOTATION: Final = "ephemeral-endpoints.io/reconcile-at"
"""Whenever its value changes, AWS is read again for this object, and failures are retried at once."""

ABANDON_ANNOTATION: Final = "ephemeral-endpoints.io/abandon"
"""Set to "true" on an object that is being deleted, it releases the object although resources of it are left in AWS."""

DEFAULT_CLASS_ANNOTATION: Final = "ephemeral-endpoints.io/is-default-class"
"""Set to "true" on the EphemeralEndpointClass that serves objects which name none."""

APPROVED_ANNOTATION: Final = "ephemeral-endpoints.io/approved-build"
"""The digest of the one build that may run, as set by a user who may approve objects."""

FORMER_APPROVAL: Final = "ephemeral-endpoints.io/approved-revision"
"""Once named an approved commit, whatever was built from it. It approves nothing, and is named to those who have it."""
