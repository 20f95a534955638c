"""The page of annotations, labels and tags is complete, and true."""

import re
from datetime import UTC, datetime
from pathlib import Path

from ephemeral_endpoints.api import GROUP, VERSION
from ephemeral_endpoints.deploy.annotations import TAGS, keys
from ephemeral_endpoints.engine.tags import RETAIN, class_tags, owner_tags

ROOT = Path(__file__).parents[2]
NOT_KEYS = {
    f"{GROUP}/{VERSION}": "the version of the API",
    f"{GROUP}/build": "begins what the digest of a build is made of",
}
MOMENT = datetime(2026, 11, 29, tzinfo=UTC)


def test_every_key_of_ours_in_the_sources_is_explained() -> None:
    files = [*ROOT.glob("operator/ephemeral_endpoints/**/*.py"), *ROOT.glob("charts/*/templates/**/*.*")]
    found = {
        key for file in files for key in re.findall(rf"{re.escape(GROUP)}/[a-z0-9-]+", file.read_text(encoding="utf-8"))
    }
    assert len(found) > 10
    assert found - NOT_KEYS.keys() - keys() == set()
    assert {key for key in keys() if key.startswith(GROUP)} - found <= {each.key for each in TAGS}


def test_the_tags_of_the_page_are_those_that_resources_get() -> None:
    of_object = owner_tags(
        cluster_id="c1",
        namespace="n",
        name="o",
        uid="u",
        class_name="c",
        created_at=MOMENT,
        expires_at=MOMENT,
        pull_request=1,
    )
    given = {key for key, _ in (*of_object, *class_tags(cluster_id="c1", name="o", uid="u"))}
    assert {each.key for each in TAGS} == given | {RETAIN}
