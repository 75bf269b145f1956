"""Names and words of strangers: stored as they are, and cleaned and capped wherever they are shown or handed on."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unicodedata import category
from urllib.parse import quote

import pytest
from films import film, plain, steady
from llama_index.core.schema import MetadataMode
from mcp.client.client import Client
from mixed import SET
from payloads import MARK, PAYLOADS, file_name
from PIL import ExifTags, Image
from recordings import tone, write

from seehear import Budget, Library, Query, presets
from seehear.blocks import NAMED, QUOTED, WARNING, Words, blocks
from seehear.cli import main
from seehear.errors import LONGEST, LibraryInUse, MediaNote, SeehearError
from seehear.hits import Hits
from seehear.integrations import langchain, llama_index
from seehear.integrations._langchain_content import to_document, to_langchain
from seehear.integrations._llama_index_content import to_node
from seehear.integrations.mcp import PLACE, server
from seehear.terminal import console, progress
from seehear.tools import PAGE, TOOLS, Toolbox
from seehear.wording import UNSEEN, shown

APART = 70.0
"""Seconds between two entries of a transcript, so that each is a moment of its own."""
SIZE = (20, 16)


@dataclass(frozen=True)
class Told:
    """A library of what strangers wrote, and what was told while it was filled."""

    library: Library
    hits: Hits
    """One of each file, passage and entry of a transcript."""
    printed: str
    logged: str
    json_log: str


def escapes(text: str, *, lines: int | None = None) -> list[str]:
    """What a terminal or a log would obey, or nobody would see; `lines` is how many there may be."""
    found = [ascii(c) for c in text if c != "\n" and (not c.isprintable() or c in UNSEEN)]
    found += ["tower"] if re.search(r"[\u0300-\u036f\u0488\u0489]{7,}", text) else []
    if lines is not None and text.count("\n") > lines:
        found.append(f"{text.count(chr(10))} lines")
    return found


def breaks(text: str) -> list[str]:
    """What of a text for a model is neither in our quotation marks nor ours, or could be taken for more than words."""
    found = escapes(text)
    outside = re.sub("\u201c[^\u201c\u201d]*\u201d", "", text.replace(WARNING, ""))
    found += [f"outside: {outside!r:.200}"] if MARK in outside or "\u201c" in outside or "\u201d" in outside else []
    found += [bad for bad in ("<", ">", "](", "][", "[INST]", "[/INST]", "\uff1c", "\uff1e", "\ufe64") if bad in text]
    found += ["long"] if any(len(one) > QUOTED + 2 for one in re.findall("\u201c[^\u201d]*\u201d", text)) else []
    return found


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("strangers")
    _media(folder / "media")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "SETS", MappingProxyType({"mini": replace(SET, name="mini")}))
        where = folder / "library"
        out, err, records = io.StringIO(), io.StringIO(), io.StringIO()
        handler = logging.StreamHandler(records)
        root = logging.getLogger()
        root.addHandler(handler)
        logging.getLogger("seehear").setLevel(logging.DEBUG)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main(["add", str(folder / "media"), "--library", str(where)])
                for more in (["info", "--sources"], ["search", "zq", "-k", "200", "--min-score", "0"], ["verify"]):
                    assert main([*more, "--library", str(where)]) == 0
            lines = io.StringIO()
            with redirect_stderr(lines), redirect_stdout(io.StringIO()):
                main(["add", str(folder / "media"), "--retry", "--log-json", "--library", str(where)])
        finally:
            root.removeHandler(handler)
            logging.getLogger("seehear").setLevel(logging.NOTSET)
        with Library.open(where) as library:
            said = [{"title": text, "source": text, f"name {text}"[:200]: text} for text in PAYLOADS.values()]
            ids = [text[:1_000] for text in PAYLOADS.values()]
            assert not library.add_texts(list(PAYLOADS.values()), said, ids).failed
            yield Told(library, _every(library), out.getvalue() + err.getvalue(), records.getvalue(), lines.getvalue())


def _media(folder: Path) -> None:
    """Files whose names, folders, transcripts and metadata are payloads."""
    folder.mkdir()
    for number, payload in enumerate(PAYLOADS.values()):
        name = file_name(payload)
        below = folder / name if number % 2 else folder
        below.mkdir(exist_ok=True)
        exif = Image.Exif()
        exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "zq", payload
        exif[ExifTags.Base.DateTimeOriginal] = payload
        Image.new("RGB", SIZE, (number, 0, 0)).save(below / f"{name}.jpg", exif=exif)
        (below / f"{name}.md").write_text(payload + "\n")
        (below / f"{name}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + payload.encode())  # it fails, and is named
    long = tone(5.0, 8_000)
    cues = [(APART * n, payload) for n, payload in enumerate(PAYLOADS.values())]
    plain_cues = [(start, " ".join(text.split()) or MARK) for start, text in cues]
    entries = [f"{_clock(start)} --> {_clock(start + 2)}\n{text}\n" for start, text in plain_cues]
    written = {
        ".srt": "\n".join(f"{n}\n{entry}" for n, entry in enumerate(entries, 1)),
        ".vtt": "WEBVTT\n\n" + "\n".join(entries).replace(",", "."),
        ".json": json.dumps({"segments": [{"start": start, "end": start + 2, "text": text} for start, text in cues]}),
    }
    for suffix, text in written.items():
        write(folder / f"talk{suffix[1:]}.wav", long, rate=8_000)
        (folder / f"talk{suffix[1:]}{suffix}").write_text(text)
    write(
        folder / "inside.mka",
        long,
        rate=44_100,
        subtitles=[(n / 10, n / 10 + 0.1, t) for n, (_, t) in enumerate(plain_cues)],
    )
    for suffix in ("mp4", "mkv"):
        for number, payload in enumerate(list(PAYLOADS.values())[::24]):
            named = {
                name: payload.replace("\0", "")
                for name in ("make", "model", "title", "comment", "creation_time", "location")
            }
            film(folder / f"day{number}.{suffix}", steady([(1, plain((0, 9, number)))], 10), metadata=named)


def _clock(seconds: float) -> str:
    return (
        f"{int(seconds) // 3600:02}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02},{round(seconds % 1 * 1000):03}"
    )


def _every(library: Library) -> Hits:
    retriever, found, first = library.retriever(), [], 0
    while True:
        listed, total = retriever.sources("", first, PAGE)
        for file in listed:
            whole = retriever.hit(file.name)
            found.append(whole)
            for one in whole.said(0.0, 1e6) if whole.said else ():
                begin, end = one.start or 0.0, one.end or 0.0
                found += [retriever.hit(f"{file.name}#t={begin:.3f},{end:.3f}")] if end - begin > 0.01 else []
        first += len(listed)
        if first >= total:
            return Hits(found)


def test_there_are_enough_payloads() -> None:
    assert len(PAYLOADS) >= 60
    assert all(MARK in payload for payload in PAYLOADS.values())


def test_what_was_written_is_stored_as_it_is(told: Told) -> None:
    kept = {one["source"]: one for one in json.loads(told.hits.to_json())}
    for payload in PAYLOADS.values():
        passage = kept[payload[:1_000]]
        assert passage["metadata"]["title"] == payload
        assert passage["metadata"][f"name {payload}"[:200]] == payload
    names = {Path(hit.source).name for hit in told.hits if hit.modality == "image"}
    assert names == {f"{file_name(payload)}.jpg" for payload in PAYLOADS.values()}
    said = " ".join(hit.text for hit in told.hits if hit.modality == "audio")
    assert "\x1b[31mzq" in said
    assert len([hit for hit in told.hits if hit.modality == "audio"]) > 3 * len(PAYLOADS) - 40


def test_nothing_that_is_printed_is_obeyed(told: Told) -> None:
    assert MARK in told.printed
    assert not escapes(told.printed)
    shown_, drawn = io.StringIO(), console()
    drawn.file, drawn.width = shown_, 200
    drawn.print(told.hits)
    assert MARK in shown_.getvalue()
    assert not escapes(shown_.getvalue())
    for hit in told.hits:
        assert not escapes(hit.transcript(), lines=400)


def test_a_bar_shows_names_that_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with progress("Adding", quiet=False) as bar:
        assert bar
        for payload in PAYLOADS.values():
            bar(1, 2, f"/a/{payload}")
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "")  # what draws the bar
    assert not escapes(drawn)


def test_a_log_has_a_line_for_each_record(told: Told) -> None:
    assert MARK in told.logged
    assert not escapes(told.logged)
    assert told.json_log.isascii()
    for line in told.json_log.splitlines():
        assert json.loads(line)["message"]


def test_a_page_holds_no_more_than_we_write(told: Told) -> None:
    class Page(HTMLParser):
        found: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found += [] if tag in ("div", "figure", "img", "figcaption", "b", "i", "br", "p", "span") else [tag]
            for name, value in attrs:
                good = name in ("style", "title", "alt") or (name, (value or "")[:16]) == ("src", "data:image/jpeg;")
                self.found += [] if good else [name]
                self.found += escapes(value or "")

        def handle_data(self, data: str) -> None:
            self.found += escapes(data)

    pictures = [hit for hit in told.hits if hit.modality == "image"]
    others = [hit for hit in told.hits if hit.modality != "image"]
    page = Page()
    for payload in PAYLOADS.values():
        page.feed(Hits([], heard=payload)._repr_html_())
    page.feed(Hits(pictures)._repr_html_() + Hits(others)._repr_html_())
    assert not page.found


def test_a_model_is_told_of_it_in_quotation_marks_only(told: Told) -> None:
    none = Budget(pictures=0)
    given = [one["text"] for one in told.hits.to_openai(none) + told.hits.to_anthropic(none)]
    given += [one.text for one in blocks(list(PAYLOADS.values()), none) if isinstance(one, Words)]
    given += [one["text"] for one in to_langchain(blocks(told.hits, none))]
    for hit in told.hits:
        given.append(to_document(hit).page_content)
        given.append(to_node(hit, [], b"").node.get_content(MetadataMode.LLM))
        given.append(to_node(hit, [], b"").node.get_content(MetadataMode.EMBED))
    assert [bad for text in given for bad in breaks(text)] == []


def test_tools_tell_of_it_in_quotation_marks_only(told: Told) -> None:
    box = Toolbox(told.library.retriever(min_score=0), Budget(pictures=0))
    calls: list[tuple[str, dict[str, Any]]] = [("sources", {"first": n}) for n in range(0, 400, PAGE)]
    calls += [(name, {"id": hit.id}) for hit in told.hits[::4] for name in ("look", "read")]
    calls += [("search", {"words": payload[:900], "k": 20}) for payload in list(PAYLOADS.values())[::3]]
    calls += [(payload, {}) for payload in PAYLOADS.values()]
    found = []
    for name, arguments in calls:
        for block in box.call(name, arguments).blocks:
            if isinstance(block, Words):
                read = (
                    re.sub("\u201c[^\u201d]{2000,16000}\u201d", "\u201c\u201d", block.text)
                    if name == "read"
                    else block.text
                )
                found += breaks(read)
    assert found == []


def test_what_is_wrong_is_said_in_clean_letters(told: Told) -> None:
    box = Toolbox(told.library.retriever(), Budget(pictures=0))
    for payload in PAYLOADS.values():
        for arguments in ({payload: 1}, {"words": "x", "after": payload[:40]}, {"words": "x", "channels": [payload]}):
            for block in box.call("search", arguments).blocks:
                assert isinstance(block, Words)
                assert not escapes(block.text, lines=0)


def test_a_client_of_mcp_is_told_of_it_in_quotation_marks_only(told: Told) -> None:
    async def asked() -> list[Any]:
        found: list[Any] = []
        async with Client(server(told.library.retriever(min_score=0), Budget(pictures=0))) as client:
            found.append(await client.list_tools())
            asking = [("search", {"words": payload[:900], "k": 20}) for payload in list(PAYLOADS.values())[::6]]
            found += [await client.call_tool(*one) for one in [*asking, ("sources", {})]]
            ids = [hit.id for hit in told.hits if hit.modality == "text"][::25]
            found += [await client.read_resource(PLACE + quote(one, safe="")) for one in ids]
        return found

    tools, *answers = asyncio.run(asked())
    assert MARK not in tools.model_dump_json()
    for answer in answers:
        for block in getattr(answer, "content", None) or answer.contents:
            if getattr(block, "type", "") == "resource_link":
                assert not escapes(block.name, lines=0)
                assert len(block.name) <= NAMED
                assert MARK not in block.description
            else:
                assert not breaks(block.text)


def test_tools_are_described_in_our_words_alone(told: Told) -> None:
    tools = langchain.SeehearToolkit(library=told.library).get_tools()
    spec = llama_index.SeehearToolSpec(told.library).to_tool_list()
    for tool in tools:
        assert (tool.name, tool.description) in [(one.name, one.description) for one in TOOLS]
    for one in spec:
        assert MARK not in one.metadata.to_openai_tool()["function"]["description"]


def test_repr_writes_escapes_as_code(told: Told) -> None:
    for hit in told.hits:
        assert repr(hit).isprintable()
        assert str(hit) == repr(hit)
    assert repr(told.hits).isprintable()


ENTRANCES: dict[str, Callable[[Library, str], object]] = {
    "metadata": lambda library, word: library.retrieve("x", where={word: 1}),
    "operator": lambda library, word: library.retrieve("x", where={"title": {word: 1}}),
    "value": lambda library, word: library.retrieve("x", where={"title": {"$gt": word}}),
    "joint": lambda library, word: library.retrieve("x", where={"$" + word: []}),
    "picture": lambda library, word: library.retrieve(Query(image=Path(word))),
    "sound": lambda library, word: library.retrieve(Query(audio=word)),
    "after": lambda library, word: library.retrieve("x", after=word),
    "channels": lambda library, word: library.retrieve("x", channels=word),
    "field": lambda library, word: library.retrieve("x", **{word: 1}),
    "min_score": lambda library, word: library.retrieve("x", min_score=word),
    "k": lambda library, word: library.retrieve("x", word),  # type: ignore[arg-type]
    "remove": lambda library, word: library.remove([f"nowhere/{word}"]),
    "relocate": lambda library, word: library.relocate(word, word),
    "sync": lambda library, word: library.sync([f"nowhere/{word}"]),
    "language": lambda library, word: library.add(".", language=word),
    "name of metadata": lambda library, word: library.add_texts(["x"], [{"_" + word: 1}]),
    "taken": lambda library, word: library.add_texts(["x"], [{"taken": word}]),
    "models": lambda _, word: Library.open("new", models=word),
    "transcriber": lambda _, word: Library.open("new", transcriber=word),
    "library": lambda _, word: Library.open(f"nowhere/{word}", create=False),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_errors_repeat_names_in_clean_letters(told: Told, entrance: str) -> None:
    written, raised = io.StringIO(), list[SeehearError]()
    log = logging.Logger("application")
    log.addHandler(logging.StreamHandler(written))
    for payload in PAYLOADS.values():
        try:
            ENTRANCES[entrance](told.library, payload)
        except SeehearError as error:
            raised.append(error)
            log.error("it failed: %s", error)
    assert len(raised) >= len(PAYLOADS) - 3
    for one in raised:
        assert not escapes(str(one), lines=0)
        assert len(str(one)) <= LONGEST
        assert not escapes("".join(traceback.format_exception_only(one)), lines=1)
    assert not escapes(written.getvalue(), lines=len(raised))


def test_notes_are_warned_of_in_clean_letters() -> None:
    for payload in PAYLOADS.values():
        with pytest.warns(MediaNote) as caught:
            warnings.warn(f"it is odd: {payload}", MediaNote, stacklevel=1)
        line = warnings.formatwarning(caught[0].message, MediaNote, "a.py", 1, "")
        assert not escapes(line, lines=2)


def test_who_holds_a_library_says_it_in_clean_letters(told: Told) -> None:
    holder = told.library.path / "holder"
    before = holder.read_text()
    try:
        holder.write_text("".join(PAYLOADS.values()) * 50)
        with pytest.raises(LibraryInUse) as caught:
            Library.open(told.library.path)
    finally:
        holder.write_text(before)
    assert not escapes(str(caught.value), lines=0)
    assert len(str(caught.value)) <= LONGEST
    assert "wait for it, or stop it" in str(caught.value)


def test_the_command_complains_in_clean_letters(capsys: pytest.CaptureFixture[str]) -> None:
    for payload in PAYLOADS.values():
        with pytest.raises(SystemExit):
            main(["info", f"--{payload}"])
        assert main(["info", "--library", f"nowhere/{file_name(payload)}"]) != 0
    out, err = capsys.readouterr()
    assert not escapes(out + err)
    assert MARK in err


def test_letters_of_all_scripts_stay(tmp_path: Path) -> None:
    kept = "Ünïcode Å ệ שָׁלוֹם สวัสดี हिन्दी 日本語 \u2764\ufe0f e\u0301"
    assert shown(kept) == kept
    assert shown("Screenshot at 9.41\u202fPM") == "Screenshot at 9.41 PM"
    assert category(shown("a\u3000b")[1]) == "Zs"
