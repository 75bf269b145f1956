"""What a decoding process sends is not trusted: whatever it is, it costs the file and nothing else."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seehear.decoder import Decoder, Finished, Job, Piece, _warn
from seehear.errors import DecoderDied, MediaError, UnreadableMedia
from seehear.worker import send

PIECE = {"id": "i", "source": "key", "modality": "text", "channel": "text", "words": [], "thumbnail": "", "text": "a"}


class Lying(Decoder):
    """A process that has said what we let it say, and is gone."""

    def __init__(self, *said: bytes) -> None:
        self._in, self._out = io.BytesIO(), io.BytesIO(b"".join(len(one).to_bytes(4, "big") + one for one in said))
        self.alive = True

    def _death(self, error: Exception, seconds: float) -> str:
        return f"nonsense: {type(error).__name__}"

    def events(self) -> Iterator[Any]:
        return self.decode(Job("key", Path("a.txt")), 1.0)


def message(**parts: Any) -> bytes:
    return json.dumps(parts).encode()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"no JSON",
        b"[" * 100_000,
        b"[]",
        b"7",
        b"\xff",
        message(),
        message(event="finished"),
        message(event="opened"),
        message(event="opened", modality="text", surprise=1),
        message(event="note", message="a"),
        message(event="piece", segment=PIECE),
        message(event="piece", segment={**PIECE, "source": "another"}, text="a"),
        message(event="piece", segment={}, text="a"),
        message(event="piece", segment={**PIECE, "words": [{"text": 5}]}, text="a"),
        message(event="piece", segment={**PIECE, "thumbnail": "not base64!"}, text="a"),
        b'{"event": "piece", "segment": {}, "rate": Infinity}',
        message(event="piece", segment=PIECE, shape=[-1, "x"]),
        message(event="piece", segment=PIECE, text=5),
    ],
)
def test_an_answer_that_is_none_costs_the_file(said: bytes) -> None:
    (last,) = Lying(said, b"[1,", b"\0" * 3).events()
    assert isinstance(last, Finished)
    assert isinstance(last.error, DecoderDied)


def test_only_errors_of_ours_are_raised_and_of_a_file(caplog: pytest.LogCaptureFixture) -> None:
    for name, kind in (("DecoderDied", DecoderDied), ("SystemExit", MediaError), ("LibraryError", UnreadableMedia)):
        (last,) = Lying(message(event="finished", error=name, message="why")).events()
        assert type(last.error) is kind
    _warn.cache_clear()
    with caplog.at_level(logging.WARNING):
        ok = message(event="finished", error=None, message="")
        assert [type(one) for one in Lying(message(event="confined", lacks="\x1b[31mred"), ok).events()] == [Finished]
    assert "\x1b" not in caplog.text


def test_half_letters_do_not_get_in() -> None:
    piece, _ = Lying(
        message(event="piece", segment={**PIECE, "text": "\ud800"}, text="a\udfff"),
        message(event="finished", error=None, message=""),
    ).events()
    assert isinstance(piece, Piece)
    assert (piece.segment.text, piece.content.text) == ("?", "a?")  # type: ignore[union-attr]


def test_a_request_is_what_was_asked() -> None:
    asked = io.BytesIO()
    send(asked, Job("key", Path("a.txt"), within=["/srv"]).request())
    assert json.loads(asked.getvalue()[4:])["within"] == ["/srv"]
