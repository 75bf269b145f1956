"""What a language model may do with a library, what it is told, and what it cannot do."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from films import film, plain, steady
from PIL import Image
from recordings import tone, write

from seehear import Library, ModelSet
from seehear.blocks import WARNING, Budget, View
from seehear.errors import LibraryError
from seehear.testing import COLOUR, COLOURS, LoudnessTranscriber
from seehear.tools import READ, TOOLS, Told, Toolbox
from seehear.types import Route

BOTH = frozenset({"text", "image"})
SET = ModelSet(
    "everything",
    (Route("visual", COLOUR, BOTH), Route("speech", COLOUR, frozenset({"text"})), Route("text", COLOUR, BOTH)),
    ("image", "audio", "video", "text"),
)
OpenLibrary = Callable[..., Library]


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Pictures, a film of three colours in which something is said, and a text with a colour in each part."""
    films = tmp_path / "films"
    films.mkdir()
    shots = steady([(6, plain(COLOURS["red"])), (4, plain(COLOURS["blue"])), (5, plain(COLOURS["white"]))], 12.5)
    lines = [(2, 3, "It begins."), (6, 8, "It turns blue now."), (11, 12, "And white.")]
    (films / "day.srt").write_text(
        "".join(f"{n}\n00:00:{a:02},500 --> 00:00:{b:02},900\n{text}\n\n" for n, (a, b, text) in enumerate(lines, 1))
    )
    film(films / "day.mp4", shots, metadata={"creation_time": "2024-05-03T20:00:00Z"})
    texts = tmp_path / "texts"
    texts.mkdir()
    parts = [f"Part {n} is about {('red', 'green', 'blue')[n % 3]} things. " * 30 for n in range(30)]
    (texts / "long.txt").write_text("\n\n".join(parts))
    return tmp_path


@pytest.fixture
def library(open_library: OpenLibrary, folder: Path) -> Library:
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    report = library.add([folder / "photos", folder / "films", folder / "texts"], metadata={"project": "spring"})
    assert not report.failed
    return library


@pytest.fixture
def box(library: Library) -> Toolbox:
    return Toolbox(library.retriever(min_score=0))


def text(told: Told) -> str:
    return "\n".join(block.text for block in told.blocks if not isinstance(block, View))


def colours(told: Told) -> list[str]:
    """The colour of each picture."""
    found = []
    for block in told.blocks:
        if isinstance(block, View):
            mean = np.asarray(Image.open(io.BytesIO(block.jpeg)).convert("RGB"), float).mean((0, 1))
            found.append(min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum())))
    return found


def test_search_shows_what_it_finds_and_hands_the_hits_to_the_application(box: Toolbox) -> None:
    told = box.call("search", {"words": "blue", "k": 2, "modalities": ["image"]})
    assert not told.wrong
    assert told.blocks[0].text == WARNING  # type: ignore[union-attr]
    assert "[1] image “blue.png”, seen, score" in text(told)
    assert colours(told)[0] == "blue"
    assert Path(told.hits[0].source).stem == "blue"
    assert f"id {told.hits[0].id}" in text(told)


def test_look_shows_pictures_from_the_moment_and_around_it_with_their_times(box: Toolbox) -> None:
    (hit,) = box.call("search", {"words": "blue", "k": 1, "modalities": ["video"], "channels": ["visual"]}).hits
    assert (hit.start, hit.end) == (pytest.approx(6, abs=0.1), pytest.approx(10, abs=0.1))
    assert colours(box.call("look", {"id": hit.id, "frames": 2})) == ["blue", "blue"]
    wide = box.call("look", {"id": hit.id, "frames": 3, "before": 6, "after": 5})
    assert colours(wide) == ["red", "blue", "white"]
    assert "at 0:02.5:" in text(wide)
    assert "0:00 to 0:15" in text(wide)


def test_look_opens_a_picture_and_refuses_what_has_none(box: Toolbox) -> None:
    (hit,) = box.call("search", {"words": "green", "k": 1, "modalities": ["image"]}).hits
    assert colours(box.call("look", {"id": hit.id})) == ["green"]
    (passage,) = box.call("search", {"words": "green", "k": 1, "modalities": ["text"]}).hits
    told = box.call("look", {"id": passage.id})
    assert told.wrong
    assert "no picture; use read" in text(told)


def test_look_keeps_to_the_budget(library: Library) -> None:
    box = Toolbox(library.retriever(min_score=0), Budget(pictures=2))
    (hit,) = box.call("search", {"words": "blue", "k": 1, "modalities": ["video"]}).hits
    assert colours(box.call("look", {"id": hit.id.partition("#")[0], "frames": 8})) == ["red", "white"]
    assert colours(Toolbox(library.retriever(), Budget(pictures=0)).call("look", {"id": hit.id})) == []


def test_read_tells_what_is_said_around_a_moment(box: Toolbox) -> None:
    (hit,) = box.call("search", {"words": "blue", "k": 1, "modalities": ["video"], "channels": ["visual"]}).hits
    near = text(box.call("read", {"id": hit.id, "before": 0, "after": 0}))
    assert "0:06 “It turns blue now.”" in near
    assert "begins" not in near
    whole = text(box.call("read", {"id": hit.id}))
    assert whole.splitlines()[-3:] == ["0:02 “It begins.”", "0:06 “It turns blue now.”", "0:11 “And white.”"]


def test_read_tells_the_text_around_a_passage_and_where_a_long_one_goes_on(box: Toolbox, folder: Path) -> None:
    whole = (folder / "texts" / "long.txt").read_text()
    (hit,) = box.call("search", {"words": "Part 17", "k": 1, "modalities": ["text"]}).hits
    around = text(box.call("read", {"id": hit.id}))
    assert len(around) > len(hit.text) + 500
    beginning = text(box.call("read", {"id": hit.id.partition("#")[0]}))
    assert "Part 0 is about red" in beginning
    assert f"It goes on at id {hit.id.partition('#')[0]}#char={READ}," in beginning
    following = text(box.call("read", {"id": beginning.rsplit("id ", 1)[1].rstrip(".")}))
    assert " ".join(whole[READ : READ + 300].split()) in following


def test_read_has_nothing_to_tell_of_a_picture(box: Toolbox) -> None:
    (hit,) = box.call("search", {"words": "green", "k": 1, "modalities": ["image"]}).hits
    assert "Use look" in text(box.call("read", {"id": hit.id}))


def test_similar_finds_the_like_and_not_the_thing_itself(library: Library) -> None:
    box = Toolbox(library.retriever(min_score=0, modalities={"image", "video"}))
    (hit,) = box.call("search", {"words": "blue", "k": 1, "modalities": ["image"]}).hits
    told = box.call("similar", {"id": hit.id, "k": 3})
    assert hit.id not in [one.id for one in told.hits]
    assert (told.hits[0].modality, told.hits[0].start) == ("video", pytest.approx(6, abs=0.1))
    assert colours(told)[0] == "blue"


def test_sources_lists_what_can_be_searched_page_by_page(box: Toolbox) -> None:
    told = text(box.call("sources", {}))
    assert "1 to 7 of 7 files." in told
    assert "video “films/day.mp4”, 0:15 long, id " in told
    assert "1 to 1 of 1 files.\nimage “photos/more/white.png”" in text(box.call("sources", {"containing": "WHITE"}))
    assert "7 to 7 of 7 files" in text(box.call("sources", {"first": 6}))
    assert "No such files." in text(box.call("sources", {"containing": "%"}))
    last = told.splitlines()[-1].rsplit("id ", 1)[1]
    assert not box.call("read", {"id": last}).wrong


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("search", {}, "The question is empty"),
    ("search", {"words": "  \n"}, "The question is empty"),
    ("search", {"words": "a" * 50_000}, "words: String should have at most 10000 characters"),
    ("search", {"words": "red", "k": 10_000}, "k: Input should be less than or equal to 20"),
    ("search", {"words": "red", "k": "many"}, "k: Input should be a valid integer"),
    ("search", {"words": ["red"]}, "words: Input should be a valid string"),
    ("search", {"words": "red", "path": "/etc/passwd"}, "path: Extra inputs are not permitted"),
    ("search", {"words": "red", "modalities": ["smell"]}, "modalities.0: Input should be"),
    ("search", {"words": "red", "after": "yesterday"}, "after is a date"),
    ("search", {"words": "red", "with_picture": True}, "no picture of the user's in this chat"),
    ("look", {}, "id: Field required"),
    ("look", {"id": "../../etc/passwd"}, "Nothing here has that id"),
    ("look", {"id": "file:///etc/passwd"}, "Nothing here has that id"),
    ("look", {"id": "0" * 16}, "Nothing here has that id"),
    ("look", {"id": "a" * 1000}, "at most 64 characters"),
    ("look", {"id": "0" * 16, "frames": 1000}, "frames: Input should be less than or equal to 8"),
    ("read", {"id": "0" * 16, "before": -1}, "before: Input should be greater than or equal to 0"),
    ("read", {"id": "0" * 16, "before": float("nan")}, "before: Input should be"),
    ("similar", {"id": "photos/blue.png"}, "Nothing here has that id"),
    ("sources", {"first": -1}, "first: Input should be greater than or equal to 0"),
    ("delete", {"id": "0" * 16}, "There is no tool “delete”. There are search, look, read, similar, sources."),
]


def test_wrong_arguments_get_a_sentence(box: Toolbox) -> None:
    for name, arguments, sentence in WRONG:
        told = box.call(name, arguments)
        assert told.wrong, arguments
        (block,) = told.blocks
        assert not isinstance(block, View)
        assert sentence in block.text
        assert len(block.text) <= 500


def test_a_path_as_the_question_is_words(box: Toolbox, folder: Path) -> None:
    told = box.call("search", {"words": f"red {folder / 'photos' / 'blue.png'}", "k": 1, "modalities": ["image"]})
    assert colours(told) == ["red"]


@pytest.mark.parametrize("kind", ["pil", "bytes", "array"])
def test_the_users_picture_asks_when_the_model_says_so(box: Toolbox, kind: str) -> None:
    image = Image.new("RGB", (40, 30), COLOURS["green"])
    written = io.BytesIO()
    image.save(written, "PNG")
    given: Any = {"pil": image, "bytes": written.getvalue(), "array": np.asarray(image)}[kind]
    asking = {"with_picture": True, "k": 1, "modalities": ["image"]}
    assert colours(box.call("search", asking, given)) == ["green"]
    assert colours(box.call("search", {"words": "red", "k": 1, "modalities": ["image"]}, given)) == ["red"]


def test_of_a_string_in_the_pictures_place_nothing_is_opened(box: Toolbox, folder: Path) -> None:
    told = box.call("search", {"with_picture": True}, str(folder / "photos" / "blue.png"))
    assert told.wrong
    assert "no picture of the user's" in text(told)
    assert box.call("search", {"with_picture": True}, {"path": "/etc/passwd"}).wrong
    assert "cannot be the question" in text(box.call("search", {"with_picture": True}, b"no picture"))


def test_a_model_sees_no_more_than_the_application_lets_it(library: Library) -> None:
    free = Toolbox(library.retriever(min_score=0))
    (film_hit,) = free.call("search", {"words": "blue", "k": 1, "modalities": ["video"]}).hits
    bound = Toolbox(library.retriever(min_score=0, modalities={"image"}, after="2020-01-01", before=None))
    for name in ("look", "read", "similar"):
        assert "Nothing that may be asked for here has that id" in text(bound.call(name, {"id": film_hit.id}))
    assert "modalities can be image here" in text(bound.call("search", {"words": "blue", "modalities": ["video"]}))
    assert "is fixed here; leave after out" in text(bound.call("search", {"words": "blue", "after": "2024-01-01"}))
    library.add(Path(film_hit.source), metadata={"project": "secret"})
    spring = Toolbox(library.retriever(min_score=0, where={"project": "spring"}))
    assert "of 6 files" in text(spring.call("sources", {}))
    assert spring.call("look", {"id": film_hit.id}).wrong
    assert all(hit.modality != "video" for hit in spring.call("search", {"words": "blue", "k": 20}).hits)


def test_a_bound_of_channels_holds_for_every_tool(library: Library) -> None:
    free = Toolbox(library.retriever(min_score=0))
    (moment,) = free.call("search", {"words": "blue", "k": 1, "modalities": ["video"], "channels": ["visual"]}).hits
    blind = Toolbox(library.retriever(min_score=0, channels="visual"))
    assert "Only what is seen may be asked for here" in text(blind.call("read", {"id": moment.id}))
    assert "turns blue" in text(free.call("look", {"id": moment.id}))
    assert "turns blue" not in text(blind.call("look", {"id": moment.id}))
    deaf = Toolbox(library.retriever(min_score=0, channels={"text"}))
    assert "Only what is read may be asked for here" in text(deaf.call("look", {"id": moment.id}))
    assert deaf.call("similar", {"id": moment.id}).wrong


def test_a_bound_in_time_holds_for_the_list_of_files(library: Library) -> None:
    assert "1 to 1 of 1 files.\nvideo" in text(Toolbox(library.retriever(after="2024-05-01")).call("sources", {}))
    assert "No such files" in text(Toolbox(library.retriever(after="2024-06-01")).call("sources", {}))
    assert "No such files" in text(Toolbox(library.retriever(before="2020-01-01")).call("sources", {}))
    assert "No file here has the metadata" in text(Toolbox(library.retriever(where={"projct": 1})).call("sources", {}))


def test_a_bound_on_one_end_of_the_day_is_not_turned_round(library: Library) -> None:
    box = Toolbox(library.retriever(min_score=0, before="06:00"))
    assert "leave after out" in text(box.call("search", {"words": "blue", "after": "19:00"}))
    assert not box.call("search", {"words": "blue"}).hits


def test_bounds_of_channels_hold_for_lists_transcripts_and_pictures(library: Library) -> None:
    free = Toolbox(library.retriever(min_score=0))
    (moment,) = free.call("search", {"words": "blue", "k": 1, "modalities": ["video"], "channels": ["visual"]}).hits
    some = Toolbox(library.retriever(min_score=0, channels={"visual", "text"}))
    assert "Only what is read or seen" in text(some.call("read", {"id": moment.id}))
    assert all(hit.transcript() == "" for hit in some.call("search", {"words": "blue", "modalities": ["video"]}).hits)
    heard = Toolbox(library.retriever(min_score=0, channels={"speech"}))
    assert "of 1 files" in text(heard.call("sources", {}))
    told = heard.call("search", {"words": "blue"})
    assert told.hits
    assert colours(told) == []


def test_a_long_text_is_read_to_its_end(box: Toolbox, folder: Path) -> None:
    whole = (folder / "texts" / "long.txt").read_text()
    (hit,) = box.call("search", {"words": "Part 17", "k": 1, "modalities": ["text"]}).hits
    here, read, calls = hit.id.partition("#")[0], "", 0
    while here:
        told = text(box.call("read", {"id": here}))
        read += told.partition("read: \u201c")[2].partition("\u201d")[0]
        here = told.partition("It goes on at id ")[2].rstrip(".")
        calls += 1
    assert calls == -(-len(whole.rstrip()) // READ)
    assert "".join(read.split()) == "".join(whole.split())


def test_a_long_talk_is_read_to_its_end(open_library: OpenLibrary, tmp_path: Path) -> None:
    lines = [f"This is sentence number {n} of a talk that does not want to end." for n in range(400)]
    sound = write(tmp_path / "talk.wav", tone(410, 8_000), rate=8_000)
    times = [f"{n // 60:02}:{n % 60:02}" for n in range(400)]
    cues = [f"{time}.000 --> {time}.900\n{line}\n\n" for time, line in zip(times, lines, strict=True)]
    sound.with_suffix(".vtt").write_text("WEBVTT\n\n" + "".join(cues))
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    assert not library.add(sound).failed
    box = Toolbox(library.retriever(min_score=0))
    name = text(box.call("sources", {})).rpartition("id ")[2]
    here, read, calls = name, "", 0
    while here:
        told = text(box.call("read", {"id": here, "before": 0, "after": 0}))
        read += told
        here = told.partition("It goes on at id ")[2].partition(" ")[0]
        calls += 1
    assert 3 <= calls <= 8
    assert [line for line in lines if line not in read] == []
    assert len(box.call("read", {"id": name}).hits[0].evidence) <= 20


def test_another_file_in_the_place_of_one_is_not_shown_for_it(box: Toolbox, folder: Path, tmp_path: Path) -> None:
    (hit,) = box.call("search", {"words": "green", "k": 1, "modalities": ["image"]}).hits
    path = Path(hit.source)
    kept = path.read_bytes()
    Image.new("RGB", (60, 50), "blue").save(path)
    told = box.call("look", {"id": hit.id})
    assert "has changed since it was added" in text(told)
    assert colours(told) == []
    path.write_bytes(kept)  # the same bytes at another time are the same picture
    assert colours(box.call("look", {"id": hit.id})) == ["green"]
    path.unlink()
    Image.new("RGB", (60, 50), "blue").save(tmp_path / "outside.png")
    path.symlink_to(tmp_path / "outside.png")
    assert colours(box.call("look", {"id": hit.id})) == []
    path.unlink()
    path.symlink_to(path)
    loop = text(box.call("look", {"id": hit.id}))
    assert "cannot be opened" in loop
    assert str(folder) not in loop


def test_a_film_that_became_a_picture_is_a_sentence_and_its_small_picture(box: Toolbox) -> None:
    (moment,) = box.call("search", {"words": "blue", "k": 1, "modalities": ["video"], "channels": ["visual"]}).hits
    Image.new("RGB", (60, 50), "red").save(moment.source, "JPEG")
    told = box.call("look", {"id": moment.id})
    assert "cannot be shown" in text(told)
    assert colours(told) == ["blue"]


def test_what_is_said_is_quoted_whole(library: Library) -> None:
    (hit,) = library.retrieve("It turns blue now.", k=1, modalities={"video"}, channels={"speech"}, min_score=0)
    assert hit.text == "It turns blue now."
    wide = library.retriever().hit(f"{hit.id.partition('#')[0]}#t=0.000,15.000")
    assert wide.text == "It begins. It turns blue now. And white."


def test_without_room_for_pictures_a_look_says_so(library: Library) -> None:
    (moment,) = library.retrieve("blue", k=1, modalities={"video"}, min_score=0)
    told = Toolbox(library.retriever(), Budget(pictures=0)).call("look", {"id": moment.id})
    assert "(No pictures can be shown here.)" in text(told)


def test_arguments_that_are_no_mapping_get_a_sentence(box: Toolbox) -> None:
    for arguments in (None, [1], "abc", 7):
        assert box.call("search", arguments).wrong  # type: ignore[arg-type]
    assert box.call(None, {}).wrong  # type: ignore[arg-type]


def test_a_path_of_the_application_is_not_told_to_the_model(box: Toolbox, tmp_path: Path) -> None:
    told = box.call("search", {"with_picture": True}, tmp_path / "secret" / "none.jpg")
    assert told.wrong
    assert "The picture cannot be the question" in text(told)
    assert "secret" not in text(told)


def test_pictures_keep_their_times_when_there_is_no_room_for_all(library: Library) -> None:
    (moment,) = library.retrieve("blue", k=1, modalities={"video"}, min_score=0)
    whole = moment.id.partition("#")[0]
    sizes = [
        len(b.jpeg) for b in Toolbox(library.retriever()).call("look", {"id": whole}).blocks if isinstance(b, View)
    ]
    for most in range(min(sizes), sum(sizes), 50):
        told = Toolbox(library.retriever(), Budget(bytes=most)).call("look", {"id": whole})
        wanted = ["red", "red", "blue", "white"][: len(colours(told))]
        assert colours(told) == wanted  # at 1.9, 5.6, 9.4 and 13.1 s


def test_a_stretch_that_ends_in_its_last_sentence_goes_on_nowhere(library: Library) -> None:
    (moment,) = library.retrieve("blue", k=1, modalities={"video"}, min_score=0)
    told = text(Toolbox(library.retriever()).call("read", {"id": moment.id.partition("#")[0]}))
    assert "goes on" not in told


def test_a_file_that_is_gone_is_a_sentence_and_the_rest_is_shown(box: Toolbox, folder: Path) -> None:
    hits = box.call("search", {"words": "blue", "k": 2, "modalities": ["image"]}).hits
    Path(hits[0].source).unlink()
    told = box.call("search", {"words": "blue", "k": 2, "modalities": ["image"]})
    assert "This picture cannot be shown" in text(told)
    assert len(colours(told)) == 1
    assert str(folder) not in text(told)
    assert "cannot be shown" in text(box.call("look", {"id": hits[0].id}))
    (moment,) = box.call("search", {"words": "blue", "k": 1, "modalities": ["video"]}).hits
    Path(moment.source).rename(folder / "moved.mp4")
    told = box.call("look", {"id": moment.id})
    assert not told.wrong
    assert "cannot be shown" in text(told)


def test_an_empty_library_says_that_nothing_was_found(open_library: OpenLibrary) -> None:
    box = Toolbox(open_library().retriever())
    assert text(box.call("search", {"words": "red"})) == "Nothing was found."
    assert "No such files." in text(box.call("sources", {}))


def test_what_the_application_must_mend_is_raised(library: Library, box: Toolbox) -> None:
    library.close()
    with pytest.raises(LibraryError, match="open it again"):
        box.call("sources", {})


def test_calls_that_are_awaited_answer_alike(box: Toolbox) -> None:
    async def both() -> list[Told]:
        asking = {"words": "blue", "k": 1, "modalities": ["image"]}
        return await asyncio.gather(*(box.acall("search", asking) for _ in range(8)))

    plain = box.call("search", {"words": "blue", "k": 1, "modalities": ["image"]})
    assert [text(told) for told in asyncio.run(both())] == [text(plain)] * 8


def test_every_argument_is_described_and_none_is_a_path() -> None:
    for tool in TOOLS:
        schema = tool.arguments.model_json_schema()
        assert schema["additionalProperties"] is False
        for name, field in schema["properties"].items():
            assert field["description"], f"{tool.name}.{name}"
            assert "path" not in name
            assert "url" not in name
