"""The API group `ephemeral-endpoints.io`: pydantic models, and the CRDs and the field reference generated from them."""

from typing import Final

GROUP: Final = "ephemeral-endpoints.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = "ephemeral-endpoints.io/v1alpha1"
MANAGER: Final = "ephemeral-endpoints"
"""The manager of what the operator writes to Kubernetes: in `managedFields`, and in the label of what it makes."""

MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

STAGE_KIND: Final = "ModelStage"
"""The kind of the objects that own endpoints which never end by themselves."""

FINALIZER: Final = "ephemeral-endpoints.io/cleanup"
"""Keeps an object until nothing of it is left in AWS."""

RECONCILE_AT_ANNOTATION: Final = "ephemeral-endpoints.io/reconcile-at"
"""Whenever its value changes, AWS is read again for this object, and failures are retried at once."""

CHECK_AT_ANNOTATION: Final = "ephemeral-endpoints.io/check-at"
"""Whenever its value changes, the checks of the object are run again."""

ROTATE_TOKEN_ANNOTATION: Final = "ephemeral-endpoints.io/rotate-token"  # noqa: S105 - the name of an annotation
"""Whenever its value changes, the object gets a new API token; the one before is accepted for another hour."""

ABANDON_ANNOTATION: Final = "ephemeral-endpoints.io/abandon"
"""Set to "true" on an object that is being deleted, it releases the object although resources of it are left in AWS."""

EXTEND_UNTIL_ANNOTATION: Final = "ephemeral-endpoints.io/extend-until"
"""A time of RFC 3339 until which the object lives at least, as far as its class's maxTtl allows."""

PIN_ANNOTATION: Final = "ephemeral-endpoints.io/pinned"
"""Set to "true", the object lives as long as its class's maxTtl allows, whatever its time to live."""

SLEEP_ANNOTATION: Final = "ephemeral-endpoints.io/sleep"
"""A time of RFC 3339: the object sleeps, unless it was woken later."""

WAKE_ANNOTATION: Final = "ephemeral-endpoints.io/wake"
"""A time of RFC 3339: the object is awake, and counts as used until then."""

COMPARE_AT_ANNOTATION: Final = "ephemeral-endpoints.io/compare-at"
"""Whenever its value changes, the object is compared with its base again."""

DEFAULT_CLASS_ANNOTATION: Final = "ephemeral-endpoints.io/is-default-class"
"""Set to "true" on the EphemeralEndpointClass that serves objects which name none."""

PULL_REQUEST_CLOSED_ANNOTATION: Final = "ephemeral-endpoints.io/pull-request-closed"
"""When the operator ended the object because its pull request was closed, RFC 3339 in UTC."""

PULL_REQUEST_MERGED_ANNOTATION: Final = "ephemeral-endpoints.io/pull-request-merged"
"""The same of a pull request that was merged."""

OVER_BUDGET_ANNOTATION: Final = "ephemeral-endpoints.io/over-budget"
"""``<time>=<commit>/<extend-until>``: when the operator ended the object because of a budget, RFC 3339 in UTC.

It is void as soon as the object has another commit, or its life is extended.
"""

HEAD_ANNOTATION: Final = "ephemeral-endpoints.io/head"
"""``<spec.source.revision>=<head>``: the commit that is served in place of that one, with ``spec.source.follow``.

It is void as soon as the spec names another revision.
"""

CONFIRM_CLOSED_ANNOTATION: Final = "ephemeral-endpoints.io/confirm-closed"
"""A time on an EphemeralEndpointClass, RFC 3339 in UTC: what was closed until then is closed, however much it is."""

APPROVED_ANNOTATION: Final = "ephemeral-endpoints.io/approved-build"
"""The digest of the one build that may run, as set by a user who may approve objects."""

FORMER_APPROVAL: Final = "ephemeral-endpoints.io/approved-revision"
"""Once named an approved commit, whatever was built from it. It approves nothing, and is named to those who have it."""

APPROVED_VERSION_ANNOTATION: Final = "ephemeral-endpoints.io/approved-version"
"""The one version that a ModelStage may promote, as set by a user who may approve stages."""

APPROVED_BY_ANNOTATION: Final = "ephemeral-endpoints.io/approved-by"
"""The user who set the approved version; the API server admits no other name."""
