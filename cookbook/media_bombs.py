"""Let bombs go off: files that are small on a disk and claim, or become, far more. What each costs, what comes of it.

    python cookbook/media_bombs.py [--models mini] [--cheap] [--only WORD] [--folder KEPT]

Each (`bombs.py`) is decoded as `Library.add` decodes it, by a decoding process that has decoded a good file before, and
nothing that left it larger. Printed for each: bytes on the disk; milliseconds from when the process was given it until
it was done; MB of memory that it took at most beyond what it had (VmHWM, Linux); and what came of it, either why it was
refused or what it was taken in as, and in how many segments (of an animated picture the first frame alone is decoded).

Then each is a question, `Query(image=)` and `Query(audio=)`: told of is what takes more than 1 s, or is an error that
is none of ours. Playlists and references name a server of ours on this machine; printed is how often it was asked: 0 is
wanted. Last, what took more than 1 s, or more than 64 MB. The exit status is 1 where a file took more than five
minutes, where an error was not foreseen, or where the server was asked. `--cheap` leaves out what takes seconds to make
or to decode.
"""

from __future__ import annotations

import argparse
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import seed_media
from bombs import Bomb, bombs
from mutated_media import MODELS, UNFORESEEN
from watched_decoding import memory

from seehear import Library, Query
from seehear.decoder import Decoder, Finished, Job, Opened, Piece
from seehear.errors import DecoderDied, SeehearError

SLOW = 1000  # milliseconds, and megabytes, above which a file is told of again
LARGE = 64
KEPT = 4  # MB that a process may have grown by to be used again
LONGEST = 300.0  # seconds in which a file has to be done with


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a file."""

    words: str
    seconds: float
    memory: float
    """MB beyond what the process had."""
    error: SeehearError | None


class Server:
    """A server on this machine that nobody should ever ask; it counts who does."""

    def __init__(self) -> None:
        self.asked = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.asked += 1

    def close(self) -> None:
        self._socket.close()


@contextmanager
def peak(process: int) -> Iterator[list[float]]:
    """The most memory of a process, MB, kept by the kernel and read every few milliseconds, as it may end."""
    most, ended = [0.0], threading.Event()
    with suppress(OSError):
        Path(f"/proc/{process}/clear_refs").write_text("5")

    def read() -> None:
        while not ended.wait(0.01):
            most[0] = max(most[0], memory(process, "VmHWM"))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    yield most
    ended.set()
    reading.join()
    most[0] = max(most[0], memory(process, "VmHWM"))


class Bench:
    """A decoding process that has decoded a good file; another one after each bomb that left a mark on it."""

    def __init__(self, library: Library, good: Path) -> None:
        self.pool = library._parts.pool
        self._good = Job("good", good, within=[str(good.parent)])
        self._decoder: Decoder | None = None

    def decoder(self) -> Decoder:
        """The process."""
        if self._decoder is None:
            self._decoder = self.pool._lend()
            for event in self._decoder.decode(self._good, self.pool.limits.seconds):
                if isinstance(event, Finished) and event.error:
                    raise event.error
        return self._decoder

    def close(self) -> None:
        """End it."""
        if self._decoder is not None:
            self._decoder.kill()
            self._decoder = None

    def decoded(self, path: Path) -> Outcome:
        """Decode a file."""
        decoder = self.decoder()
        before = memory(decoder._process.pid)
        opened, channels, error = None, Counter[str](), None
        began = time.monotonic()
        with peak(decoder._process.pid) as most:
            job = Job("bomb", path, within=[str(path.parent)])
            for event in decoder.decode(job, self.pool.limits.seconds):
                opened = event if isinstance(event, Opened) else opened
                channels.update([event.segment.channel] if isinstance(event, Piece) else [])
                error = event.error if isinstance(event, Finished) else None
                if time.monotonic() > began + LONGEST:
                    error = DecoderDied(f"it was still at it after {LONGEST:.0f} s: {dict(channels)}")
                    decoder.kill()
                    break
            seconds = time.monotonic() - began
        if not decoder.alive or seconds > 1 or most[0] - before > KEPT:
            self.close()
        if error is not None:
            words = f"refused: {type(error).__name__}: {error}"
        else:
            cut = ", ".join(f"{channel} {n:,}" for channel, n in channels.items()) or "nothing"
            words = f"taken in as {opened.modality if opened else '?'}: {cut}"
        return Outcome(words, seconds, max(0.0, most[0] - before), error)


def asked(library: Library, path: Path) -> list[tuple[str, float, Exception | None]]:
    """Ask with a file: the way, seconds, and the error."""
    found: list[tuple[str, float, Exception | None]] = []
    for way in ("image", "audio"):
        began, error = time.monotonic(), None
        try:
            library.retrieve(Query(**{way: path}), k=1)
        except Exception as raised:
            error = raised
        found.append((way, time.monotonic() - began, error))
    return found


def tried(library: Library, bench: Bench, bomb: Bomb, folder: Path, told: dict[str, list[str]]) -> None:
    """Make a bomb, let it go off, and print what came of it; what is wrong is added to `told`."""
    path = folder / bomb.name.replace(".", "_") / bomb.name
    path.parent.mkdir(parents=True)
    bomb.write(path)
    size = sum(file.stat().st_size for file in path.parent.iterdir())
    found = bench.decoded(path)
    ms = 1000 * found.seconds
    line = (
        f"{bomb.name:36}{size:12,}{ms:9,.0f} ms{found.memory:8,.0f} MB  {found.words.partition(' (pictures:')[0][:200]}"
    )
    print(line, flush=True)
    if ms > SLOW or found.memory > LARGE:
        told["slow or large"].append(line)
    if UNFORESEEN.search(found.words):
        told["not foreseen"].append(line)
    if isinstance(found.error, DecoderDied):
        told["decoders died"].append(line)
    if found.seconds > LONGEST:
        told["too long"].append(line)
    for way, seconds, error in asked(library, path):
        told["asked"].append(type(error).__name__ if error else "answered")
        if error and (not isinstance(error, SeehearError) or UNFORESEEN.search(str(error))):
            told["not foreseen"].append(f"{bomb.name} as {way}: {error!r}")
        if seconds > SLOW / 1000:
            told["slow to ask with"].append(
                f"{bomb.name} as {way}: {seconds:.1f} s: {type(error).__name__ if error else 'answered'}"
            )
    for file in path.parent.iterdir():
        file.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", choices=MODELS, default="mini")
    parser.add_argument("--cheap", action="store_true")
    parser.add_argument("--only", default="", help="those whose name matches this pattern")
    parser.add_argument("--folder", type=Path, help="make the files there; it must not exist")
    given = parser.parse_args()
    told: dict[str, list[str]] = {}
    for name in ("slow or large", "not foreseen", "decoders died", "too long", "slow to ask with", "asked"):
        told[name] = []
    count = 0
    with tempfile.TemporaryDirectory() as made, closing(Server()) as server:
        folder = (given.folder or Path(made) / "bombs").resolve()
        folder.mkdir(parents=True)
        good = folder / "good.webm"
        good.write_bytes(seed_media.film("webm"))
        with Library.open(folder / "library", models=MODELS[given.models]) as library:
            library.add(good)
            with closing(Bench(library, good)) as bench:
                for bomb in bombs(server.address):
                    if re.search(given.only, bomb.name) and not (given.cheap and bomb.dear):
                        tried(library, bench, bomb, folder, told)
                        count += 1
        print(f"{count} bombs; the server was asked {server.asked} times")
        print(f"as questions: {', '.join(f'{what} {n}' for what, n in Counter(told.pop('asked')).most_common())}")
        for what, lines in told.items():
            print(f"{what}: {len(lines)}")
            for line in lines:
                print(f"  {line}")
        if server.asked or told["not foreseen"] or told["too long"]:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
