"""Notices that time has jumped: timers stand while the machine sleeps or is paused, and ends of life come nevertheless.

On Linux the monotonic clock, by which the event loop's timers run, does not count the time that the machine slept
(https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ephemeral_endpoints.aws.limits import Sleep

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 15.0
TOLERANCE: Final = timedelta(seconds=5)
"""More than the rounding of the API server's time, and than an answer may take."""


async def notice_jumps(
    now: Callable[[], datetime], clock: Callable[[], float], on_jump: Callable[[], None], sleep: Sleep = asyncio.sleep
) -> None:
    """Until cancelled, call ``on_jump`` when ``now`` has moved on by more than ``clock``, which is monotonic seconds.

    ``now`` is the API server's time: it is right again with its first answer, whether this machine noticed or not.
    """
    before = now() - timedelta(seconds=clock())
    while True:
        await sleep(LOOK_SECONDS)
        after = now() - timedelta(seconds=clock())
        if after - before > TOLERANCE:
            logger.warning(
                "the machine slept, or its clock was behind: all objects are looked at again",
                extra={"seconds": round((after - before).total_seconds())},
            )
            on_jump()
        before = after
