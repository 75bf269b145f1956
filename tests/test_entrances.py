"""URLs and paths that a stranger wrote, through every door: nobody is called, and nothing outside is opened.

`python tests/test_entrances.py` prints how many were tried.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from canary import TOKEN, Canary, Secret
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.tools import ToolException
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.schema import Document as Read
from llama_index.core.schema import ImageDocument, ImageNode, MediaResource, Node, QueryBundle, TextNode
from llama_index.core.workflow import Context
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from watched_opens import Listeners, Watch

from seehear import Library, ModelSet, Query
from seehear.blocks import Budget
from seehear.cli import main
from seehear.errors import MediaError, QueryError, SeehearError
from seehear.handle import Handle
from seehear.hits import Hits
from seehear.integrations import langchain, llama_index
from seehear.integrations.mcp import server
from seehear.media import Limits
from seehear.testing import COLOUR
from seehear.tools import Toolbox
from seehear.types import Channel, Route

# Only this machine can be reached, or a call of the canary would fail and not count.
pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1", "::1"]),
    pytest.mark.filterwarnings(
        "ignore::pydantic.warnings.PydanticDeprecationWarning", "ignore:is_running called:DeprecationWarning"
    ),
]
CHANNELS: tuple[Channel, ...] = ("visual", "sound", "speech", "text")
SET = ModelSet(
    "everything",
    tuple(Route(channel, COLOUR, frozenset({"text", "image", "audio"})) for channel in CHANNELS),
    ("image", "audio", "text", "video"),
    "seehear.testing:LoudnessTranscriber",
)
OpenLibrary = Callable[..., Library]
SYSTEM = ("/etc/mime.types", "/usr/lib/os-release", "/etc/os-release", os.devnull)
"""What Python's own library looks up."""
TYPED = (SeehearError, ToolException, MCPError)
"""What a door may say no with."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A library, whoever asks it, and what must stay untouched."""

    library: Library
    secret: Secret
    canary: Canary
    watch: Watch | None
    listeners: Listeners
    disk: Path
    """A library on disk, which is no file to add or to ask with."""
    free: Path
    """A folder for files that are added later."""

    @property
    def red(self) -> Path:
        """A file that may be added."""
        return self.secret.photos / "red.png"

    def untouched(self) -> list[str]:
        """What was opened, or who was called, that should not have been; empty if all is well."""
        found = [f"the canary, {self.canary.hits} times"] if self.canary.hits else []
        self.canary.hits = 0
        return found + (self.watch.told() if self.watch else []) + self.listeners.told()


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    secret, disk, free = Secret(folder), folder / "disk.library", folder / "free"
    free.mkdir()
    own = [secret.photos, secret.asked, free, folder / "library", disk, *(Path(one) for one in SYSTEM)]
    with Canary() as canary:
        Library.open(disk, models=COLOUR).close()
        listeners = Listeners(folder, own)
        limits = Limits(roots=(str(secret.asked),))
        with Library.open(folder / "library", models=SET, store="memory", limits=limits) as library:
            library.add(secret.photos / "red.png")
            library.add_texts(["A red door."], ids=["door"])
            library._parts.pool.close()  # the next process that decodes reports what it opens
            watch = Watch(secret.secret) if sys.platform == "linux" else None
            yield Bench(library, secret, canary, watch, listeners, disk, free)
        secret.close()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("b")) as made:
        yield made


Door = Callable[[Bench, Sequence[str]], list[str]]
"""Hands a stranger's strings over, one after another; what comes of each."""


def said(call: Callable[[], object]) -> str:
    """What comes of it, an error too; one that is not of a kind that doors may raise goes on."""
    try:
        return repr(call())
    except TYPED as error:
        return f"{type(error).__name__}: {error}"


def each(call: Callable[[Bench, str], object]) -> Door:
    return lambda on, values: [said(lambda value=value: call(on, value)) for value in values]  # type: ignore[misc]


def asked(**fields: Callable[[str], Any]) -> Door:
    """A question to the library; each field of Query is made of the string."""
    return each(lambda on, value: on.library.retrieve(Query(**{name: make(value) for name, make in fields.items()})))


def change(name: str, *arguments: Any, **options: Any) -> Door:
    """A call of the library that changes it; VALUE stands for the string, RED for a file of its own."""

    def call(on: Bench, value: str) -> object:
        given = [_filled(one, on, value) for one in arguments]
        found = getattr(on.library, name)(*given, **{key: _filled(one, on, value) for key, one in options.items()})
        return found if not hasattr(found, "failed") else [(p.path, p.reason) for p in (*found.failed, *found.partial)]

    return each(call)


def command(*arguments: str) -> Door:
    """The command `seehear`, in this process, with the bench's library."""

    def run(on: Bench, value: str) -> object:
        try:
            return main([str(on.red) if one == RED else one.replace(VALUE, value) for one in arguments])
        except SystemExit as ended:  # what makes no sense to argparse
            return f"exit status {ended.code}"

    return each(run)


def tool(name: str, picture: Callable[[str], Any] | None = None, **arguments: Any) -> Door:
    """A call of a tool as a model makes it: of `Toolbox`, of LangChain's tools, of LlamaIndex's."""

    def call(on: Bench, value: str) -> object:
        given = {key: _filled(one, on, value) for key, one in arguments.items()}
        shown = picture(value) if picture else None
        box = Toolbox(on.library.retriever(), Budget(pictures=1))
        chained = {one.name: one for one in langchain.SeehearToolkit(library=on.library).get_tools()}
        indexed = {
            one.metadata.name: one for one in llama_index.SeehearToolSpec(on.library, picture=shown).to_tool_list()
        }
        return [
            said(lambda: box.call(name, given, shown)),
            said(lambda: chained[name].invoke({**given, "picture": shown} if picture else given)),
            said(lambda: indexed[name].call(**given)),
        ]

    return each(call)


def block(make: Callable[[str], dict[str, Any]]) -> Door:
    """A question to LangChain's retriever with a content block, and a search with it as the user's picture."""

    def ask(on: Bench, value: str) -> object:
        asks = langchain.SeehearRetriever(library=on.library)
        blocks: list[Any] = [{"type": "text", "text": "red"}, make(value)]
        search = langchain.SeehearSearch(library=on.library)
        shown = {"words": "red", "with_picture": True, "picture": HumanMessage(content=blocks)}
        return [said(lambda: asks.invoke(blocks)), said(lambda: search.invoke(shown))]

    return each(ask)


def node(make: Callable[[str], Any]) -> Door:
    """A node that LlamaIndex's retriever is to take in."""

    def add(on: Bench, value: str) -> object:
        try:
            made = make(value)
        except ValueError:  # pydantic makes none of it
            return "none"
        return llama_index.SeehearRetriever(on.library).add_nodes([made])

    return each(add)


def document(value: str) -> ImageDocument:
    """With its path set afterwards: a constructor that is given one opens it, and it is not ours."""
    made = ImageDocument(text="a picture")
    made.image_path = value
    return made


def in_chat(name: str) -> Door:
    """A search of LlamaIndex's with the picture in the chat, which is a URL or a path."""

    async def ask(on: Bench, shown: ImageBlock) -> object:
        agent = FunctionAgent(tools=[], llm=MockFunctionCallingLLM())
        context, memory = Context(agent), ChatMemoryBuffer.from_defaults()
        await memory.aput(ChatMessage(role="user", blocks=[TextBlock(text="this?"), shown]))
        await context.store.set("memory", memory)
        return await llama_index.SeehearToolSpec(on.library).to_tool_list()[0].acall(ctx=context, with_picture=True)

    def run(on: Bench, value: str) -> object:
        try:
            shown = ImageBlock(**{name: value})  # type: ignore[arg-type]
        except (ValueError, OSError):
            return "none"
        return asyncio.run(ask(on, shown))

    return each(run)


def served(ask: Callable[[Any, str], Any]) -> Door:
    """Requests of an MCP client, all of one session."""

    async def run(on: Bench, values: Sequence[str]) -> list[str]:
        found = []
        async with Client(server(on.library.retriever())) as client:
            for value in values:
                try:
                    found.append(repr(await ask(client, value.encode("utf-8", "replace").decode())))
                except MCPError as error:
                    found.append(str(error))
        return found

    return lambda on, values: asyncio.run(run(on, values))


def texts(on: Bench, values: Sequence[str]) -> list[str]:
    """Passages, whose words, ids and metadata are the strings."""
    told = [{"file_path": value, "source": value} for value in values]
    named = [f"{place} {value}"[:900].encode("utf-8", "replace").decode() for place, value in enumerate(values)]
    report = on.library.add_texts([value or "x" for value in values], told, named)
    return [f"{one.path}: {one.reason}" for one in report.failed] + ["taken in"] * (len(values) - len(report.failed))


def documents(on: Bench, value: str) -> object:
    """LangChain's documents that claim to be of a file: taken in, and shown to a model."""
    retriever = langchain.SeehearRetriever(library=on.library)
    told = dict.fromkeys(("source", "file_path", "image_path", "image_url", "uri", "path"), value)
    made = Document(page_content=value or "x", id=value[:900] or "x", metadata=told)
    return [said(lambda: retriever.add_documents([made])), said(lambda: retriever.content([made]))]


def bundles(on: Bench, value: str) -> object:
    """LlamaIndex's questions with a picture."""
    retriever = llama_index.SeehearRetriever(on.library)
    return [
        said(lambda: retriever.retrieve(QueryBundle("red", image_path=value))),
        said(lambda: retriever.retrieve(llama_index.SeehearQuery(Query(image=Path(value))))),
        said(lambda: retriever.image_to_image_retrieve(value)),
        said(lambda: asyncio.run(retriever.aimage_to_image_retrieve(QueryBundle("", image_path=value)))),
        said(lambda: retriever.retrieve(QueryBundle("red", custom_embedding_strs=[value]))),
        said(lambda: retriever.text_to_image_retrieve(value)),
    ]


VALUE, RED = "{value}", "{red}"
ADDING: dict[str, Door] = {
    "Library.add": change("add", VALUE),
    "Library.add, a list": change("add", [RED, VALUE]),
    "Library.add, retry": change("add", VALUE, retry=True),
    "Library.sync": change("sync", VALUE),
    "Library.sync, dry": change("sync", VALUE, dry_run=True),
    "Library.add_vectors": change("add_vectors", [VALUE], [[1.0] * 8]),
    "seehear add": command("add", "--", VALUE),
    "seehear add --json": command("add", "--json", "--", RED, VALUE),
    "seehear sync": command("sync", "--", VALUE),
}
"""Doors to which a file is named that is to be taken in: whoever names it has the say."""
ASKING: dict[str, Door] = {
    "Query(image), a string": asked(image=str),
    "Query(image), a Path": asked(image=Path),
    "Query(image), bytes": asked(image=lambda value: value.encode("utf-8", "replace")),
    "Query(audio)": asked(audio=str),
    "Query(voice)": asked(voice=str),
    "Query(plus)": asked(plus=lambda value: [Path(value)]),
    "Query(plus), words": asked(plus=lambda value: [value]),
    "Query(plus), weighed": asked(plus=lambda value: [(Path(value), 2.0)]),
    "Query(minus)": asked(text=lambda value: "red", minus=lambda value: [Path(value)]),
    "words": asked(text=str),
    "where": asked(text=lambda value: "red", where=lambda value: {"url": value}),
    "after and before": asked(text=lambda value: "red", after=str, before=str),
    "Retriever.hit": each(lambda on, value: on.library.retriever().hit(value)),
    "Retriever.similar": each(lambda on, value: on.library.retriever().similar(value)),
    "Retriever.sources": each(lambda on, value: on.library.retriever().sources(value)),
    "Library.remove": change("remove", VALUE),
    "Library.holds": change("holds", VALUE),
    "Library.relocate": change("relocate", VALUE, VALUE),
    "Library.add, metadata": change("add", RED, metadata={"url": VALUE, "file_path": VALUE, "image_url": VALUE}),
    "Library.add, a function": change("add", RED, metadata=lambda value: lambda path: {"source": value, "path": value}),
    "Library.add_texts": texts,
    "Library.add_texts, ids": change("add_texts", ["red"], ids=[VALUE]),
    "seehear search": command("search", "--", VALUE),
    "seehear search --image": command("search", f"--image={VALUE}"),
    "seehear search --audio": command("search", f"--audio={VALUE}"),
    "seehear search --voice": command("search", f"--voice={VALUE}"),
    "seehear search --where": command("search", "red", f"--where=url={VALUE}"),
    "seehear add --meta": command("add", RED, f"--meta=url={VALUE}"),
    "seehear remove": command("remove", "--", VALUE),
    "tool search": tool("search", words=VALUE),
    "tool search, dates": tool("search", words="red", after=VALUE, before=VALUE),
    "tool search, a picture": tool("search", lambda value: value, words="red", with_picture=True),
    "tool search, a Path": tool("search", Path, words="red", with_picture=True),
    "tool search, unknown": tool("search", words="red", image=VALUE, path=VALUE, url=VALUE),
    "tool search, kinds": tool("search", words="red", modalities=[VALUE], channels=[VALUE]),
    "tool look": tool("look", id=VALUE),
    "tool read": tool("read", id=VALUE),
    "tool similar": tool("similar", id=VALUE),
    "tool sources": tool("sources", containing=VALUE),
    "Toolbox, a name": each(lambda on, value: Toolbox(on.library.retriever()).call(value, {"words": value})),
    "LangChain, words": each(lambda on, value: langchain.SeehearRetriever(library=on.library).invoke(value)),
    "LangChain, image url": block(lambda value: {"type": "image", "url": value}),
    "LangChain, image_url": block(lambda value: {"type": "image_url", "image_url": {"url": value}}),
    "LangChain, source_type": block(lambda value: {"type": "image", "source_type": "url", "url": value}),
    "LangChain, base64": block(lambda value: {"type": "image", "base64": value, "mime_type": "image/png"}),
    "LangChain, file_id": block(lambda value: {"type": "image", "file_id": value}),
    "LangChain, Claude's": block(lambda value: {"type": "image", "source": {"type": "url", "url": value}}),
    "LangChain, input_image": block(lambda value: {"type": "input_image", "image_url": value}),
    "LangChain, audio": block(lambda value: {"type": "audio", "url": value}),
    "LangChain, video": block(lambda value: {"type": "video", "url": value}),
    "LangChain, file": block(lambda value: {"type": "file", "url": value, "file": {"file_data": value}}),
    "LangChain, a path": block(lambda value: {"type": "image", "path": value, "image_path": value}),
    "LangChain, a document": each(documents),
    "LlamaIndex, a bundle": each(bundles),
    "LlamaIndex, ImageNode": node(lambda value: ImageNode(text="a picture", image_path=value)),
    "LlamaIndex, ImageNode, a URL": node(lambda value: ImageNode(text="a picture", image_url=value)),
    "LlamaIndex, ImageDocument": node(document),
    "LlamaIndex, its metadata": node(lambda value: ImageDocument(text="red", metadata={"file_path": value})),
    "LlamaIndex, a resource": node(lambda value: Node(image_resource=MediaResource(path=Path(value)))),
    "LlamaIndex, a resource's URL": node(lambda value: Read(text="red", image_resource={"url": value})),
    "LlamaIndex, a text": node(lambda value: TextNode(text=value or "x", metadata={"file_path": value})),
    "LlamaIndex, a path in the chat": in_chat("path"),
    "LlamaIndex, a URL in the chat": in_chat("url"),
    "MCP search": served(lambda client, value: client.call_tool("search", {"words": value, "k": 1})),
    "MCP search, unknown": served(lambda client, value: client.call_tool("search", {"words": "red", "url": value})),
    "MCP look": served(lambda client, value: client.call_tool("look", {"id": value})),
    "MCP a name": served(lambda client, value: client.call_tool(value, {})),
    "MCP resource": served(lambda client, value: client.read_resource(value)),
    "MCP resource, a hit": served(lambda client, value: client.read_resource(f"seehear://hit/{value}")),
    "MCP resource, quoted": served(lambda client, value: client.read_resource(f"seehear://hit/{quote(value)}")),
}
"""Doors to which a file is named, or some other string, by anybody."""


def _filled(given: Any, on: Bench, value: str) -> Any:
    if isinstance(given, (list, dict)):
        each = given.items() if isinstance(given, dict) else enumerate(given)
        made = {key: _filled(one, on, value) for key, one in each}
        return made if isinstance(given, dict) else list(made.values())
    if callable(given):
        return given(value)
    return value if given == VALUE else str(on.red) if given == RED else given


DOORS = ADDING | ASKING


def handed(on: Bench, name: str, what: str) -> list[str]:
    """The strings that are handed over at a door."""
    if what == "urls":
        return on.canary.urls(on.secret.picture)
    return [one.path for one in on.secret.tricks(on.disk) if name in ASKING or not one.named]


def rows(library: Library) -> str:
    """All that the ledger of a library holds."""
    file = library._parts.ledger.file
    names = [str(name) for (name,) in file.all("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return repr([file.all(f"SELECT * FROM {name}") for name in names])  # noqa: S608 - ours


@pytest.fixture
def open_here(doors: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The bench, whose library the command takes too."""
    monkeypatch.setattr(Library, "open", lambda *_, **__: nullcontext(doors.library))
    monkeypatch.setenv("HOME", str(doors.secret.secret))
    return doors


def test_whoever_watches_sees_what_is_opened_and_who_is_called(doors: Bench, open_library: OpenLibrary) -> None:
    with doors.listeners.listening():
        assert open_library().add(doors.secret.picture).added  # in a process of its own
        doors.secret.picture.read_bytes()
        urllib.request.urlopen(f"http://127.0.0.1:{doors.canary.port}/").close()
    told = doors.untouched()
    assert told[0] == "the canary, 1 times"
    assert told.count("opened secret/picture.jpg") == (4 if doors.watch else 0)  # twice by its folder, twice itself
    assert told.count(f"open {str(doors.secret.picture)!r}") == 2
    assert any(one.startswith("socket.connect ") for one in told)


@pytest.mark.parametrize("part", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("what", ["urls", "tricks"])
def test_nobody_is_called_and_nothing_outside_is_opened(
    open_here: Bench,
    what: str,
    name: str,
    part: int,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    values = handed(open_here, name, what)[(list(DOORS).index(name) + part) % 2 :: 2]  # each string at half the doors
    with caplog.at_level("DEBUG"), open_here.listeners.listening():
        told = DOORS[name](open_here, values)
    assert len(told) == len(values) >= (40 if what == "urls" else 30)
    assert open_here.untouched() == []
    assert TOKEN not in "".join((*told, *capfd.readouterr(), caplog.text))


def test_none_of_it_is_in_the_library_afterwards(doors: Bench) -> None:
    assert TOKEN not in rows(doors.library)
    for question in (TOKEN, f"The word is {TOKEN}.", Query(image=doors.secret.asked / "red.png")):
        found = doors.library.retrieve(question, 100, min_score=0)
        assert TOKEN not in found.to_json() + repr([hit.text for hit in found])
    doors.untouched()


def test_a_folder_of_links_and_devices_is_taken_in_less_what_they_lead_to(doors: Bench) -> None:
    photos = doors.secret.photos
    with doors.listeners.listening():
        report = doors.library.add(photos, metadata=lambda path: {"name": path.name.encode(errors="replace").decode()})
        assert doors.library.sync(photos, retry=True).added == []
        doors.library.verify(repair=True)
    assert doors.untouched() == []
    taken = {Path(one).name for one in report.added + report.unchanged + [one.path for one in report.partial]}
    assert {f"{stem}.wav" for stem in ("one", "two", "three", "four", "five", "six", "seven")} <= taken
    assert taken.isdisjoint({"link.jpg", "chain1.jpg", "notes.txt", "talk.mp3", "zero.png", "environ.txt", "pipe.wav"})
    told = {Path(one.path).name: one.reason for one in report.failed}
    assert {"link.jpg", "chain1.jpg", "away", "zero.png", "environ.txt", "root.jpg", "pipe.wav", "socket.png"} <= set(
        told
    )
    assert TOKEN not in rows(doors.library) + repr(report)


@pytest.mark.parametrize("name", ["/proc/self/environ", "/proc/self/mem", "/proc/kmsg", "/dev/zero", "/dev/mem"])
def test_what_is_no_file_is_not_taken_in_under_its_own_name_either(library: Library, name: str) -> None:
    report = library.add(name)
    assert not report.added
    assert len(report.failed) > 0


def test_what_is_swapped_for_a_link_once_it_was_found_is_not_followed(doors: Bench, tmp_path: Path) -> None:
    folder = doors.free / "swapped"
    (folder / "below").mkdir(parents=True)
    for name in ("first.jpg", "below/picture.jpg", "talk.wav"):
        shutil.copy(doors.secret.asked / ("one.wav" if name == "talk.wav" else "red.png"), folder / name)
    (folder / "talk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")

    def swap(path: Path) -> dict[str, str]:
        """Called between the finding of a file and its opening."""
        links = {"first.jpg": ("first.jpg", "picture.jpg"), "talk.wav": ("talk.srt", "words.srt")}
        mine, other = links.get(path.name, ("below", ""))
        (folder / mine).rename(tmp_path / f"old {mine}")
        (folder / mine).symlink_to(doors.secret.secret / other)
        return {}

    report = doors.library.add(folder, metadata=swap)
    told = {Path(one.path).name: one.reason for one in (*report.failed, *report.partial)}
    assert "leads out" in told["first.jpg"]
    assert "leads out" in told["picture.jpg"]
    assert doors.untouched() == []
    assert TOKEN not in rows(doors.library) + repr(report)


def test_a_hit_whose_file_has_become_a_link_shows_nothing(doors: Bench, tmp_path: Path) -> None:
    folder = doors.free / "taken"
    folder.mkdir()
    shutil.copy(doors.secret.picture, folder / "mine.jpg")
    shutil.copy(doors.secret.asked / "one.wav", folder / "mine.wav")
    doors.untouched()
    report = doors.library.add(folder)
    assert len(report.added) == 2
    names = {Path(hit.source).name: hit for hit in doors.library.retrieve("x", 100, min_score=0)}
    for name, other in (("mine.jpg", "picture.jpg"), ("mine.wav", "talk.wav")):
        (folder / name).unlink()
        (folder / name).symlink_to(doors.secret.secret / other)
    hit = names["mine.jpg"]
    for look in (hit.picture, lambda: names["mine.wav"].clip(tmp_path / "clip.mp4")):
        with pytest.raises(MediaError, match="leads out"):
            look()
    box, retriever = Toolbox(doors.library.retriever()), langchain.SeehearRetriever(library=doors.library)
    shown = repr((box.call("look", {"id": hit.id}), retriever.content([hit]), Hits([hit])._repr_html_()))
    assert doors.untouched() == []
    assert "leads out" in shown
    doors.library.remove(folder)


@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_a_link_that_comes_between_the_look_and_the_opening_is_opened_and_not_read(
    doors: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    folder, opening = tmp_path / "below", os.open
    folder.mkdir()
    (folder / "picture.jpg").write_bytes(b"mine")

    def swap(path: Any, flags: int, *more: Any, **options: Any) -> int:
        monkeypatch.undo()
        mine = folder if swapped == "folder" else folder / "picture.jpg"
        mine.rename(tmp_path / "old")
        mine.symlink_to(doors.secret.secret if swapped == "folder" else doors.secret.picture)
        return opening(path, flags, *more, **options)

    monkeypatch.setattr(os, "open", swap)
    with pytest.raises(MediaError):
        Handle(folder / "picture.jpg", [tmp_path])
    assert [one for one in doors.untouched() if one.startswith("read")] == []


@pytest.mark.slow
def test_a_link_that_comes_and_goes_is_never_read(doors: Bench) -> None:
    folder, ended = doors.free / "busy", threading.Event()
    folder.mkdir()
    mine, spare = folder / "picture.jpg", doors.free / "spare"

    def flip() -> None:
        while not ended.is_set():
            shutil.copy(doors.secret.asked / "red.png", spare)
            spare.replace(mine)
            spare.symlink_to(doors.secret.picture)
            spare.replace(mine)

    thread, until = threading.Thread(target=flip), time.monotonic() + 20
    thread.start()
    tried = 0
    try:
        while time.monotonic() < until:
            doors.library.add(mine, retry=True)
            with suppress(QueryError):
                doors.library.retrieve(Query(image=mine))
            tried += 1
    finally:
        ended.set()
        thread.join()
    assert [one for one in doors.untouched() if one.startswith("read")] == []
    assert TOKEN not in rows(doors.library)
    assert tried > 100


def test_a_hard_link_cannot_be_told_from_a_file_of_the_folder(library: Library, doors: Bench, tmp_path: Path) -> None:
    """Whoever may make one could read what it leads to; SECURITY.md says so."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(doors.secret.asked / "red.png", tmp_path / "elsewhere.png")
    (other / "linked.png").hardlink_to(tmp_path / "elsewhere.png")
    assert len(library.add(other).added) == 1


def test_a_question_given_as_bytes_is_in_none_of_the_folders_and_is_answered(doors: Bench) -> None:
    data = (doors.secret.asked / "red.png").read_bytes()
    assert doors.library.retrieve(Query(image=data), min_score=0)
    assert doors.library.retrieve(Query(image=doors.secret.asked / "red.png"), min_score=0)


def test_the_command_calls_nobody_either(doors: Bench) -> None:
    urls = [one for one in doors.canary.urls(doors.secret.picture) if "\0" not in one]
    paths = [one.path for one in doors.secret.tricks(doors.disk) if not one.named and "\0" not in one.path]
    seehear = [sys.executable, "-m", "seehear.cli"]
    place = ["--library", str(doors.disk)]
    environment = {**os.environ, "PYTHONPATH": doors.listeners.path}
    told = []
    for arguments in (["add", *place, "--", *urls, *paths], ["search", *place, f"--image={urls[0]}"]):
        arguments = [one for one in arguments if _sayable(one)]
        done = subprocess.run([*seehear, *arguments], capture_output=True, env=environment, check=False)
        told.append(done.stdout + done.stderr)
        assert done.returncode in (1, 2)
        assert b"Traceback" not in told[-1]
    assert [one for one in doors.untouched() if not one.startswith("open ")] == []
    assert TOKEN.encode() not in b"".join(told)


def _sayable(value: str) -> bool:
    """Whether a system hands it to a program: half a character is none."""
    try:
        return len(os.fsencode(value)) < 100_000
    except UnicodeEncodeError:
        return False


def tried(on: Bench) -> str:
    """How many strings there are, and how often they are handed over in all."""
    lines = []
    for what in ("urls", "tricks"):
        counts = [len(handed(on, name, what)) for name in DOORS]
        lines.append(f"{max(counts)} {what} through {len(counts)} entrances, {sum(counts):,} in all")
    return "\n".join(lines)


def test_there_are_enough_of_them(doors: Bench) -> None:
    assert len(set(handed(doors, "words", "urls"))) >= 40
    assert len({one.path for one in doors.secret.tricks(doors.disk)}) >= 30
    assert "in all" in tried(doors)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as made:
        print(tried(made))  # noqa: T201
