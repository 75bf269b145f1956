"""What a language model may do with a library: five tools, the same in every framework, whose adapters only translate.

What a model says is untrusted: it gives words, numbers and ids of earlier hits, never a path or a URL, and gets a
sentence that it can act upon where it is wrong. What the application must mend (a library that is closed, weights that
are missing) is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from seehear.blocks import NAMED, WARNING, Block, Budget, Purse, View, Words, blocks, described, told
from seehear.errors import InputError, MediaError, QueryError
from seehear.hits import HOW, Hit, Hits, clock
from seehear.query import TEXT_MAX
from seehear.retrieve import Retriever
from seehear.types import Channel, Modality, Query
from seehear.wording import repeated, shown

MOST = 20
"""Hits that a model may ask for at once."""
FRAMES = 8
"""Pictures of a moment that it may look at, once the budget allows it."""
AROUND = 600.0
"""Seconds before and after a moment that it may look at or read."""
READ = 8_000
"""Characters of a transcript at once."""
PAGE = 50
"""Files that are listed at once."""
WRONG = 500
"""Characters of a sentence about what is wrong."""

_ID = Field(max_length=64, description="id of an earlier hit, exactly as it was written")


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Search(_Arguments):
    """What to search for."""

    words: str = Field("", max_length=TEXT_MAX, description="what to find, in plain words")
    k: int = Field(5, ge=1, le=MOST, description="how many answers")
    modalities: Annotated[list[Modality], FailFast()] = Field(
        [], description="only files of these kinds; empty for all"
    )
    channels: Annotated[list[Channel], FailFast()] = Field(
        [], description="only what is seen (visual), heard (sound), said (speech) or read (text); empty for all"
    )
    after: str = Field("", max_length=40, description='only what was taken from then on: "2024-05-03" or "10 PM"')
    before: str = Field("", max_length=40, description="only what was taken until just before then")
    with_picture: bool = Field(
        False, description="ask with the picture that the user put into the chat, beside the words or without any"
    )


class Look(_Arguments):
    """Where to look."""

    id: str = _ID
    frames: int = Field(4, ge=1, le=FRAMES, description="how many pictures of a video, evenly spread")
    before: float = Field(0.0, ge=0, le=AROUND, description="seconds before the moment to look at too")
    after: float = Field(0.0, ge=0, le=AROUND, description="seconds after the moment to look at too")


class Read(_Arguments):
    """Where to read."""

    id: str = _ID
    before: float = Field(15.0, ge=0, le=AROUND, description="seconds before the moment")
    after: float = Field(15.0, ge=0, le=AROUND, description="seconds after the moment")


class Similar(_Arguments):
    """What to find the like of."""

    id: str = _ID
    k: int = Field(5, ge=1, le=MOST, description="how many answers")


class Sources(_Arguments):
    """Which files to list."""

    containing: str = Field("", max_length=NAMED, description="only files whose folder or name contains this")
    modalities: Annotated[list[Modality], FailFast()] = Field(
        [], description="only files of these kinds; empty for all"
    )
    first: int = Field(0, ge=0, le=10**9, description="how many files to pass over, to read on in a long list")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, as every framework wants it described."""

    name: Literal["search", "look", "read", "similar", "sources"]
    description: str
    arguments: type[BaseModel]


TOOLS = (
    Tool(
        "search",
        "Search pictures, sounds, speech, moments of videos and texts. Answers are numbered, best first, each with the "
        "file's name, the time in it, a score (0 to 1; near 0, nothing here matches), what is said there, an id, and a "
        "picture. Cite the name and the time.",
        Search,
    ),
    Tool("look", "Look closer at a hit: its picture, or several from a moment of a video and around it.", Look),
    Tool("read", "Read what is said in and around a moment of a recording or video, or the text around a hit.", Read),
    Tool("similar", "Find what looks, sounds or reads like an earlier hit.", Similar),
    Tool("sources", "List the files that can be searched, with their ids and lengths.", Sources),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool answers: blocks for the model, and the hits that they are of, for the application."""

    blocks: list[Block]
    hits: Hits = field(default_factory=Hits)
    wrong: bool = False
    """Whether it is a sentence about what was wrong with the arguments."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """Calls the tools for a model. The retriever's settings bound what it may find, look at, read and list."""

    retriever: Retriever
    budget: Budget = field(default_factory=Budget)

    def call(self, name: str, arguments: Mapping[str, Any], picture: Any = None) -> Told:
        """Run a tool with what a model wrote, and the picture that the user put into the chat (as Query takes it).

        `picture` is the application's to give; of a string, which a model could have written, nothing is opened.
        """
        tool = next((tool for tool in TOOLS if isinstance(name, str) and tool.name == name), None)
        if tool is None:
            return _wrong(unknown(name))
        run: Callable[..., Told] = getattr(self, f"_{tool.name}")
        try:
            given = tool.arguments.model_validate(arguments)
            return run(given, picture) if tool.name == "search" else run(given)
        except ValidationError as error:
            return Told([Words(explained(error))], wrong=True)
        except (InputError, MediaError) as error:
            return _wrong(str(error))

    async def acall(self, name: str, arguments: Mapping[str, Any], picture: Any = None) -> Told:
        """Like `call`, without holding up the event loop."""
        return await self.retriever.apart(lambda: self.call(name, arguments, picture))

    def _search(self, given: Search, picture: Any) -> Told:
        if given.with_picture and (picture is None or isinstance(picture, str)):
            raise InputError("There is no picture of the user's in this chat; ask in words.")
        if not given.with_picture and not given.words.strip():
            raise InputError("The question is empty. Say in words what to find.")
        query = Query(given.words or None, picture if given.with_picture else None)
        try:
            hits = self.retriever.retrieve(query, given.k, **self._narrowed(given))
        except QueryError as error:
            # Where the application has its files is not the model's business.
            path = fspath(picture) if given.with_picture and isinstance(picture, PathLike) else None
            raise InputError(str(error.args[0]).replace(path, "The picture") if path else str(error)) from error
        return Told(blocks(hits, self._shown), hits)

    def _look(self, given: Look) -> Told:
        self._allow("visual")
        hit = self.retriever.hit(given.id)
        if hit.modality not in ("image", "video"):
            raise InputError(f"That hit is {hit.modality} and has no picture; use read.")
        purse = Purse(self.budget)
        if hit.modality == "image":
            return Told([Words(WARNING), Words(described(hit)), *purse.of(hit)], Hits([hit]))
        wider = self._wider(hit, given.before, given.after)
        frames = min(given.frames, self.budget.pictures) or given.frames
        views = purse.views(lambda side: wider.frames(frames, side))
        found: list[Block] = [Words(WARNING), Words(described(wider))]
        for time, view in zip(wider.times(frames), views, strict=False):
            found += [Words(f"at {clock(time, 1)}:"), view] if isinstance(view, View) else [view, *purse.kept(wider)]
        if not views:
            found.append(Words("(No pictures can be shown here.)"))
        return Told(found, Hits([wider]))

    def _read(self, given: Read) -> Told:
        self._allow("speech", "text")
        hit = self.retriever.hit(given.id)
        if hit.modality == "image":
            raise InputError("That hit is a picture: nothing is read or said in it. Use look.")
        if hit.modality == "text":
            return self._read_text(given.id)
        self._allow("speech")
        wider = self._wider(hit, given.before, given.after)
        said = wider.said(wider.start or 0.0, wider.end or 0.0) if wider.said else ()
        lines = [described(replace(wider, text=""))]
        for one in said:
            lines.append(f"{clock(one.start or 0.0)} {told(one.text)}")
            if one is not said[-1] and sum(map(len, lines)) > READ:
                rest = f"#t={one.end or 0.0:.3f},{wider.end or 0.0:.3f}"
                lines.append(f"It goes on at id {hit.source_name}{rest} (before=0, after=0).")
                break
        if not said:
            lines.append("Nothing is said there.")
        return Told([Words(WARNING), Words("\n".join(lines))], Hits([wider]))

    def _read_text(self, id: str) -> Told:  # noqa: A002
        """A passage with what is around it; of a long stretch what fits, and where it goes on."""
        name, _, place = id.partition("#char=")
        low, high = (int(float(number)) for number in place.split(",")) if place else (0, READ)
        around = READ // 4 if place and high - low < READ // 2 else 0
        low, high = max(0, low - around), min(high + around, max(0, low - around) + READ)
        wider = self.retriever.hit(f"{name}#char={low},{high + 1}")  # one more, to see whether there is any
        ends = int(wider.id.rpartition(",")[2]) <= high
        text = f"{described(replace(wider, text=''))}; read: {told(wider.text[: high - low], 2 * READ)}"
        more = "" if ends or around else f"\nIt goes on at id {name}#char={high},{high + READ}."
        return Told([Words(WARNING), Words(text + more)], Hits([wider]))

    @property
    def _shown(self) -> Budget:
        """The budget; without pictures where what is seen may not be asked for."""
        channels = self.retriever.bounds.channels
        return self.budget if channels is None or "visual" in channels else replace(self.budget, pictures=0)

    def _allow(self, *channels: Channel) -> None:
        """Raises InputError where what is in such channels may not be told."""
        allowed = self.retriever.bounds.channels
        if allowed is not None and not allowed & set(channels):
            raise InputError(f"Only what is {' or '.join(sorted(HOW[one] for one in allowed))} may be asked for here.")

    def _wider(self, hit: Hit, before: float, after: float) -> Hit:
        """A moment and what is around it, as far as the file goes."""
        start, end = max(0.0, (hit.start or 0.0) - before), (hit.end or 0.0) + after
        return self.retriever.hit(f"{hit.source_name}#t={start:.3f},{end:.3f}")

    def _similar(self, given: Similar) -> Told:
        hits = self.retriever.similar(given.id, given.k)
        return Told(blocks(hits, self._shown), hits)

    def _sources(self, given: Sources) -> Told:
        files, total = self.retriever.sources(given.containing, given.first, PAGE, **self._narrowed(given))
        lines = [
            f"{file.modality} {told(file.key[-NAMED:], NAMED)}, "
            f"{f'{clock(file.seconds)} long, ' if file.seconds else ''}id {file.name}"
            for file in files
        ]
        last = given.first + len(files)
        more = f" The list goes on: first={last}." if last < total else ""
        head = (
            f"{given.first + 1} to {last} of {total} files.{more}"
            if files
            else f"No such files{f' from {given.first} on; {total} in all' if total else ''}."
        )
        return Told([Words(WARNING), Words("\n".join([head, *lines]))])

    def _narrowed(self, given: Search | Sources) -> dict[str, Any]:
        """What a model asks for beside words: it may narrow what the application has set, and never widen it."""
        fields: dict[str, Any] = {}
        bounds = self.retriever.bounds
        dates = bounds.after or bounds.before  # one of them fixed, the other could turn the day round
        for name in ("modalities", "channels", "after", "before"):
            asked = getattr(given, name, None)
            fixed = dates if name in ("after", "before") else getattr(bounds, name)
            if not asked:
                continue
            if fixed is None:
                fields[name] = asked
            elif not isinstance(fixed, frozenset):
                raise InputError(f"What was taken when is fixed here; leave {name} out.")
            elif not (both := fixed & set(asked)):
                raise InputError(f"{name} can be {', '.join(sorted(fixed))} here.")
            else:
                fields[name] = both
        return fields


def unknown(name: object) -> str:
    """That there is no tool of a name, in a sentence that a model can act upon."""
    asked = told(name if isinstance(name, str) else repeated(name), NAMED)
    return f"There is no tool {asked}. There are {', '.join(tool.name for tool in TOOLS)}."


def explained(error: ValidationError) -> str:
    """Arguments that make no sense, in a sentence that a model can act upon."""
    parts = [f"{'.'.join(map(str, one['loc'])) or 'arguments'}: {one['msg']}" for one in error.errors()]
    return _cut(f"{'; '.join(parts)}. Mend the arguments and call again.")


def _wrong(sentence: str) -> Told:
    return Told([Words(_cut(sentence))], wrong=True)


def _cut(sentence: str) -> str:
    """A sentence on one line, which may repeat what a model wrote."""
    line = shown(" ".join(sentence.split()))
    return line if len(line) <= WRONG else f"{line[: WRONG - 1]}\u2026"
