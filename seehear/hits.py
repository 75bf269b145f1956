"""What an answer is: a place in a file, why it was found, and how to look at it."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seehear.errors import MediaError, UnsupportedMedia
from seehear.types import Evidence, Metadata, Modality, Needs

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.table import Table

QUOTED = 200
"""Characters of a passage that are shown."""
THUMBNAIL = 160
"""Short side of a picture on a contact sheet, pixels."""


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

    @property
    def place(self) -> str:
        """Where in the file, for people: `1:02:03 to 1:02:08`; empty for what has no time."""
        return "" if self.start is None or self.end is None else f"{clock(self.start)} to {clock(self.end)}"

    def picture(self, pixels: int | None = None) -> Image:
        """Open the picture, upright and RGB, its short side at most `pixels`.

        Raises MediaError if it is gone, UnsupportedMedia for a hit that is no picture.
        """
        from PIL.Image import fromarray

        from seehear.media import Limits, open_source
        from seehear.picture import read_picture

        if self.modality != "image":
            raise UnsupportedMedia(f"{self.source} is no picture but {self.modality}")

        with open_source(Path(self.source), self.id, Limits()) as source:
            return fromarray(read_picture(source, Needs(pixels), Limits()).pixels)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        return {**asdict(self), "metadata": dict(self.metadata)}


class Hits(list[Hit]):
    """Answers, best first: a list that shows itself as a contact sheet in a notebook and as a table in a terminal."""

    def __init__(self, hits: Iterable[Hit] = (), heard: str | None = None) -> None:
        super().__init__(hits)
        self.heard = heard
        """Of a spoken question: the words that were understood."""

    def to_json(self) -> str:
        """An array of objects, one per hit."""
        return json.dumps([hit.to_dict() for hit in self], indent=2)

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
            what.append(f"  {hit.place}" if hit.place else "")
            what.append(f"\n{quoted(hit.text)}" if hit.text else "", style="italic")
            table.add_row(str(number), f"{hit.score:.3f}", what)
        return table


def shown(text: str) -> str:
    """Make untrusted text fit to be looked at: no control, direction or undecodable characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def quoted(text: str) -> str:
    """The beginning of a text, on one line, in quotation marks, fit to be looked at."""
    line = shown(" ".join(text.split()))
    return f"\u201c{line[: QUOTED - 1]}\u2026\u201d" if len(line) > QUOTED else f"\u201c{line}\u201d"


def clock(seconds: float) -> str:
    """A time in a recording, such as `0:05` or `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _figure(hit: Hit) -> str:
    path = html.escape(shown(hit.source), quote=True)
    name = html.escape(shown(Path(hit.source).name))
    box = f"height:{THUMBNAIL}px;width:{THUMBNAIL * 3 // 2}px;background:#eee;color:#333;padding:8px;overflow:hidden"
    if hit.modality != "image":
        what = html.escape(quoted(hit.text)) if hit.text else f"a sound ({hit.modality})"
        image = f'<div style="{box};box-sizing:border-box">{what}</div>'
    else:
        try:
            image = (
                f'<img src="{_data_url(hit)}" alt="{name}" '
                f'style="height:{THUMBNAIL}px;max-width:320px;object-fit:cover">'
            )
        except MediaError as error:
            image = f'<div style="{box}">{html.escape(str(error))}</div>'
    when = f" &middot; {hit.place}" if hit.place else ""
    caption = f'<b>{hit.score:.3f}</b>{when}<br><span style="overflow-wrap:anywhere">{name}</span>'
    return f'<figure title="{path}" style="margin:0;max-width:320px">{image}<figcaption>{caption}</figcaption></figure>'


def _data_url(hit: Hit) -> str:
    buffer = io.BytesIO()
    hit.picture(2 * THUMBNAIL).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
