"""What ministack's rules of EventBridge lack of AWS's, as wrappers of its functions.

- A rule that has targets cannot be deleted, and what does not exist has no targets
  (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html).
- A rule has at most five targets (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html).
- Tags of PutRule are for new rules only (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html).
- A rule runs a function only if the policy of the function lets it, and a function without permissions has no policy
  (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

_MOST_TARGETS: Final = 5

Answer = tuple[int, dict[str, str], bytes]
Handle = Callable[[dict[str, Any]], Answer]
TargetsOf = Callable[[str], Sequence[Any] | None]
Invoke = Callable[..., None]
Refuse = Callable[[str, str, int], Answer]


class RuleRefusals:
    """``targets_of`` returns the targets of a rule; None if there is no such rule."""

    def __init__(self, targets_of: TargetsOf, refuse: Refuse) -> None:
        self._targets_of = targets_of
        self._refuse = refuse

    def of_deletions(self, delete: Handle) -> Handle:
        """Delete a rule that has no targets."""

        def delete_bare(data: dict[str, Any]) -> Answer:
            if self._targets_of(data["Name"]):
                message = "Rule can't be deleted since it has targets."
                return self._refuse("ValidationException", message, HTTPStatus.BAD_REQUEST)
            return delete(data)

        return delete_bare

    def of_targets(self, handle: Handle) -> Handle:
        """Handle a call about the targets of a rule that exists."""

        def handle_known(data: dict[str, Any]) -> Answer:
            if self._targets_of(data["Rule"]) is None:
                message = f"Rule {data['Rule']} does not exist on EventBus default."
                return self._refuse("ResourceNotFoundException", message, HTTPStatus.BAD_REQUEST)
            return handle(data)

        return handle_known

    def of_more_targets(self, put: Handle) -> Handle:
        """Put targets of a rule that has not too many of them then."""

        def put_few(data: dict[str, Any]) -> Answer:
            ids = {each["Id"] for each in (*(self._targets_of(data["Rule"]) or ()), *data["Targets"])}
            if len(ids) > _MOST_TARGETS:
                message = "The requested resource exceeds the maximum number allowed."
                return self._refuse("LimitExceededException", message, HTTPStatus.BAD_REQUEST)
            return put(data)

        return put_few

    def of_puts(self, put: Handle) -> Handle:
        """Put a rule without the tags of one that exists already."""

        def put_untagged(data: dict[str, Any]) -> Answer:
            is_new = self._targets_of(data["Name"]) is None
            return put(data if is_new else {key: each for key, each in data.items() if key != "Tags"})

        return put_untagged


def if_permitted(invoke: Invoke, policy_of: Callable[[str], tuple[Mapping[str, Any], str] | None]) -> Invoke:
    """Invoke a target, if it is a function only with its permission."""

    def invoke_permitted(target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], *rest: Any) -> None:  # noqa: ANN401 - ministack has no types
        arn = str(target.get("Arn", ""))
        found = policy_of(arn) if ":lambda:" in arn else None
        if found is None or any(_permits(each, rule["Arn"]) for each in found[0]["Statement"]):
            invoke(target, event, rule, *rest)

    return invoke_permitted


def _permits(statement: Mapping[str, Any], rule: str) -> bool:
    source = statement.get("Condition", {}).get("ArnLike", {}).get("AWS:SourceArn", rule)
    return statement.get("Principal") in ("*", {"Service": "events.amazonaws.com"}) and source == rule


def with_permissions(get: Callable[..., Answer], refuse: Refuse) -> Callable[..., Answer]:
    """The policy of a function that has any permissions."""

    def get_policy(*request: Any) -> Answer:  # noqa: ANN401 - ministack has no types
        status, headers, body = get(*request)
        if status == HTTPStatus.OK and not json.loads(json.loads(body)["Policy"])["Statement"]:
            message = "The resource you requested does not exist."
            return refuse("ResourceNotFoundException", message, HTTPStatus.NOT_FOUND)
        return status, headers, body

    return get_policy
