"""Evaluates policies.

ministack does the evaluation by IAM's documented logic
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ministack.core.iam_evaluator import (
    EvalContext,
    ParsedStatement,
    evaluate,
    fnmatch_iam,
    parse_policy_document,
    validate_policy_document,
)

from eep_platform.aws.guard.rules import CallScope, ConditionKeys, RequiredAction

_RESOURCE_TAG = "aws:resourcetag/"
_ALLOW = "Allow"


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The decision of policies on an action; ``sid`` names the statement that decided."""

    allowed: bool
    sid: str = ""
    explicit: bool = False
    """Whether a statement denies the action, rather than none allowing it."""
    needed: bool = False
    """Whether no other statement allows the action."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The identity-based policies of one principal."""

    principal: str
    documents: tuple[tuple[ParsedStatement, ...], ...]

    @classmethod
    def parse(cls, principal: str, documents: Sequence[Mapping[str, Any]]) -> Self:
        """Parse policy documents. Raises ValueError for documents that IAM would reject."""
        for each in documents:
            if problem := validate_policy_document(dict(each)):
                raise ValueError(problem)
        return cls(principal, tuple(tuple(parse_policy_document(dict(each))) for each in documents))

    def asks_for_tags(self, action: str) -> bool:
        """Whether the statements about an action depend on the tags of its resource."""
        return any(
            _RESOURCE_TAG in key.lower()
            for document in self.documents
            for statement in document
            if any(fnmatch_iam(action, pattern) for pattern in statement.actions)
            for keys in statement.conditions.values()
            for key in keys
        )

    def decision(
        self, required: RequiredAction, scope: CallScope, tags: Callable[[], Mapping[str, str]]
    ) -> PolicyDecision:
        """The decision on an action; reads the ``tags`` of its resource only if they matter."""
        found = tags() if self.asks_for_tags(required.action) else {}
        keys: ConditionKeys = {**required.keys, **{f"aws:ResourceTag/{key}": value for key, value in found.items()}}
        asked = EvalContext(
            principal_arn=self.principal,
            principal_type="User",
            principal_account=scope.id,
            action=required.action,
            resource_arn=required.resource,
            region=scope.region,
            # A missing key must not look like an empty list.
            service_context={"aws:tagkeys": None, **{key.lower(): value for key, value in keys.items()}},
        )
        result = evaluate(asked, [list(each) for each in self.documents])
        if result.decision != _ALLOW:
            return PolicyDecision(allowed=False, sid=result.matched_sid, explicit=result.decision == "Deny")
        others = [[row for row in each if row.sid != result.matched_sid] for each in self.documents]
        return PolicyDecision(allowed=True, sid=result.matched_sid, needed=evaluate(asked, others).decision != _ALLOW)
