"""The build queue: runs as many builds at once as the settings allow, in the order of their start requests."""

from eep_platform.codebuild.settings import BuildSettings


class Slots:
    """The slots of running builds."""

    def __init__(self, settings: BuildSettings) -> None:
        self._settings = settings
        self._waiting: list[object] = []
        self._taken = 0

    async def take(self) -> None:
        """Wait in line and take a slot, which `give_back` frees; a cancelled wait takes none."""
        me = object()
        self._waiting.append(me)
        try:
            await self._settings.until(lambda: self._waiting[0] is me and self._taken < self._settings.now.concurrency)
            self._taken += 1
        finally:
            self._waiting.remove(me)
            self._settings.recheck()

    def give_back(self) -> None:
        """Free a slot."""
        self._taken -= 1
        self._settings.recheck()
