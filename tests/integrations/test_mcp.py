"""The MCP server: what its clients are given, and that nothing they send stops it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from films import film, plain, steady
from mcp import StdioServerParameters, types
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp.shared.uri_template import UriTemplate
from PIL import Image
from recordings import tone, write

from seehear import Library, ModelSet
from seehear.blocks import WARNING, Budget
from seehear.cli import main
from seehear.errors import EncoderError, MissingExtra
from seehear.integrations.mcp import FAILED, LONGEST, _line, _sift, server
from seehear.serving import _Clean
from seehear.testing import COLOUR, COLOURS
from seehear.tools import TOOLS, Toolbox
from seehear.types import Channel, Route

CHANNELS: tuple[Channel, ...] = ("visual", "sound", "speech", "text")
EVERYTHING = ModelSet(
    "everything",
    tuple(Route(channel, COLOUR, frozenset({"text", "image", "audio"})) for channel in CHANNELS),
    ("image", "audio", "text", "video"),
    "seehear.testing:LoudnessTranscriber",
)
HOSTILE = b"a\x1b[2J<b>\xff\xe2\x80\xae](http:x).png"
"""The name of a picture: escapes, markup, half a character, a turn of direction, a link."""
SAID = "1\n00:00:00,000 --> 00:00:03,000\nThe harbour bridge opens at noon.\n"


@pytest.fixture(autouse=True)
def _own_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the pipes are the tests'."""
    monkeypatch.setattr("seehear.serving._taken", lambda: (0, 1))


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name, colour in COLOURS.items():
        Image.new("RGB", (400, 300), colour).save(folder / f"{name}.png")
    Image.new("RGB", (40, 30), (255, 0, 255)).save(os.fsdecode(os.fsencode(folder) + b"/" + HOSTILE), "PNG")
    (folder / "notes.txt").write_text("The invoice went to Kowalski.")
    film(folder / "film.mp4", steady([(2, plain((255, 0, 0))), (2, plain((0, 0, 255)))]))
    write(folder / "talk.wav", tone(3.0, 16_000), rate=16_000)
    for name in ("film", "talk"):
        (folder / f"{name}.srt").write_text(SAID)
    return folder


@pytest.fixture(scope="module")
def everything(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("all") / "library", models=EVERYTHING, store="memory") as library:
        assert not library.add(media).failed
        yield library


def name(library: Library, containing: str) -> str:
    (file,), _ = library.retriever().sources(containing)
    return file.name


def words(result: types.CallToolResult) -> str:
    return "\n".join(one.text for one in result.content if isinstance(one, types.TextContent))


def links(result: types.CallToolResult) -> list[types.ResourceLink]:
    return [one for one in result.content if isinstance(one, types.ResourceLink)]


def pictures(result: types.CallToolResult) -> list[types.ImageContent]:
    return [one for one in result.content if isinstance(one, types.ImageContent)]


def opened(letters: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(letters)))
    assert picture.format == "JPEG"
    return picture


async def test_the_five_tools_are_listed_and_only_read(everything: Library) -> None:
    async with Client(server(everything.retriever())) as client:
        listed = (await client.list_tools()).tools
    assert [(tool.name, tool.description) for tool in listed] == [(tool.name, tool.description) for tool in TOOLS]
    for tool in listed:
        assert tool.annotations is not None
        assert (tool.annotations.read_only_hint, tool.annotations.open_world_hint) == (True, False)
        assert (tool.input_schema["type"], tool.input_schema["additionalProperties"]) == ("object", False)
    assert set(listed[0].input_schema["properties"]) == {"words", "k", "modalities", "channels", "after", "before"}


async def test_a_search_gives_words_pictures_and_links(everything: Library, media: Path) -> None:
    async with Client(server(everything.retriever())) as client:
        found = await client.call_tool("search", {"words": "red", "k": 2, "modalities": ["image"]})
    assert not found.is_error
    assert words(found).startswith(f"{WARNING}\n[1] image \u201cred.png\u201d, seen, score")
    assert opened(pictures(found)[0].data).getpixel((0, 0)) == (254, 0, 0)
    first = links(found)[0]
    assert (first.name, first.mime_type) == ("red.png", "image/jpeg")
    assert first.uri == f"seehear://hit/{name(everything, 'red')}"
    assert first.description is not None
    assert first.description.startswith("image, seen, score ")
    assert first.annotations == types.Annotations(audience=["user"])
    assert found.structured_content is None
    assert str(media.parent) not in found.model_dump_json()


async def test_links_can_be_left_out(everything: Library) -> None:
    async with Client(server(everything.retriever(), links=False)) as client:
        found = await client.call_tool("search", {"words": "red"})
    assert pictures(found)
    assert not links(found)


async def test_the_name_of_a_file_is_cleaned_wherever_it_is_told(everything: Library) -> None:
    async with Client(server(everything.retriever())) as client:
        found = await client.call_tool("search", {"words": "#ff00ff", "k": 20, "modalities": ["image"]})
        listed = await client.call_tool("sources", {})
    odd = next(one for one in links(found) if one.name.startswith("a"))
    assert odd.name == "a\ufffd[2J\u2039b\u203a\ufffd\ufffd] (http:x).png"
    for told in (found.model_dump_json(), listed.model_dump_json()):
        assert "2J\u2039b\u203a" in told
        assert not [bad for bad in ("\x1b", "\\u001b", "\u202e", "<b>", "](http") if bad in told]


async def test_every_tool_answers_a_client(everything: Library) -> None:
    film, talk = name(everything, "film"), name(everything, "talk")
    async with Client(server(everything.retriever())) as client:
        looked = await client.call_tool("look", {"id": film, "frames": 3})
        read = await client.call_tool("read", {"id": talk})
        similar = await client.call_tool("similar", {"id": name(everything, "red"), "k": 2})
        sources = await client.call_tool("sources", {"containing": "notes"})
    assert [one.type for one in looked.content] == ["text", "text", *["text", "image"] * 3]
    assert "bridge opens at noon" in words(read)
    assert links(similar)
    assert "1 to 1 of 1 files" in words(sources)
    assert not any(one.is_error for one in (looked, read, similar, sources))


@pytest.mark.parametrize(
    ("file", "kinds", "told"),
    [
        ("red", ["image/jpeg"], ""),
        ("film", ["image/jpeg", "text/plain"], "bridge opens at noon"),
        ("talk", ["text/plain"], "bridge opens at noon"),
        ("notes", ["text/plain"], "invoice went to Kowalski"),
    ],
)
async def test_a_hit_is_read_as_its_picture_and_its_words(
    everything: Library, file: str, kinds: list[str], told: str
) -> None:
    async with Client(server(everything.retriever())) as client:
        read = await client.read_resource(f"seehear://hit/{name(everything, file)}")
    assert [one.mime_type for one in read.contents] == kinds
    for one in read.contents:
        if isinstance(one, types.BlobResourceContents):
            opened(one.blob)
        else:
            assert one.text.startswith(WARNING)
            assert told in one.text


async def test_a_moment_is_read_however_its_id_was_written_into_the_uri(everything: Library) -> None:
    moment = f"{name(everything, 'film')}#t=2.500,3.500"
    async with Client(server(everything.retriever())) as client:
        (template,) = (await client.list_resource_templates()).resource_templates
        expanded = UriTemplate.parse(template.uri_template).expand({"id": moment})
        assert "#" not in expanded
        for uri in (expanded, f"seehear://hit/{quote(moment, safe='')}", f"seehear://hit/{moment}"):
            picture, told = (await client.read_resource(uri)).contents
            assert isinstance(picture, types.BlobResourceContents)
            assert isinstance(told, types.TextResourceContents)
            red, _, blue = opened(picture.blob).getpixel((5, 5))  # type: ignore[misc]
            assert blue > 200 > 50 > red  # the film is blue there
            assert picture.uri == told.uri == uri
        found = await client.call_tool("similar", {"id": name(everything, "blue"), "k": 20})
        timed = next(one for one in links(found) if "%23t%3D" in one.uri)
        assert (await client.read_resource(timed.uri)).contents
        assert (await client.list_resources()).resources == []


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "seehear://hit",
        "seehear://hit/",
        "seehear://hit//etc/passwd",
        "seehear://hit/..%2f..%2fetc%2fpasswd",
        "seehear://hit/0000000000000000",
        "seehear://hit/{}/../red.png",
        "seehear://hit/{}%00",
        "seehear://hit/{}%0A",
        "seehear://hit/{}#t=1,2",
        "seehear://hit/{}?x=1",
        "seehear://hit/%25{}",
        "seehear://hit/red.png",
        "http://hit/{}",
        "{}",
        "",
        "x" * 10_000,
    ],
)
async def test_nothing_but_hits_can_be_read(everything: Library, media: Path, uri: str) -> None:
    async with Client(server(everything.retriever())) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri.replace("{}", name(everything, "red")))
    assert caught.value.error.code == types.INVALID_PARAMS
    assert len(caught.value.error.message) < 200
    assert str(media) not in caught.value.error.message


async def test_what_may_not_be_found_can_not_be_read_either(everything: Library) -> None:
    async with Client(server(everything.retriever(modalities={"image"}))) as client:
        assert (await client.read_resource(f"seehear://hit/{name(everything, 'red')}")).contents
        for file in ("film", "talk", "notes"):
            with pytest.raises(MCPError, match="Nothing that may be asked for here has that id"):
                await client.read_resource(f"seehear://hit/{name(everything, file)}")


async def test_pictures_keep_to_the_budget(everything: Library) -> None:
    budget = Budget(pictures=1, pixels=1_200, bytes=2_000)
    async with Client(server(everything.retriever(), budget)) as client:
        found = await client.call_tool("search", {"words": "red", "modalities": ["image"]})
        (read,) = (await client.read_resource(links(found)[0].uri)).contents
    (picture,) = pictures(found)
    assert isinstance(read, types.BlobResourceContents)
    for letters in (picture.data, read.blob):
        width, height = opened(letters).size
        assert 1_000 < width * height <= 1_200
        assert len(base64.b64decode(letters)) <= 2_000


async def test_a_model_without_eyes_is_given_words(everything: Library) -> None:
    async with Client(server(everything.retriever(), Budget(pictures=0))) as client:
        found = await client.call_tool("search", {"words": "red", "modalities": ["image"]})
        (read,) = (await client.read_resource(links(found)[0].uri)).contents
    assert not pictures(found)
    assert isinstance(read, types.TextResourceContents)
    assert "red.png" in read.text


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("search", {}, "The question is empty"),
        ("search", {"words": 5}, "words: Input should be a valid string"),
        ("search", {"words": "x", "k": 1000}, "k: Input should be less than or equal to 20"),
        ("search", {"words": "x", "\x1b[2Jwhere": {}}, "\ufffd[2Jwhere: Extra inputs are not permitted"),
        ("search", {"words": "x", "with_picture": True}, "There is no picture of the user's"),
        ("look", {"id": "/etc/passwd"}, "Nothing here has that id"),
        ("read", {"id": "0" * 65}, "id: String should have at most 64 characters"),
        ("similar", {}, "id: Field required"),
        ("sources", {"first": -1}, "first: Input should be greater than or equal to 0"),
    ],
)
async def test_wrong_arguments_are_a_sentence_for_the_model(
    everything: Library, tool: str, arguments: dict[str, Any], told: str
) -> None:
    async with Client(server(everything.retriever())) as client:
        found = await client.call_tool(tool, arguments)
    assert found.is_error
    assert words(found).startswith(told)
    assert len(found.content) == 1


async def test_an_unknown_tool_is_an_error_that_names_those_there_are(everything: Library) -> None:
    async with Client(server(everything.retriever())) as client:
        with pytest.raises(MCPError, match="There are search, look, read, similar, sources") as caught:
            await client.call_tool("delete\x1b[2J", {})
    assert caught.value.error.code == types.INVALID_PARAMS
    assert "\x1b" not in caught.value.error.message


@pytest.mark.parametrize("error", [EncoderError("no weights in /home/ann"), RuntimeError("a bug at /home/ann")])
async def test_what_the_owner_must_mend_is_logged_and_not_told(
    everything: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Toolbox, "call", broken)
    async with Client(server(everything.retriever())) as client:
        found = await client.call_tool("search", {"words": "red"})
        with pytest.raises(MCPError, match="The library cannot answer"):
            await client.read_resource("seehear://hit/0123456789abcdef")
    assert (found.is_error, words(found)) == (True, FAILED)
    assert "/home/ann" in caplog.text
    assert ("Traceback" in caplog.text) is isinstance(error, RuntimeError)


def test_the_log_cannot_write_to_the_terminal() -> None:
    record = logging.LogRecord("seehear", logging.ERROR, "", 0, "%s", ("a\x1b[2J\nb\x07",), None)
    assert _Clean("seehear: %(message)s").format(record) == "seehear: a\ufffd[2J\nb\ufffd"


def test_without_the_sdk_the_line_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "seehear.integrations.mcp")
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingExtra, match=r'pip install "seehear\[mcp\]"'):
        import seehear.integrations.mcp  # noqa: F401
    assert main(["serve"]) == 1
    assert capsys.readouterr().err.endswith('is not installed: pip install "seehear[mcp]"\n')


# From here on over pipes, as a client starts it.


@pytest.fixture(scope="module")
def colours(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library whose model can be named, so that another process can open it."""
    folder = tmp_path_factory.mktemp("colours") / "library"
    with Library.open(folder, models=COLOUR) as library:
        library.add([path for path in media.iterdir() if path.suffix in (".png", ".txt")])
    return folder


class Pipes:
    """A server that is talked to in lines."""

    def __init__(self, library: Path, *options: str, version: str = "2025-06-18") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seehear.cli", "serve", "--library", str(library), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=library.parent,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),  # a shell's `&` ignores it
        )  # fmt: skip
        client = {"clientInfo": {"name": "test", "version": "1"}, "capabilities": {}, "protocolVersion": version}
        self.begun = self.ask(0, "initialize", **client)
        self.write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')

    def write(self, line: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert answer["jsonrpc"] == "2.0"
        return answer

    def request(self, number: int, method: str, **params: Any) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode())

    def ask(self, number: int, method: str, **params: Any) -> dict[str, Any]:
        self.request(number, method, **params)
        answer = self.read()
        assert answer["id"] == number
        return answer

    def end(self) -> tuple[int, str]:
        """Close the input, wait, and give the exit status and what was written to standard error."""
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said.decode()


@pytest.fixture(scope="module")
def pipes(colours: Path) -> Iterator[Pipes]:
    served = Pipes(colours)
    yield served
    status, said = served.end()
    assert status == 0
    assert "Traceback" not in said


BROKEN = {
    b"{": -32700,
    b"search red": -32700,
    b"\x00\xff\xfe": -32700,
    b"[" * 100_000: -32700,
    b'{"jsonrpc": "2.0", "id": ' + b"9" * 5_000 + b', "method": "ping"}': -32700,
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping"} {}': -32700,
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "' + b"x" * LONGEST + b'"}}': -32700,
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}' + b" " * LONGEST: -32700,
    b"null": -32600,
    b"[]": -32600,
    b"{}": -32600,
    b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}': -32600,
    b'{"jsonrpc": "2.0", "id": 1, "method": 5}': -32600,
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}': -32600,
    b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]': -32600,
    b'{"jsonrpc": "2.0", "id": 1, "error": 5}': -32600,
}


@pytest.mark.parametrize("line", BROKEN, ids=lambda line: str(line[:30]))
def test_a_line_that_is_no_message_is_answered_and_costs_nothing_else(pipes: Pipes, line: bytes) -> None:
    pipes.write(line)
    answer = pipes.read()
    assert (answer["id"], answer["error"]["code"]) == (None, BROKEN[line])
    assert pipes.ask(2, "ping")["result"] == {}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"  \r",
        b'{"jsonrpc": "2.0", "id": 7, "result": {}}',
        b'{"jsonrpc": "2.0", "id": 7, "error": {"code": 1, "message": "x"}}',
        b'{"jsonrpc": "2.0", "method": "no/such"}',
        b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {}}}',
        b'{"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": [], "progress": "x"}}',
    ],
)
def test_what_asks_for_nothing_is_not_answered(pipes: Pipes, line: bytes) -> None:
    pipes.write(line)
    assert pipes.ask(2, "ping")["result"] == {}


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("no/such\x1b", {}, -32601),
        ("resources/subscribe", {"uri": "seehear://hit/0"}, -32601),
        ("tools/call", {}, -32602),
        ("tools/call", {"name": 5}, -32602),
        ("tools/call", {"name": "nothing"}, -32602),
        ("tools/call", {"name": "search", "arguments": []}, -32602),
        ("resources/read", {"uri": 5}, -32602),
        ("tools/list", {"cursor": 5}, -32602),
        ("initialize", {"protocolVersion": 5}, -32602),
    ],
)
def test_a_request_that_makes_no_sense_is_an_error(
    pipes: Pipes, method: str, params: dict[str, Any], code: int
) -> None:
    assert pipes.ask(3, method, **params)["error"]["code"] == code
    assert pipes.ask(2, "ping")["result"] == {}


def test_twenty_calls_at_once_are_all_answered(pipes: Pipes) -> None:
    for number in range(20):
        pipes.request(100 + number, "tools/call", name="search", arguments={"words": f"red {number}", "k": 3})
    answers = [pipes.read() for _ in range(20)]
    assert sorted(answer["id"] for answer in answers) == list(range(100, 120))
    assert not any(answer["result"]["isError"] for answer in answers)


def test_a_name_that_is_no_text_goes_through_the_pipe(pipes: Pipes) -> None:
    told = pipes.ask(4, "tools/call", name="sources", arguments={})["result"]["content"]
    assert "a\ufffd[2J\u2039b\u203a" in told[1]["text"]


def test_a_library_that_is_served_is_in_use(pipes: Pipes, colours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--library", str(colours)]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert f"is in use by process {pipes.process.pid}" in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--library", "nowhere"], "There is no library in"),
        (["--pictures", "-1"], "pictures of a Budget is a whole number"),
        (["--where", "year"], "is no filter"),
        (["--modality", "pictures"], "modalities are some of text, image"),
        (["--modality", "audio"], "is what --modality, --where, --after and --before ask for"),
        (["--after", "2030-01-01"], "No file here has the metadata 'taken'"),
        (["--where", "year=1999"], "No file "),
    ],
)
def test_options_that_make_no_sense_are_one_sentence(
    media: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: str
) -> None:
    with Library.open(tmp_path / "library", models=COLOUR) as library:
        library.add(media / "red.png")
    assert main(["serve", "--library", str(tmp_path / "library"), *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert len(said.err.splitlines()) == 1


def test_a_line_is_never_held_whole_if_it_is_too_long() -> None:
    class Pieces(io.StringIO):
        def readline(self, size: int | None = -1, /) -> str:
            assert size is not None
            assert 0 < size <= LONGEST + 1
            return super().readline(size)

    file = Pieces("x" * (3 * LONGEST) + "\n{}\n")
    assert len(_line(file)) < 20
    assert [_line(file), _line(file)] == ["{}\n", ""]


async def test_a_message_that_comes_when_nobody_serves_any_more_is_dropped() -> None:
    async def received() -> AsyncIterator[SessionMessage | Exception]:
        yield SessionMessage(types.JSONRPCNotification(jsonrpc="2.0", method="notifications/initialized"))

    async def answer(_: SessionMessage) -> None:
        raise AssertionError

    passing, passed = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    passed.close()
    await _sift(received(), passing, answer)


def test_options_reach_the_server(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr("seehear.serving._log", lambda: None)
    monkeypatch.setattr("seehear.integrations.mcp.serve", lambda *asked, **named: given.extend([*asked, named]))
    command = ["serve", "--library", str(copied)]
    assert main(command) == 0
    assert main([*command, "--no-links", "--pictures", "2", "--pixels", "3", "--bytes", "4", "--channel", "text"]) == 0
    assert given[1:3] == [Budget(), {"links": True, "pipes": (0, 1)}]
    assert (given[3].settings, *given[4:]) == (
        {"channels": {"text"}},
        Budget(2, 3, 4),
        {"links": False, "pipes": (0, 1)},
    )


def test_without_standard_input_there_is_no_client(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["serve", "--library", str(copied)]) == 2
    assert "talks to this command through standard input" in capsys.readouterr().err


def test_the_help_names_the_budget_that_holds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for number in (Budget().pictures, Budget().pixels, Budget().bytes):
        assert f"(default: {number})" in told


@pytest.fixture
def copied(media: Path, tmp_path: Path) -> Path:
    """A library that no other server holds."""
    with Library.open(tmp_path / "library", models=COLOUR) as library:
        library.add([media / "red.png", media / "blue.png", media / "notes.txt"])
    return tmp_path / "library"


async def test_a_client_of_the_sdk_finds_and_reads_over_pipes(copied: Path) -> None:
    command = ["-m", "seehear.cli", "serve", "--library", str(copied)]
    parameters = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
    async with Client(parameters) as client:
        assert client.server_info is not None
        assert client.server_info.name == "seehear"
        assert len((await client.list_tools()).tools) == 5
        calls = (client.call_tool("search", {"words": "blue", "k": 1, "modalities": ["image"]}) for _ in range(5))
        for found in await asyncio.gather(*calls):
            assert links(found)[0].name == "blue.png"
        (read,) = (await client.read_resource(links(found)[0].uri)).contents
        assert isinstance(read, types.BlobResourceContents)
        assert opened(read.blob).size == (400, 300)


def test_options_bound_what_an_old_client_finds_and_it_gets_no_links(copied: Path) -> None:
    served = Pipes(copied, "--modality", "image", "--pictures", "1", version="2025-03-26")
    assert served.begun["result"]["protocolVersion"] == "2025-03-26"
    found = served.ask(1, "tools/call", name="search", arguments={"words": "red"})["result"]
    assert [one["type"] for one in found["content"]] == ["text", "text", "image", "text"]
    told = served.ask(2, "tools/call", name="search", arguments={"words": "red", "modalities": ["text"]})["result"]
    assert told["isError"]
    assert told["content"][0]["text"] == "modalities can be image here."
    assert served.end() == (0, "")


@pytest.mark.parametrize("dead", [False, True])
def test_a_client_that_leaves_or_dies_ends_it_and_frees_the_library(copied: Path, dead: bool) -> None:
    served = Pipes(copied)
    for number in range(1, 9):
        served.request(number, "tools/call", name="search", arguments={"words": "red"})
    assert served.process.stdout
    if dead:
        served.process.stdout.close()
        served.process.stdout = None
    assert served.end() == (0, "")
    Library.open(copied, create=False).close()


LOUD = """
import os, subprocess
print("IMPORTED")
os.write(1, b"WRITTEN")
from seehear.testing import ColourEncoder

class Encoder(ColourEncoder):
    def __init__(self):
        super().__init__()
        print("MADE")
        os.system("echo A CHILD")

    def embed(self, contents, role):
        print("EMBEDS")
        subprocess.run(["cat"], check=True, timeout=10)  # reads what it was given as its input, to the end
        return super().embed(contents, role)
"""


def test_what_prints_and_what_it_starts_keep_out_of_the_pipes(
    tmp_path: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Library.open(tmp_path / "library", models="loud:Encoder") as library:
        library.add(media / "red.png")
    served = Pipes(tmp_path / "library")
    served.request(1, "tools/call", name="search", arguments={"words": "red"})
    for number in range(2, 12):
        served.request(number, "ping")
    assert {served.read()["id"] for _ in range(11)} == set(range(1, 12))
    status, said = served.end()
    assert status == 0
    assert all(word in said for word in ("IMPORTED", "WRITTEN", "MADE", "A CHILD", "EMBEDS"))


def test_half_an_emoji_costs_no_answer(pipes: Pipes) -> None:
    pipes.write(
        b'{"jsonrpc": "2.0", "id": 77, "method": "tools/call", "params": {"name": "search", "arguments": '
        b'{"words": "\\ud83d red \\ud83d\\ude00 \\\\ud83d"}}}'
    )
    assert pipes.read()["id"] == 77


def test_ctrl_c_amid_many_requests_leaves_no_traceback(copied: Path) -> None:
    served = Pipes(copied)
    for number in range(1, 200):
        served.request(number, "tools/call", name="search", arguments={"words": "red"})
    served.process.send_signal(signal.SIGINT)
    status, said = served.end()
    assert status in (0, 130)
    assert "Traceback" not in said
    Library.open(copied, create=False).close()


def test_ctrl_c_ends_it_at_once_and_frees_the_library(copied: Path) -> None:
    served = Pipes(copied)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(timeout=30) == 130  # while its input is still open
    assert served.end() == (130, "")
    Library.open(copied, create=False).close()
