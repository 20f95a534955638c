"""Whether policies allow something.

The evaluation is ministack's, which follows IAM's documented logic
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

from ephemeral_endpoints.iam.authorization import Context, Demand, Place

_RESOURCE_TAG = "aws:resourcetag/"
_ALLOW = "Allow"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What policies say to a demand; ``sid`` of the statement that decided."""

    allowed: bool
    sid: str = ""
    explicit: bool = False
    """Whether a statement denies it, and not just none allows it."""
    needed: bool = False
    """Whether the one statement alone allows it."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The identity-based policies of one principal."""

    principal: str
    documents: tuple[tuple[ParsedStatement, ...], ...]

    @classmethod
    def parse(cls, principal: str, documents: Sequence[Mapping[str, Any]]) -> Self:
        """Raises ValueError for what IAM would not take as a policy document."""
        for each in documents:
            if problem := validate_policy_document(dict(each)):
                raise ValueError(problem)
        return cls(principal, tuple(tuple(parse_policy_document(dict(each))) for each in documents))

    def asks_for_tags(self, action: str) -> bool:
        """Whether what is said of an action depends on the tags of its resource."""
        return any(
            _RESOURCE_TAG in key.lower()
            for document in self.documents
            for statement in document
            if any(fnmatch_iam(action, pattern) for pattern in statement.actions)
            for keys in statement.conditions.values()
            for key in keys
        )

    def opinion(self, demand: Demand, place: Place, tags: Callable[[], Mapping[str, str]]) -> Opinion:
        """What they say; ``tags`` of the resource are asked for only where they matter."""
        found = tags() if self.asks_for_tags(demand.action) else {}
        context: Context = {**demand.context, **{f"aws:ResourceTag/{key}": value for key, value in found.items()}}
        asked = EvalContext(
            principal_arn=self.principal,
            principal_type="User",
            principal_account=place.account,
            action=demand.action,
            resource_arn=demand.resource,
            region=place.region,
            # What a request does not have must not look like an empty list.
            service_context={"aws:tagkeys": None, **{key.lower(): value for key, value in context.items()}},
        )
        result = evaluate(asked, [list(each) for each in self.documents])
        if result.decision != _ALLOW:
            return Opinion(allowed=False, sid=result.matched_sid, explicit=result.decision == "Deny")
        others = [[row for row in each if row.sid != result.matched_sid] for each in self.documents]
        return Opinion(allowed=True, sid=result.matched_sid, needed=evaluate(asked, others).decision != _ALLOW)
