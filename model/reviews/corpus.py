"""The text that both models learn from: reviews of wines from a small grammar, with how their author felt."""

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

GOOD, BAD = "positive", "negative"
LABELS: Final = (BAD, GOOD)

_WINES: Final = ("Riesling", "Merlot", "Pinot Noir", "Chardonnay", "Barbera", "Syrah", "Malbec", "Grenache")
_NOTES: Final = ("cherry", "plum", "lime", "peach", "leather", "cedar", "smoke", "violets", "pepper", "honey")
_PARTS: Final = ("finish", "nose", "palate", "body", "colour")
_FOOD: Final = ("lamb", "goat cheese", "mushrooms", "grilled fish", "chocolate", "a long evening")
_WORDS: Final = {
    GOOD: ("elegant", "fresh", "balanced", "generous", "bright", "silky", "deep", "lively"),
    BAD: ("flat", "bitter", "thin", "tired", "harsh", "watery", "sour", "dull"),
}
_VERDICTS: Final = {
    GOOD: (
        "I would buy it again .",
        "It goes well with {food} .",
        "A bottle was empty too soon .",
        "It is not {other} at all .",
        "Worth every cent .",
    ),
    BAD: (
        "I would not buy it again .",
        "Not even {food} helps .",
        "Most of the bottle is still there .",
        "It is not {other} at all .",
        "Not worth a cent .",
    ),
}
_OPENINGS: Final = (
    "This {wine} is {word} , with notes of {note} and {note2} .",
    "The {wine} has a {word} {part} and a {word2} {part2} .",
    "A {word} {wine} that smells of {note} .",
    "The {part} of this {wine} is {word} , the {part2} {word2} .",
    "At first the {wine} seems {other} , then it turns {word} .",
)


class Review(NamedTuple):
    """A text and its label."""

    text: str
    label: str


def reviews(count: int, seed: int) -> list[Review]:
    """So many reviews, the same for the same seed; every second one is positive."""
    generator = random.Random(seed)  # noqa: S311 (a corpus is no secret)
    return [_review(LABELS[number % len(LABELS)], generator) for number in range(count)]


def _review(label: str, generator: random.Random) -> Review:
    def two(words: Sequence[str]) -> list[str]:
        return generator.sample(words, 2)

    [word, word2], [note, note2], [part, part2] = two(_WORDS[label]), two(_NOTES), two(_PARTS)
    [other] = {*LABELS} - {label}
    filled = {
        "word": word,
        "word2": word2,
        "note": note,
        "note2": note2,
        "part": part,
        "part2": part2,
        "wine": generator.choice(_WINES),
        "food": generator.choice(_FOOD),
        "other": generator.choice(_WORDS[other]),
    }
    sentences = (generator.choice(_OPENINGS), generator.choice(_VERDICTS[label]))
    return Review(" ".join(sentences).format_map(filled), label)
