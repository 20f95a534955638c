import subprocess
import sys


def test_who_reviews_nothing_pays_nothing_for_it_and_nobody_for_cryptography() -> None:
    program = (
        "import sys, ephemeral_endpoints.wiring.operator; before = sorted(sys.modules);"
        "import ephemeral_endpoints.features.reviews.github.forge;"
        "heavy = {'gidgethub', 'jwt', 'cryptography'};"
        "print(sorted(heavy & set(before)), sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stdout.strip() == "[] ['gidgethub']"
