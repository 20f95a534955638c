"""What docs/security.md says is proven is proven by something that exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PROOFS = sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE)))
LINKS = sorted(set(re.findall(r"\]\(([^)#]+)", PAGE + (ROOT / "SECURITY.md").read_text(encoding="utf-8"))))


@pytest.mark.parametrize("proof", PROOFS)
def test_a_proof_is_a_test(proof: str) -> None:
    path, _, name = proof.partition("::")
    assert (ROOT / path).exists()
    assert not name or re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_somewhere(link: str) -> None:
    assert (ROOT / "docs" / link).exists() or (ROOT / link).exists()


def test_every_test_of_abuse_is_the_proof_of_something() -> None:
    files = {f"tests/abuse/{path.name}" for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)}
    assert files <= {proof.partition("::")[0] for proof in PROOFS}
