"""Tags of AWS resources that the platform team and the authors of objects choose, beside the owner tags."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import Field

from ephemeral_endpoints.api.rules import Rule
from ephemeral_endpoints.api.v1alpha1.base import ApiModel

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Tag.html; the other services accept the same.
_KEY_LENGTH: Final = 128
_VALUE_LENGTH: Final = 256
_MOST: Final = 20
_MOST_OF_CLASS: Final = 19
# AWS takes 50 tags of a resource: these, and the owner tags.
_CHARACTERS: Final = r"[\\p{L}\\p{Z}\\p{N}_.:/=+@-]"
_OURS: Final = ("createdat", "environment", "managedby", "pr_number")
_RESERVED: Final = ("aws:", "ephemeral-endpoints.io/")

PLACEHOLDERS: Final = ("namespace", "name", "repository", "pullRequest", "branch")
"""What a class's tag values may refer to in braces."""


def _is_written_in_tags(text: str) -> bool:
    return all(unicodedata.category(each)[0] in "LZN" or each in "_.:/=+@-" for each in text)


def _is_reserved(key: str) -> bool:
    return key.lower() in _OURS or key.lower().startswith(_RESERVED)


_RULES: Final = (
    Rule(
        cel=f"self.all(key, size(key) >= 1 && size(key) <= {_KEY_LENGTH} && key.matches('^{_CHARACTERS}+$'))",
        message=f"keys must be 1 to {_KEY_LENGTH} letters, digits, spaces and _.:/=+-@: AWS accepts no others",
        holds=lambda tags: all(0 < len(key) <= _KEY_LENGTH and _is_written_in_tags(key) for key in tags),
    ),
    Rule(
        cel=f"!self.exists(key, key.lowerAscii() in {list(_OURS)!r}"
        f" || {' || '.join(f'key.lowerAscii().startsWith({each!r})' for each in _RESERVED)})",
        message="must not set aws:…, ephemeral-endpoints.io/…, CreatedAt, Environment, ManagedBy or PR_Number: those "
        "are AWS's and the operator's own",
        holds=lambda tags: not any(map(_is_reserved, tags)),
    ),
)

UserTags = Annotated[
    Mapping[str, Annotated[str, Field(max_length=_VALUE_LENGTH)]],
    Field(max_length=_MOST),
    *_RULES,
    Rule(
        cel=f"self.all(key, self[key].matches('^{_CHARACTERS}*$'))",
        message="values must be letters, digits, spaces and _.:/=+-@: AWS accepts no others",
        holds=lambda tags: all(map(_is_written_in_tags, tags.values())),
    ),
]
"""Tags of one object, as they are."""

_NAMES: Final = "|".join(PLACEHOLDERS)

TagTemplates = Annotated[
    Mapping[str, Annotated[str, Field(max_length=_VALUE_LENGTH)]],
    Field(max_length=_MOST_OF_CLASS),
    *_RULES,
    Rule(
        cel=rf"self.all(key, self[key].matches('^({_CHARACTERS}|\\{{({_NAMES})\\}})*$'))",
        message="values must be letters, digits, spaces and _.:/=+-@, and placeholders: "
        + ", ".join(f"{{{each}}}" for each in PLACEHOLDERS),
        holds=lambda tags: all(
            _is_written_in_tags(re.sub(rf"\{{({_NAMES})\}}", "", template)) for template in tags.values()
        ),
    ),
]
"""Tags of a class, whose values may refer to the object."""

TagKeyGlob = Annotated[
    str,
    Field(min_length=1, max_length=_KEY_LENGTH),
    Rule(
        cel=r"self.matches('^[\\p{L}\\p{Z}\\p{N}_.:/=+@*?-]+$')",
        message="must be the key of a tag in which * matches any characters and ? one, such as team or cost-*",
        holds=lambda key: _is_written_in_tags(key.replace("*", "").replace("?", "")),
    ),
]


class TagPolicy(ApiModel):
    """Tags of everything that is created in AWS, beside the owner tags."""

    values: TagTemplates = Field(default_factory=dict)
    """Tags by their keys, at most 19: {CostCenter: "{namespace}"}. A value may contain {namespace}, {name},
    {repository}, {pullRequest} and {branch} of the object; characters that AWS does not accept become _. Resources that
    the objects of a class share have only the tags without placeholders. Tags that are removed here stay on what exists
    already. Default empty."""

    allowed_keys: Annotated[tuple[TagKeyGlob, ...], Field(max_length=50)] = ()
    """Keys of tags that objects may set, at most 50, as patterns in which * stands for any characters and ? for one. An
    object's value takes the place of the class's. Default none."""
