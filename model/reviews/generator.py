"""A Markov chain over words: the next one is drawn by how often it followed the last few in the corpus."""

import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from model.reviews import words

ARTEFACT: Final = "generator.json"
MOST_ORDER: Final = 3
MOST_WORDS: Final = 200
END: Final = ""
"""Follows the last word of a text."""

Followers = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Generator:
    """Writes texts.

    ``followers`` has how often a word followed others, by these, joined by spaces. ``order`` is how many words the next
    one depends on, 1..3: with fewer, texts wander more. ``temperature`` above 1 favours rare words, below 1 frequent.
    """

    followers: Followers
    order: int = MOST_ORDER
    temperature: float = 1.0

    @classmethod
    def learn(cls, texts: Iterable[str]) -> Self:
        """The chain of a corpus."""
        followers: dict[str, Counter[str]] = defaultdict(Counter)
        for text in texts:
            found = [*words.split(text), END]
            for position, word in enumerate(found):
                for length in range(min(position, MOST_ORDER) + 1):
                    followers[" ".join(found[position - length : position])][word] += 1
        return cls(followers)

    @classmethod
    def load(cls, folder: Path, order: int, temperature: float) -> Self:
        """The trained chain. Raises ValueError for an order or a temperature that it does not have."""
        if not 1 <= order <= MOST_ORDER:
            raise ValueError(f"ORDER must be 1 to {MOST_ORDER}, not {order}")
        if not 0.1 <= temperature <= 10:  # noqa: PLR2004 (beyond, it is all the same)
            raise ValueError(f"TEMPERATURE must be 0.1 to 10, not {temperature}")
        return cls(json.loads((folder / ARTEFACT).read_text(encoding="utf-8")), order, temperature)

    def save(self, folder: Path) -> None:
        """Write the artefact; equal corpora yield equal bytes."""
        content = json.dumps(self.followers, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        (folder / ARTEFACT).write_text(content, encoding="utf-8")

    def write(self, prompt: str, most: int, seed: int | None) -> str:
        """A text that goes on from the prompt, with at most so many further words; the same for the same seed."""
        drawing = random.Random(seed)  # noqa: S311 (a text is no secret)
        written = words.split(prompt)
        for _ in range(most):
            word = self._next(written, drawing)
            if word == END:
                break
            written.append(word)
        return words.join(written)

    def _next(self, written: Sequence[str], drawing: random.Random) -> str:
        # What never stood in the corpus has no followers: fewer words then decide.
        for length in range(min(self.order, len(written)), 0, -1):
            if found := self.followers.get(" ".join(written[-length:])):
                return self._draw(found, drawing)
        return self._draw(self.followers[""], drawing)

    def _draw(self, found: Mapping[str, int], drawing: random.Random) -> str:
        candidates = sorted(found)
        weights = [math.pow(found[each], 1 / self.temperature) for each in candidates]
        return drawing.choices(candidates, weights)[0]
