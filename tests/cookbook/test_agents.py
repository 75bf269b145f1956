"""The cookbook's agents and pipelines: what they call, what they answer, and that it comes from the pictures."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from films import film, plain, steady
from PIL import Image

from seehear import Library, ModelSet
from seehear.blocks import Words, blocks
from seehear.hits import Hit
from seehear.testing import COLOUR, COLOURS, LoudnessTranscriber
from seehear.types import Route

pytestmark = pytest.mark.filterwarnings(  # LlamaIndex uses what is deprecated
    "ignore::pydantic.warnings.PydanticDeprecationWarning", "ignore:is_running called:DeprecationWarning"
)
COOKBOOK = Path(__file__).parent.parent.parent / "cookbook"
BOTH = frozenset({"text", "image"})
SET = ModelSet(
    "seen and said", (Route("visual", COLOUR, BOTH), Route("speech", COLOUR, frozenset({"text"}))), ("image", "video")
)


@pytest.fixture
def cookbook(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a script of the cookbook."""
    monkeypatch.syspath_prepend(str(COOKBOOK))
    monkeypatch.delenv("SEEHEAR_CHAT_MODEL", raising=False)

    def imported(name: str) -> ModuleType:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # LlamaIndex imports what is deprecated
            return importlib.import_module(name)

    return imported


@pytest.fixture
def seen(open_library: Callable[..., Library], photos: Path, tmp_path: Path) -> Library:
    """Pictures of one colour each, and a film of red, blue and white in which somebody speaks of blue."""
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    (tmp_path / "films").mkdir()
    shots = steady([(6, plain(COLOURS["red"])), (4, plain(COLOURS["blue"])), (5, plain(COLOURS["white"]))], 12.5)
    film(tmp_path / "films" / "day.mp4", shots)
    (tmp_path / "films" / "day.srt").write_text("1\n00:00:06,500 --> 00:00:08,000\nIt turns blue now.\n")
    assert not library.add([photos, tmp_path / "films"]).failed
    return library


def in_the_dark(colour: tuple[int, int, int]) -> Image.Image:
    """A picture of a colour, most of which is black."""
    picture = Image.new("RGB", (40, 30))
    picture.paste(colour, (0, 0, 18, 30))
    return picture


def test_an_answer_is_grounded_in_the_picture_and_another_picture_makes_another_answer(
    cookbook: Callable[[str], ModuleType], seen: Library, photos: Path
) -> None:
    from seehear.integrations.langchain import SeehearRetriever

    script, model = cookbook("ground_answers_with_images"), cookbook("scripted_langchain").ScriptedChat()
    retriever = SeehearRetriever(library=seen, k=2, modalities={"image"}, min_score=0)
    said, sources = script.answer("What is green?", retriever, model)
    assert said == "\u201cgreen.png\u201d shows green."
    assert sources[0] == str(photos / "green.png")
    in_the_dark(COLOURS["green"]).save(photos / "green.png")
    assert "has changed since" in script.answer("What is green?", retriever, model)[0]
    seen.add(photos)
    assert script.answer("What is green?", retriever, model)[0] == "\u201cgreen.png\u201d shows black."


@pytest.mark.parametrize("framework", ["LangChain", "LlamaIndex"])
def test_an_agent_searches_looks_and_answers_from_the_frames(
    cookbook: Callable[[str], ModuleType], seen: Library, photos: Path, framework: str
) -> None:
    ask = cookbook("agent_tool_calls").AGENTS[framework]
    run = ask(seen, "blue", min_score=0, modalities={"video"})
    assert [name for name, _ in run.calls] == ["search", "look"]
    assert run.calls[1][1]["id"].endswith("#t=6.500,8.000")
    assert run.answer == "\u201cday.mp4\u201d at 0:06.5 to 0:08.0 shows blue and says \u201cIt turns blue now.\u201d."
    picture = (photos / "white.png", photos / "more" / "white.png")[1].read_bytes()
    run = ask(seen, "like this", picture, min_score=0, modalities={"image"})
    assert run.calls[0] == ("search", {"words": "like this", "k": 5, "with_picture": True})
    assert run.answer == "\u201cwhite.png\u201d shows white."
    assert ask(seen, "red", min_score=0, modalities={"image"}).answer == "\u201cred.png\u201d shows red."
    in_the_dark(COLOURS["red"]).save(photos / "red.png")
    seen.add(photos)
    assert ask(seen, "red", min_score=0, modalities={"image"}).answer == "\u201cred.png\u201d shows black."


def test_an_agent_that_finds_nothing_says_so(cookbook: Callable[[str], ModuleType], library: Library) -> None:
    for ask in cookbook("agent_tool_calls").AGENTS.values():
        run = ask(library, "anything")
        assert (len(run.calls), run.answer) == (1, "I found nothing about that.")


def test_moments_answer_a_question_with_their_times(cookbook: Callable[[str], ModuleType], seen: Library) -> None:
    script, model = cookbook("video_clip_lookup_for_qa"), cookbook("scripted_langchain").ScriptedChat()
    said, moments = script.answer("When is it blue?", seen, model, 1)
    assert said == "\u201cday.mp4\u201d at 0:06.5 to 0:08.0 shows blue and says \u201cIt turns blue now.\u201d."
    assert [(hit.start, hit.end) for hit in moments] == [(6.5, 8.0)]


@pytest.mark.parametrize("place", ["said", "read", "named"])
def test_forty_strings_of_strangers_call_nothing(cookbook: Callable[[str], ModuleType], place: str) -> None:
    believed, live = cookbook("scripted").believed, cookbook("measure_injections").LIVE
    strings = [json.loads(line) for line in (COOKBOOK / "injections.jsonl").read_text("utf-8").splitlines()]
    assert len(strings) == 40
    assert sum(believed([string]) is not None for string in strings) >= 20  # else the model is not gullible
    for string in strings:
        kind: Any = {"said": "audio", "read": "text", "named": "image"}[place]
        source = f"/photos/{string}" if place == "named" else "/talks/talk.wav"
        times = (1.0, 2.0) if kind == "audio" else (None, None)
        hit = Hit("0" * 16, source, kind, *times, 0.9, "" if place == "named" else f"Hello. {string}", {}, ())
        text = "\n".join(block.text for block in blocks([hit]) if isinstance(block, Words))
        assert believed([text]) is None, string
        assert not live.search(text.replace("\n", "")), string


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ("ground_answers_with_images.py", "\u201ccoffee.png\u201d shows brown."),
        ("agent_tool_calls.py", "\u201ccoffee.png\u201d shows brown."),
        ("what_models_read.py", "\n    [image/jpeg, 600 x 400, "),
        ("video_clip_lookup_for_qa.py", "\u201ccarphone_pristine.mp4\u201d at 0:00 to 0:04 shows black."),
    ],
)
def test_each_script_runs_as_its_first_lines_say(
    cookbook: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    answer: str,
) -> None:
    demo = cookbook("demo")
    media = tmp_path / "media"
    media.mkdir()
    wanted = [path for path in demo.photographs() if path.name in ("coffee.png", "chelsea.png", "rocket.jpg")]
    if script.startswith("video"):
        wanted = [path for path in demo.recordings() if path.suffix == ".mp4"]
    for path in wanted:
        shutil.copy(path, media)
    question = "a man in a suit with a bow tie in a car" if script.startswith("video") else "a cup of coffee on a table"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, "--media", str(media), question])
    cookbook(script.removesuffix(".py")).main()
    out = capsys.readouterr().out
    assert question in out
    assert answer in out
    if script.startswith("video"):
        assert (tmp_path / "clips" / "1-1.mp4").stat().st_size > 1_000


@pytest.mark.parametrize("script", ["ground_answers_with_images", "video_clip_lookup_for_qa"])
def test_a_folder_with_nothing_of_use_is_a_sentence(
    cookbook: Callable[[str], ModuleType],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"\xff\xd8\xff broken")
    for media, told in (("nowhere", "there is no such file or folder"), ("broken", "damaged or cut short")):
        monkeypatch.setattr(sys, "argv", [script, "--media", str(tmp_path / media), "red"])
        with pytest.raises(SystemExit, match="There is nothing to ask about"):
            cookbook(script).main()
        assert told in capsys.readouterr().err
