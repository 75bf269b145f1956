"""What an answer is: a place in a file, why it was found, and how to look at it."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from seehear.errors import InputError, MediaError, UnsupportedMedia
from seehear.media import Limits
from seehear.types import Channel, Evidence, Metadata, Modality, Scalar, Segment, Stamp
from seehear.viewing import Seen
from seehear.wording import quoted, repeated, shown

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.table import Table

    from seehear.blocks import Budget

THUMBNAIL = 160
"""Short side of a picture on a contact sheet, pixels."""
BRIEF = 2.0
"""Seconds below which a moment's times are shown with tenths."""
HOW: dict[Channel, str] = {"visual": "seen", "sound": "heard", "speech": "said", "text": "read"}
"""What people call it to be found in a channel."""
FRAMES = 100
"""Most pictures that are taken from a moment at once."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer."""

    id: str
    """Names source and time; stays the same while the file does."""
    source: str
    """Absolute path of the file; of a passage that is no file, its id."""
    modality: Modality
    start: float | None
    """Seconds from the start of the file; None for what has no time."""
    end: float | None
    score: float
    """0 to 1, higher is better; near 0, nothing here matches. What it promises: `seehear.calibration`."""
    text: str
    """What is read or said there."""
    metadata: Metadata
    evidence: tuple[Evidence, ...]
    thumbnail: bytes = field(default=b"", repr=False, compare=False)
    """Of a moment of a video: a picture from it, as a small JPEG that was made when the file was added."""
    limits: Limits = field(default=Limits(), repr=False, compare=False)
    """What opening the file may cost: the library's."""
    stamp: Stamp | None = field(default=None, repr=False, compare=False)
    """What the file was when it was added; None for what is no file."""
    said: Callable[[float, float], Sequence[Segment]] | None = field(default=None, repr=False, compare=False)
    """Asks the library for what is said from one second to another; None for what has no time."""

    @property
    def source_name(self) -> str:
        """The part of its id that names the file, and is the id of all of it (`seehear.types.source_name`)."""
        return self.id.partition("#")[0]

    @property
    def place(self) -> str:
        """Where in the file, for people: `1:02:03 to 1:02:08`; empty for what has no time."""
        if self.start is None or self.end is None:
            return ""
        places = 1 if self.end - self.start < BRIEF else 0
        return f"{clock(self.start, places)} to {clock(self.end, places)}"

    @property
    def how(self) -> str:
        """How it was found, for people: `seen and said`."""
        ways = list(dict.fromkeys(HOW[one.channel] for one in self.evidence))
        return " and ".join(filter(None, (", ".join(ways[:-1]), *ways[-1:])))

    @property
    def uri(self) -> str:
        """The file as a URI, the moment as its fragment: `file:///talk.mp4#t=12.4,18` (W3C, Media Fragments 1.0)."""
        path = Path(self.source)
        uri = path.as_uri() if path.is_absolute() else quote(self.source)
        if self.start is None or self.end is None:
            return uri
        return f"{uri}#t={_short(self.start)},{_short(self.end)}"

    def picture(self, pixels: int | None = None) -> Image:
        """Open the picture, or the one that stands for a moment of a video: upright, RGB, short side at most `pixels`.

        Raises MediaError if it is gone or has changed since it was added, UnsupportedMedia for what has no picture.
        """
        if self.modality == "video":
            return self.frames(1, pixels)[0]
        from PIL.Image import fromarray

        if self.modality != "image":
            raise UnsupportedMedia(f"{self.source} is no picture but {self.modality}")
        return fromarray(self._seen.picture(_side(pixels)).pixels)

    def frames(self, n: int = 4, pixels: int | None = None) -> list[Image]:
        """Pictures from inside the moment of a video, evenly spread: upright, RGB, short side at most `pixels`.

        Raises MediaError if they cannot be had, and as `times` does.
        """
        from PIL.Image import fromarray

        return [fromarray(picture.pixels) for picture in self._seen.frames(self.times(n), _side(pixels))]

    def times(self, n: int = 4) -> list[float]:
        """When in the file the pictures of `frames` are from, seconds; one alone is from the middle of what was seen.

        Raises UnsupportedMedia for what is no video, InputError for an `n` that makes no sense.
        """
        if isinstance(n, bool) or not isinstance(n, Integral) or not 1 <= n <= FRAMES:
            raise InputError(f"n is how many pictures you want, 1 to {FRAMES}, not {repeated(n)}.")
        start, end = self._moment("video")
        if n == 1 and (seen := next((one for one in self.evidence if one.channel == "visual"), None)):
            start, end = max(start, seen.start or 0.0), min(end, seen.end or end)
        return [start + (place + 0.5) * (end - start) / n for place in range(n)]

    def clip(self, path: str | os.PathLike[str]) -> Path:
        """Write just this moment of a video or a recording as an MP4 that browsers play, with its sound.

        `path` ends in `.mp4`; what is there is replaced. Returns it. Raises InputError, MediaError where the
        moment cannot be had, SeehearError where `path` cannot be written.
        """
        start, end = self._moment("video", "audio")
        return self._seen.clip(start, end, Path(path))

    def transcript(self, before: float = 0.0, after: float = 0.0) -> str:
        """What is said in the moment, and so many seconds before and after it: a line a passage, each with its time.

        The library must still be open. Raises LibraryError if it is not.
        """
        if self.said is None or self.start is None or self.end is None:
            return ""
        passages = self.said(self.start - before, self.end + after)
        return "\n".join(f"{clock(one.start or 0.0)} {shown(one.text)}" for one in passages)

    def to_dict(self) -> dict[str, Any]:
        """What it says, without pictures, as plain values that JSON can hold."""
        plain = ("id", "source", "modality", "start", "end", "score", "text")
        return {
            **{name: getattr(self, name) for name in plain},
            "metadata": dict(self.metadata),
            "evidence": [{**asdict(one), "words": [asdict(word) for word in one.words]} for one in self.evidence],
        }

    def to_metadata(self) -> dict[str, Scalar]:
        """What it says as flat, plain values, for the documents of frameworks; what is known of the file wins."""
        plain = ("source", "modality", "start", "end", "place", "how", "uri", "score", "text")
        told = {name: value for name in plain if (value := getattr(self, name)) not in (None, "")}
        return {**told, **self.metadata}

    def __getstate__(self) -> list[Any]:
        """What is pickled and copied: all but the way to the library."""
        return [None if one.name == "said" else getattr(self, one.name) for one in fields(self)]

    @property
    def _seen(self) -> Seen:
        return Seen(Path(self.source), self.limits, self.stamp)

    def _moment(self, *modalities: Modality) -> tuple[float, float]:
        if self.modality not in modalities or self.start is None or self.end is None:
            raise UnsupportedMedia(f"{self.source} is no {' and no '.join(modalities)} but {self.modality}")
        return self.start, self.end


class Hits(list[Hit]):
    """Answers, best first: a list that shows itself as a contact sheet in a notebook and as a table in a terminal."""

    def __init__(self, hits: Iterable[Hit] = (), heard: str | None = None) -> None:
        super().__init__(hits)
        self.heard = heard
        """Of a spoken question: the words that were understood."""

    def to_json(self) -> str:
        """An array of objects, one per hit."""
        return json.dumps([hit.to_dict() for hit in self], indent=2)

    def to_openai(self, budget: Budget | None = None) -> list[dict[str, Any]]:
        """The content of a user's message to OpenAI: of each hit a line, and pictures within the budget.

        The form is that of Chat Completions: https://platform.openai.com/docs/guides/images-vision.
        """
        from seehear.blocks import blocks, to_openai

        return to_openai(blocks(self, budget))

    def to_anthropic(self, budget: Budget | None = None) -> list[dict[str, Any]]:
        """The content of a message or a tool's result for Claude: of each hit a line, and pictures within the budget.

        The form is that of https://docs.claude.com/en/docs/build-with-claude/vision.
        """
        from seehear.blocks import blocks, to_anthropic

        return to_anthropic(blocks(self, budget))

    def _repr_html_(self) -> str:
        said = f"<p>heard: {html.escape(shown(self.heard))}</p>" if self.heard else ""
        if not self:
            return f"{said}<p>Nothing was found.</p>"
        return (
            f"{said}"
            '<div style="display:flex;flex-wrap:wrap;gap:12px;font:13px/1.4 sans-serif">'
            + "".join(_figure(hit) for hit in self)
            + "</div>"
        )

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table("", "score", "what", box=None, header_style="dim")
        for number, hit in enumerate(self, 1):
            what = Text(shown(hit.source), overflow="fold")
            what.append(f"  {hit.place}, {hit.how}" if hit.place else "")
            what.append(f"\n{quoted(hit.text)}" if hit.text else "", style="italic")
            table.add_row(str(number), f"{hit.score:.3f}", what)
        return table


def _side(pixels: Any) -> int | None:
    """Check how large a picture is to be. Raises InputError."""
    if pixels is None or (isinstance(pixels, Integral) and not isinstance(pixels, bool) and int(pixels) > 0):
        return None if pixels is None else int(pixels)
    raise InputError(f"pixels is the short side that a picture may have, 1 or more, not {repeated(pixels)}.")


def clock(seconds: float, places: int = 0) -> str:
    """A time in a recording, such as `0:05` or `1:02:03`; with one decimal place `0:05.7`."""
    whole, part = divmod(int(seconds * 10**places), 10**places)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    behind = f".{part}" if places else ""
    return f"{hours}:{minutes:02}:{rest:02}{behind}" if hours else f"{minutes}:{rest:02}{behind}"


def _short(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")


def _figure(hit: Hit) -> str:
    path = html.escape(shown(hit.source), quote=True)
    name = html.escape(shown(Path(hit.source).name))
    box = f"height:{THUMBNAIL}px;width:{THUMBNAIL * 3 // 2}px;background:#eee;color:#333;padding:8px;overflow:hidden"
    if hit.modality != "image" and not hit.thumbnail:
        what = html.escape(quoted(hit.text)) if hit.text else f"a sound ({hit.modality})"
        image = f'<div style="{box};box-sizing:border-box">{what}</div>'
    else:
        try:
            image = (
                f'<img src="{_data_url(hit)}" alt="{name}" '
                f'style="height:{THUMBNAIL}px;max-width:320px;object-fit:cover">'
            )
        except MediaError as error:
            image = f'<div style="{box}">{html.escape(shown(str(error)))}</div>'
    when = f" &middot; {hit.place}, {hit.how}" if hit.place else ""
    words = f"<br><i>{html.escape(quoted(hit.text))}</i>" if hit.thumbnail and hit.text else ""
    caption = f'<b>{hit.score:.3f}</b>{when}<br><span style="overflow-wrap:anywhere">{name}</span>{words}'
    return f'<figure title="{path}" style="margin:0;max-width:320px">{image}<figcaption>{caption}</figcaption></figure>'


def _data_url(hit: Hit) -> str:
    written = hit.thumbnail
    if not written:
        buffer = io.BytesIO()
        hit.picture(2 * THUMBNAIL).save(buffer, "JPEG", quality=80)
        written = buffer.getvalue()
    return "data:image/jpeg;base64," + base64.b64encode(written).decode()
