"""Functions on this machine: each keeps a few workers warm, and lets no more events in at once than it has of them."""

import asyncio
import importlib.metadata
from pathlib import Path

from tools.local.worker import Answer, Code, Worker

RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")


class Busy(Exception):
    """Every worker of a function was busy for as long as the caller would wait."""


def runtime_folder(target: Path) -> Path:
    """Fill *target* with awslambdaric and what it needs, and nothing else of this environment. Return *target*.

    Functions see it behind their layers, so that a package that is missing in a layer is missing here too.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            link = target / top
            link.unlink(missing_ok=True)
            link.symlink_to(Path(str(distribution.locate_file(top))).resolve())
    return target


class Function:
    """A function with its warm workers: as many events at once as it has workers, the others wait in line."""

    def __init__(self, code: Code, *, log: Path, most: int) -> None:
        """Prepare a function of at most *most* workers that write to the file *log*."""
        self.code = code
        self._most = most
        log.write_bytes(b"")
        self._file = log.open("ab")
        self._workers: set[Worker] = set()
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._waiting = 0
        self._starting: set[asyncio.Task[None]] = set()

    async def warm(self) -> Worker:
        """Start the first worker, and return it once it is ready or broken."""
        self._grow()
        worker = await self._idle.get()
        self._idle.put_nowait(worker)
        return worker

    async def invoke(self, event: bytes, *, wait_s: float) -> Answer:
        """Return the function's answer to *event* (JSON). Raises Busy when no worker is free for *wait_s*."""
        worker = await self._lease(wait_s)
        try:
            return await worker.invoke(event)
        except asyncio.CancelledError:
            await worker.stop()
            raise
        finally:
            await self._give_back(worker)

    async def renew(self, code: Code) -> None:
        """Use *code* from now on: idle workers end now, busy ones after their event."""
        self.code = code
        while not self._idle.empty():
            await self._retire(self._idle.get_nowait())
        self._grow()

    async def stop(self) -> None:
        """End every worker."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._file.close()

    async def _lease(self, wait_s: float) -> Worker:
        self._waiting += 1
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    if self._idle.empty():
                        self._grow()
                    worker = await self._idle.get()
                    if worker.code is self.code and (worker.alive or worker.broken):
                        return worker
                    await self._retire(worker)
        except TimeoutError as error:
            raise Busy(self.code.name) from error
        finally:
            self._waiting -= 1

    async def _give_back(self, worker: Worker) -> None:
        if worker.alive and worker.code is self.code:
            self._idle.put_nowait(worker)
            return
        await self._retire(worker)
        if self._waiting:
            self._grow()

    def _grow(self) -> None:
        if len(self._workers) >= self._most:
            return
        worker = Worker(self.code, self._file)
        self._workers.add(worker)
        task = asyncio.create_task(self._start(worker))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self, worker: Worker) -> None:
        await worker.start()
        self._idle.put_nowait(worker)

    async def _retire(self, worker: Worker) -> None:
        self._workers.discard(worker)
        await worker.stop()
