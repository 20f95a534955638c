"""``python -m ephemeral_endpoints.features.checks.load``: what the Job of a load check runs.

It reads its plan and writes its report where variables say (see ``job_specs``), and prints nothing but its own faults.
Exit code 0: there is a report, whatever it says of the endpoint.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ephemeral_endpoints.features.checks.load.generator import measure_url
from ephemeral_endpoints.features.checks.load.job_specs import PLAN_VARIABLE, RESULT_VARIABLE, TOKEN_VARIABLE
from ephemeral_endpoints.features.checks.load.plan import LoadPlan
from ephemeral_endpoints.features.checks.load.report import report


def token_of(file: str | None) -> Callable[[], str | None]:
    """Reads the token anew for each request: the kubelet writes a changed one to the file, which is in memory."""
    return (lambda: Path(file).read_text(encoding="utf-8").strip()) if file else lambda: None


def main(environment: Mapping[str, str]) -> int:
    """Put the load on, and write the report; returns the exit code."""
    plan = LoadPlan.from_json(environment[PLAN_VARIABLE])
    measured = asyncio.run(measure_url(plan, token_of(environment.get(TOKEN_VARIABLE))))
    Path(environment[RESULT_VARIABLE]).write_text(report(measured).to_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
