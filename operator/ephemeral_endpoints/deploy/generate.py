"""Write the files in examples/aws, or check that they are current.

python -m ephemeral_endpoints.deploy.generate examples/aws [--check]
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from ephemeral_endpoints.deploy import cloudformation, policies, reaper_stack
from ephemeral_endpoints.deploy import policy_page as page
from ephemeral_endpoints.features.expiry.reaper import bundle

_DONE, _STALE = 0, 1


def files() -> dict[str, str]:
    """The content of every generated file by path. Raises ValueError if code and statements disagree."""
    policies.check()
    return {
        **{f"policies/{each.name}.json": f"{json.dumps(each.template(), indent=2)}\n" for each in policies.POLICIES},
        "policies/README.md": page.page(),
        "cloudformation.yaml": cloudformation.stack(),
        "class.yaml": cloudformation.class_stack(),
        "reaper.yaml": reaper_stack.stack(),
        "reaper/index.py": bundle.source(),
        "domain.yaml": cloudformation.domain_stack(),
        "github-oidc.yaml": cloudformation.workflow_stack(),
    }


def stale(folder: Path, wanted: Mapping[str, str]) -> list[Path]:
    """The files that are missing or outdated, and policy files that are no longer generated."""
    there = {path.relative_to(folder).as_posix() for path in folder.glob("policies/*.json")}
    differ = {name for name, text in wanted.items() if not _is(folder / name, text)}
    return [folder / name for name in sorted(differ | (there - wanted.keys()))]


def main() -> int:
    """Run the program; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ephemeral_endpoints.deploy.generate", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--check", action="store_true", help="write nothing; exit status 1 if a file is not current")
    options = parser.parse_args()
    wanted = files()
    for path in stale(options.folder, wanted):
        if options.check:
            sys.stderr.write(f"{path} is not current: run make generate\n")
            continue
        text = wanted.get(path.relative_to(options.folder).as_posix())
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return _STALE if options.check and stale(options.folder, wanted) else _DONE


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
