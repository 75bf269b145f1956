"""Watch decoding processes from outside: how long each file takes them, how much memory, and what comes of it."""

from __future__ import annotations

import subprocess
import threading
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seehear import decoder


class Watch:
    """What the decoding processes do, seen from outside: how long and what each file took, and what came of it."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.printed: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stand between the pool and its processes."""
        plain, pipes = decoder.Decoder.decode, decoder.subprocess
        watch = self

        class Loud(subprocess.Popen):  # type: ignore[type-arg]
            def __init__(self, command: Any, **options: Any) -> None:
                super().__init__(command, **{**options, "stderr": subprocess.PIPE})
                threading.Thread(target=watch._listen, args=(self.stderr,), daemon=True).start()

        def decode(one: Any, job: Any, seconds: float) -> Iterator[Any]:
            file = watch.files.setdefault(job.key, {"seconds": 0.0, "opened": False, "error": None, "why": ""})
            with suppress(OSError):
                Path(f"/proc/{one._process.pid}/clear_refs").write_text("5")
            events = plain(one, job, seconds)
            while True:
                began = time.monotonic()
                event = next(events, None)
                file["seconds"] += time.monotonic() - began
                if event is None:
                    return
                file["opened"] |= isinstance(event, decoder.Opened)
                if isinstance(event, decoder.Finished):
                    file["peak"] = memory(one._process.pid, "VmHWM")
                    file["error"] = type(event.error).__name__ if event.error else None
                    file["why"] = str(event.error or "")
                yield event

        decoder.Decoder.decode = decode  # type: ignore[method-assign]
        decoder.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": Loud})  # type: ignore[attr-defined]
        try:
            yield
        finally:
            decoder.Decoder.decode, decoder.subprocess = plain, pipes  # type: ignore[method-assign,attr-defined]

    def _listen(self, pipe: Any) -> None:
        self.printed += [line.decode(errors="replace").rstrip() for line in pipe]


def memory(process: int | str, name: str = "VmRSS") -> float:
    """Memory of a process, MB; 0 where it is gone, or there is no /proc."""
    with suppress(OSError, ValueError, IndexError):
        told = Path(f"/proc/{process}/status").read_text()
        return int(told.partition(f"{name}:")[2].split()[0]) / 1024
    return 0.0


@contextmanager
def sampled() -> Iterator[dict[str, float]]:
    """The most memory of this process, of its largest child, and of all together, MB."""
    most = {"parent": memory("self"), "child": 0.0, "all": 0.0}
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(0.02):
            children: list[str] = []
            for tasks in Path("/proc/self/task").glob("*/children"):
                with suppress(OSError):
                    children += tasks.read_text().split()
            mine, theirs = memory("self"), [memory(child) for child in children]
            found = {"parent": mine, "child": max(theirs, default=0.0), "all": mine + sum(theirs)}
            most.update({name: max(value, most[name]) for name, value in found.items()})

    watching = threading.Thread(target=sample, daemon=True)
    watching.start()
    yield most
    ended.set()
    watching.join()
