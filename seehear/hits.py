"""What an answer is: a place in a file, why it was found, and how to look at it."""

from __future__ import annotations

import base64
import html
import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seehear.errors import MediaError
from seehear.types import Evidence, Metadata, Modality, Needs

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.table import Table

THUMBNAIL = 160
"""Short side of a picture on a contact sheet, pixels."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer."""

    id: str
    """Names source and time; stays the same while the file does."""
    source: str
    """Absolute path of the file."""
    modality: Modality
    start: float | None
    """Seconds from the start of the file; None for what has no time."""
    end: float | None
    score: float
    """0 to 1, higher is better."""
    text: str
    metadata: Metadata
    evidence: tuple[Evidence, ...]

    def picture(self, pixels: int | None = None) -> Image:
        """Open the picture, upright and RGB, its short side at most `pixels`. Raises MediaError if it is gone."""
        from PIL.Image import fromarray

        from seehear.media import Limits, open_source, read_picture

        with open_source(Path(self.source), self.id, Limits()) as source:
            return fromarray(read_picture(source, Needs(pixels), Limits()).pixels)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values that JSON can hold."""
        return {**asdict(self), "metadata": dict(self.metadata)}


class Hits(list[Hit]):
    """Answers, best first: a list that shows itself as a contact sheet in a notebook and as a table in a terminal."""

    def to_json(self) -> str:
        """An array of objects, one per hit."""
        return json.dumps([hit.to_dict() for hit in self], indent=2)

    def _repr_html_(self) -> str:
        if not self:
            return "<p>Nothing was found.</p>"
        return (
            '<div style="display:flex;flex-wrap:wrap;gap:12px;font:13px/1.4 sans-serif">'
            + "".join(_figure(hit) for hit in self)
            + "</div>"
        )

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table("", "score", "file", box=None, header_style="dim")
        for number, hit in enumerate(self, 1):
            table.add_row(str(number), f"{hit.score:.3f}", Text(shown(hit.source), overflow="fold"))
        return table


def shown(text: str) -> str:
    """Make untrusted text fit to be looked at: no control, direction or undecodable characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _figure(hit: Hit) -> str:
    path = html.escape(shown(hit.source), quote=True)
    name = html.escape(shown(Path(hit.source).name))
    try:
        image = (
            f'<img src="{_data_url(hit)}" alt="{name}" style="height:{THUMBNAIL}px;max-width:320px;object-fit:cover">'
        )
    except MediaError as error:
        style = f"height:{THUMBNAIL}px;width:{THUMBNAIL}px;background:#eee;color:#666"
        image = f'<div style="{style}">{html.escape(str(error))}</div>'
    caption = f'<b>{hit.score:.3f}</b><br><span style="overflow-wrap:anywhere">{name}</span>'
    return f'<figure title="{path}" style="margin:0;max-width:320px">{image}<figcaption>{caption}</figcaption></figure>'


def _data_url(hit: Hit) -> str:
    buffer = io.BytesIO()
    hit.picture(2 * THUMBNAIL).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
