"""Vectors on a Chroma server: the real one, stopped, killed, emptied, damaged and moved."""

from __future__ import annotations

import http.server
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seehear import Library, ModelSet, presets
from seehear.cli import main
from seehear.errors import InputError, LibraryDamaged, LibraryError, LibraryInUse
from seehear.stores import chroma
from seehear.stores.chroma import ChromaStore
from seehear.testing import COLOUR_SET, ColourEncoder, StoreContract
from seehear.types import Content, Role, Route

# Only this machine can be reached; `enable_socket` would let everything through.
pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1"])
OpenLibrary = Callable[..., Library]
START = "import sys, chromadb_rust_bindings; chromadb_rust_bindings.cli(sys.argv)"
"""What the command `chroma` does, less a second of imports."""
OTHER = ModelSet("other", (Route("visual", "other", frozenset({"text", "image"})),))
OPEN = """
import sys
from seehear import Library
from seehear.testing import COLOUR_SET
with Library.open(sys.argv[1], models=COLOUR_SET) as library:
    print(*[hit.source for hit in library.retrieve("red", k=1)])
    print(len(library.add(sys.argv[2]).added))
"""


class Server:
    """`chroma run` on this machine. What it holds stays in its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Server:
        command = [sys.executable, "-c", START, "run", "--path", str(self.folder), "--host", "127.0.0.1"]
        self._process = subprocess.Popen([*command, "--port", str(self.port)], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 30
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            time.sleep(0.01)
        raise AssertionError("the server does not start")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def _free() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that no test stops; libraries on it do not mix."""
    server = Server(tmp_path_factory.mktemp("server")).start()
    yield server
    server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    server = Server(tmp_path / "server").start()
    yield server
    server.stop()


class TestChromaServer(StoreContract):
    @pytest.fixture
    def store(self, shared: Server, tmp_path: Path) -> Iterator[ChromaStore]:
        store = ChromaStore.at(shared.address, tmp_path.name)
        yield store
        store.close()

    def test_more_than_a_thousand_rows_survive_restarts(self, server: Server) -> None:
        # chroma-core/chroma#7090: from about a thousand rows on an index is written out, and may not be read again.
        segments, vectors = self.rows(1200, dim=8)
        store = ChromaStore.at(server.address, "library")
        store.upsert(self.where, segments, vectors)
        for how in (signal.SIGTERM, signal.SIGKILL):
            server.stop(how)
            server.start()
            assert store.count(self.where) == 1200
            for place in range(0, 1200, 40):
                assert store.nearest(self.where, vectors[place], 1)[0].id == segments[place].id
            store.delete(self.where, ["nobody"])
        store.close()

    def test_what_a_server_keeps_names_no_embedding_function(self, store: ChromaStore) -> None:
        segments, vectors = self.rows(2)
        store.upsert(self.where, segments, vectors)
        name = f"{store._prefix}colour.visual.image"
        configuration = store._client.get_collection(name, embedding_function=None).configuration_json
        assert configuration["embedding_function"] == {"type": "legacy"}
        assert configuration["hnsw"]["space"] == "cosine"


class Slow(ColourEncoder):
    """Says that it has begun to embed documents, and waits to be let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if role == "document":
            self.begun.set()
            assert self.go.wait(10)
        return super().embed(contents, role)


class Fatal(ColourEncoder):
    """Kills the server before it embeds for a purpose, once."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server, self.purpose = server, ""

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        if role == self.purpose:
            self.server.stop()
            self.purpose = ""
        return super().embed(contents, role)


def test_a_server_that_goes_away_is_a_sentence_and_then_all_goes_on(
    server: Server, open_library: OpenLibrary, photos: Path
) -> None:
    encoder = Fatal(server)
    library = open_library(store=server.address, encoders={COLOUR_SET.routes[0].encoder: encoder})
    encoder.embed([], "query")
    gone = rf"(?s)^The Chroma server at {server.address} cannot be used.*see whether it runs"
    encoder.purpose = "document"
    with pytest.raises(LibraryError, match=gone):
        library.add(photos)
    assert library.info()["files"] == 0
    server.start()
    assert len(library.add(photos).added) == 5
    encoder.purpose = "query"
    with pytest.raises(LibraryError, match=gone):
        library.retrieve("green")
    for change in (lambda: library.remove(str(photos / "red.png")), library.verify):
        with pytest.raises(LibraryError, match=gone):
            change()
    server.start()
    assert [Path(hit.source).name for hit in library.retrieve("green", k=1)] == ["green.png"]
    library.add(photos / "red.png")
    found = library.verify()
    assert (found.good, found.files, found.vectors) == (True, 5, 5)


def test_a_server_may_move(server: Server, open_library: OpenLibrary, photos: Path) -> None:
    library = open_library(store=server.address)
    library.add(photos)
    before = server.address
    server.stop()
    library.close()  # needs no server
    server.port = _free()
    server.start()
    with pytest.raises(LibraryError, match=before) as told:
        open_library()
    assert "store=" in str(told.value)
    open_library(store=server.address).close()
    library = open_library()  # the new address is remembered
    assert library.info()["store"] == server.address
    assert Path(library.retrieve("red", k=1)[0].source).name == "red.png"


def test_what_an_emptied_server_lost_is_made_again(server: Server, open_library: OpenLibrary, photos: Path) -> None:
    library = open_library(store=server.address)
    library.add(photos)
    before = {hit.source: hit.score for hit in library.retrieve("red", min_score=0)}
    server.stop()
    shutil.rmtree(server.folder)
    server.start()
    with pytest.raises(LibraryError, match=r"Chroma server at .* open the library again"):
        library.retrieve("red")
    with pytest.raises(LibraryError, match=r"Chroma server at .* open the library again"):
        library.verify()
    library.close()
    with pytest.raises(LibraryDamaged, match=r"5 vectors of .* are gone.*verify --repair"):
        open_library()
    library = open_library(repair=True)
    found = library.verify(repair=True)
    assert (found.good, found.embedded) == (True, 5)
    assert {hit.source: hit.score for hit in library.retrieve("red", min_score=0)} == before


def test_an_index_that_the_server_cannot_read_is_told_and_made_again(
    server: Server, open_library: OpenLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chroma, "HNSW", {**chroma.HNSW, "batch_size": 5, "sync_threshold": 10})
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    for number in range(20):
        Image.new("RGB", (32, 32), (number, 12 * number, 255 - 12 * number)).save(drawn / f"{number}.png")
    library = open_library(store=server.address)
    library.add(drawn)
    before = [hit.source for hit in library.retrieve("green", min_score=0)]
    server.stop(signal.SIGTERM)
    (header,) = server.folder.rglob("header.bin")
    header.write_bytes(bytes(255 - byte for byte in header.read_bytes()))
    server.start()
    with pytest.raises(LibraryDamaged, match=rf"Chroma server at {server.address}: .*hnsw.*verify --repair"):
        library.retrieve("green")
    assert not library.verify().good
    library.close()
    library = open_library(repair=True)
    found = library.verify(repair=True)
    assert (found.good, found.embedded) == (True, 20)
    assert [hit.source for hit in library.retrieve("green", min_score=0)] == before
    assert library.verify().good


@pytest.mark.parametrize(
    "address",
    [
        "http://", "https://", "http://:8000", "http://127.0.0.1:99999", "http://127.0.0.1:port", "http://[::1",
        "http://127.0.0.1:8000/api", "http://127.0.0.1:8000?x=1", "http://127.0.0.1:8000#x", "http://me:pw@127.0.0.1",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_told(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no address of a Chroma server"):
        Library.open(tmp_path / "library", store=address)


class Nonsense(http.server.SimpleHTTPRequestHandler):
    """Answers everything with a page."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"<html>\n" + b"<p>Nothing to see here.</p>\n" * 100)

    def log_message(self, *_: object) -> None:
        pass


class BadGateway(Nonsense):
    status = 502


@pytest.fixture
def nonsense(request: pytest.FixtureRequest) -> Iterator[int]:
    """Port of a server that is none of Chroma's."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("nonsense", [http.server.BaseHTTPRequestHandler, Nonsense, BadGateway], indirect=True)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_is_no_chroma_server_is_told_in_a_line(nonsense: int, scheme: str, tmp_path: Path) -> None:
    address = f"{scheme}://127.0.0.1:{nonsense}"
    with pytest.raises(LibraryError, match=address) as told:
        Library.open(tmp_path / "library", models=COLOUR_SET, store=address)
    assert "see whether it runs" in str(told.value)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 600
    Library.open(tmp_path / "library", models=COLOUR_SET).close()  # the failure binds nobody


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_at_which_nobody_is_is_told(host: str, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="Could not connect to a Chroma server"):
        Library.open(tmp_path / "library", models=COLOUR_SET, store=f"http://{host}:{_free()}")
    assert [path.name for path in (tmp_path / "library").iterdir() if path.name == "holder"] == []


def test_many_use_a_library_at_once_and_see_each_others_changes(
    shared: Server, open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    first = open_library(store=shared.address)
    first.add(photos)
    second = open_library()
    assert len(second.retrieve("red", min_score=0)) == 5
    second.remove(str(photos / "red.png"))
    assert "red.png" not in {Path(hit.source).name for hit in first.retrieve("red", min_score=0)}
    second.add(photos / "red.png")
    Image.new("RGB", (40, 30), (0, 0, 90)).save(tmp_path / "navy.png")
    # Nobody says where the vectors are: the library remembers.
    command = [sys.executable, "-c", OPEN, str(tmp_path / "library"), str(tmp_path / "navy.png")]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told.split() == [str(photos / "red.png"), "1"]
    for library in (first, second):
        assert "navy.png" in {Path(hit.source).name for hit in library.retrieve("blue", min_score=0)}
        assert library.verify().good
    # Whether the vectors are elsewhere by now can only be told while nobody changes them.
    with first._place.turn(), pytest.raises(LibraryInUse, match=rf"{shared.address}.*wait"):
        open_library(store="http://127.0.0.1:1")
    assert open_library().info()["store"] == shared.address


def test_libraries_on_one_server_do_not_mix(
    shared: Server, open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    first, second = (open_library(tmp_path / name, store=shared.address) for name in ("first", "second"))
    first.add(photos)
    second.add(photos / "red.png")
    assert [Path(hit.source).name for hit in second.retrieve("green", min_score=0)] == ["red.png"]
    second.remove(str(photos / "red.png"))
    assert len(first.retrieve("red", min_score=0)) == 5
    assert first.verify().good
    assert second.verify().good


def test_a_library_that_was_migrated_tells_whoever_had_it_open(
    shared: Server, open_library: OpenLibrary, photos: Path
) -> None:
    library = open_library(store=shared.address)
    library.add(photos)
    other = open_library()
    retriever = other.retriever()
    encoder = Slow()
    old: Mapping[str, Callable[[], Any]] = {
        "ask": lambda: other.retrieve("red"), "ask as before": lambda: retriever.retrieve("red"),
        "add": lambda: other.add(photos / "more"), "sync": lambda: other.sync(photos), "verify": other.verify,
        "repair": lambda: other.verify(repair=True), "remove": lambda: other.remove(str(photos / "red.png")),
        "migrate": lambda: other.migrate(OTHER, encoders={"other": ColourEncoder()}),
    }  # fmt: skip
    with ThreadPoolExecutor() as threads:
        migration = threads.submit(library.migrate, OTHER, encoders={"other": encoder})
        assert encoder.begun.wait(10)
        assert len(other.retrieve("red", min_score=0)) == 5  # until then the old models answer
        told = {"add, having waited": threads.submit(other.add, photos / "more")}
        time.sleep(0.1)
        encoder.go.set()
        migration.result()
        for what, call in old.items():
            told[what] = threads.submit(call)
            told[what].exception()
        with library._place.turn():
            told["ask while somebody writes"] = threads.submit(other.retrieve, "red")
            told["ask while somebody writes"].exception(timeout=3)
    said = {what: "has other models by now: open it again" in str(call.exception()) for what, call in told.items()}
    assert said == dict.fromkeys(told, True)
    other.close()
    assert len(library.retrieve("red", min_score=0)) == 5
    assert library.verify().good


def test_the_command_makes_and_uses_a_library_on_a_server(
    shared: Server, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(presets, "SETS", MappingProxyType({"mini": replace(COLOUR_SET, name="mini")}))
    monkeypatch.setenv("SEEHEAR_LIBRARY", str(tmp_path / "library"))
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["add", str(photos), "--store", shared.address]) == 0
    assert main(["search", "red", "-k", "1"]) == 0
    assert main(["info"]) == 0
    assert main(["verify"]) == 0
    out = capsys.readouterr().out
    assert str(photos / "red.png") in out
    assert f"vectors    {shared.address}" in out
    assert "the library is what it says it is" in out
    assert main(["add", str(photos), "--store", "http://127.0.0.1:1"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("seehear: The Chroma server at http://127.0.0.1:1 cannot be used")
    assert main(["search", "red"]) == 0
