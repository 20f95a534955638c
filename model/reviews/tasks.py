"""What each model answers: requests and answers as JSON, as the schemas in `schemas/` describe them."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from model.reviews.classifier import Classifier
from model.reviews.generator import MOST_WORDS, Generator

Answer = dict[str, object]
Task = Callable[[Mapping[str, Any]], Answer]

MOST_CHARACTERS: Final = 10_000
_MOST_SEED: Final = 2**31 - 1


class InvalidRequest(ValueError):  # noqa: N818 (what happened)
    """A request that the model does not answer; the message is for the caller."""


def generator(folder: Path, environment: Mapping[str, str] = os.environ) -> Task:
    """Writes a review. Its settings are ORDER and TEMPERATURE. Raises ValueError for others than it has."""
    model = Generator.load(folder, int(environment.get("ORDER") or 3), float(environment.get("TEMPERATURE") or 1))

    def answer(asked: Mapping[str, Any]) -> Answer:
        prompt = _text(asked, "prompt", default="This")
        most = _number(asked, "words", 1, MOST_WORDS, default=40)
        seed = _number(asked, "seed", 0, _MOST_SEED) if "seed" in asked else None
        return {"text": model.write(prompt, most, seed), "order": model.order, "temperature": model.temperature}

    return answer


def classifier(folder: Path) -> Task:
    """Says how the author of a review felt."""
    model = Classifier.load(folder)

    def answer(asked: Mapping[str, Any]) -> Answer:
        scores = {label: round(score, 4) for label, score in model.classify(_text(asked, "text")).items()}
        label = max(sorted(scores), key=lambda each: scores[each])
        return {"label": label, "score": scores[label], "scores": scores}

    return answer


TASKS: Final[Mapping[str, Callable[[Path], Task]]] = {"generator": generator, "classifier": classifier}


def _text(asked: Mapping[str, Any], name: str, default: str | None = None) -> str:
    found = asked.get(name, default)
    if not isinstance(found, str) or len(found) > MOST_CHARACTERS:
        raise InvalidRequest(f"{name} must be a text of at most {MOST_CHARACTERS} characters")
    return found


def _number(asked: Mapping[str, Any], name: str, least: int, most: int, default: int | None = None) -> int:
    found = asked.get(name, default)
    if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
        raise InvalidRequest(f"{name} must be an integer from {least} to {most}")
    return found
