"""Which builds run: as many at once as the settings allow, the others wait in the order in which they came."""

from ephemeral_endpoints.local.codebuild.settings import SettingsHolder


class Slots:
    """The places of builds that run."""

    def __init__(self, settings: SettingsHolder) -> None:
        self._settings = settings
        self._waiting: list[object] = []
        self._taken = 0

    async def take(self) -> None:
        """Wait for a turn and take a place, which `give_back` frees; a waiting that is cancelled takes none."""
        me = object()
        self._waiting.append(me)
        try:
            await self._settings.until(lambda: self._waiting[0] is me and self._taken < self._settings.now.concurrency)
            self._taken += 1
        finally:
            self._waiting.remove(me)
            self._settings.recheck()

    def give_back(self) -> None:
        """Free a place."""
        self._taken -= 1
        self._settings.recheck()
