"""The life that the model and the experts have in common: each is one supervised process."""

from __future__ import annotations

from inference_backend.runtime.supervisor import Readiness, SupervisedProcess


class ProcessBacked:
    """Loads, may fail, and ends as its process does; what it is asked to do is its subclass's business."""

    def __init__(self, process: SupervisedProcess) -> None:
        self._process = process

    @property
    def readiness(self) -> Readiness:
        return self._process.readiness

    @property
    def detail(self) -> str:
        """Why it failed, empty while it has not."""
        return self._process.detail

    @property
    def pid(self) -> int | None:
        """The process that lives now."""
        return self._process.pid

    async def start(self) -> None:
        """Begin to load; returns at once."""
        await self._process.start()

    async def stop(self) -> None:
        """End the process."""
        await self._process.stop()

    async def until_ready(self) -> None:
        """Wait while it loads.

        Raises:
            VilaM3Error: it failed for good.
        """
        await self._process.until_ready()
