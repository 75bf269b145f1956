"""An MCP server over standard input and output: a client's model may search, look and read, and change nothing.

What a client sends is not trusted, and neither is what stands in files: `seehear.tools` treats both, and is only
translated here. What is added is what a pipe needs: a line has a longest length, and whatever goes wrong is an answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

from seehear.blocks import NAMED, WARNING, Block, Budget, View, Words, told
from seehear.errors import MissingExtra, SeehearError
from seehear.hits import Hit
from seehear.retrieve import Retriever
from seehear.tools import TOOLS, Told, Toolbox, unknown

try:
    import anyio
    from anyio.abc import ObjectSendStream
    from mcp import types
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server
    from mcp.shared.exceptions import MCPError
    from mcp.shared.message import SessionMessage
    from mcp.types.version import is_version_at_least
    from pydantic import ValidationError
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"'mcp' needs the package {error.name}, which is not installed: pip install \"seehear[mcp]\""
    ) from error

PLACE = "seehear://hit/"
"""What the URI of a hit starts with; its id follows, percent-encoded, so that its `#` is no fragment."""
LONGEST = 1_000_000
"""Characters of a message. A question has 10,000 at most; a client's icons may come with its first message."""
LONE = re.compile(r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
"""Half an emoji in JSON, as a model may cut it in two: the SDK would refuse the message, and never answer it."""
LINKED = ("search", "similar")
"""Tools whose hits are new to the client."""
LINKS_SINCE = "2025-06-18"
"""Version of the protocol that brought links to resources into the results of tools."""
ABOUT = f"Searches the user's own pictures, sounds, speech, videos and texts, and changes nothing. {WARNING}"
FAILED = "The library cannot answer; its server has written down why."
MIME = {"image": "image/jpeg", "video": "image/jpeg", "audio": "text/plain", "text": "text/plain"}
"""What is read of a hit, by its modality; of a video also what is said."""

log = logging.getLogger("seehear")


def serve(
    retriever: Retriever, budget: Budget | None = None, *, links: bool = True, pipes: tuple[int, int] = (0, 1)
) -> None:
    """Serve over two file descriptors, standard input and output by default, until the input ends; blocks.

    The retriever's settings bound what can be found. Raises KeyboardInterrupt when it is interrupted.
    """
    try:
        asyncio.run(_serve(server(retriever, budget, links=links), *pipes))
    except* (BrokenPipeError, anyio.BrokenResourceError):  # the second where it is interrupted amid requests
        log.info("the client is gone")


def server(retriever: Retriever, budget: Budget | None = None, *, links: bool = True) -> Server[Any]:
    """The server alone, for a transport of your own.

    `links` adds a link to each hit that was found, which a person may open; some clients take no result that has one.
    """
    answers = _Answers(Toolbox(retriever, budget or Budget()), links)
    return Server(
        "seehear",
        version=version("seehear"),
        instructions=ABOUT,
        on_list_tools=answers.tools,
        on_call_tool=answers.called,
        on_list_resources=answers.resources,
        on_list_resource_templates=answers.templates,
        on_read_resource=answers.read,
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """What is answered to each request."""

    box: Toolbox
    links: bool

    async def tools(self, _: Any, __: Any) -> types.ListToolsResult:
        hints = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=tool.name,
                    description=tool.description,
                    input_schema=_schema(tool.arguments.model_json_schema()),
                    annotations=hints,
                )
                for tool in TOOLS
            ]
        )

    async def called(
        self, context: ServerRequestContext[Any, Any], asked: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Blocks and links. No structured content: several clients tell the model that instead of the pictures."""
        if not any(tool.name == asked.name for tool in TOOLS):
            raise MCPError(types.INVALID_PARAMS, unknown(asked.name))
        found = await self._told(asked.name, asked.arguments or {})
        content: list[types.ContentBlock] = [_content(block) for block in found.blocks]
        if self.links and asked.name in LINKED and is_version_at_least(context.protocol_version, LINKS_SINCE):
            content += [_link(hit) for hit in found.hits]
        return types.CallToolResult(content=content, is_error=found.wrong)

    async def resources(self, _: Any, __: Any) -> types.ListResourcesResult:
        """None: a library may hold a million files. The tool `sources` lists them in pages, for whoever asks."""
        return types.ListResourcesResult(resources=[])

    async def templates(self, _: Any, __: Any) -> types.ListResourceTemplatesResult:
        about = "A hit, by its id: a picture of it as a JPEG, or what is said or read in it; of a video both."
        one = types.ResourceTemplate(name="hit", uri_template=f"{PLACE}{{id}}", description=about)
        return types.ListResourceTemplatesResult(resource_templates=[one])

    async def read(self, _: Any, asked: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """The picture of a hit and its words: what the tools `look` and `read` would tell of it."""
        if not asked.uri.startswith(PLACE):
            raise MCPError(types.INVALID_PARAMS, f"Nothing but {PLACE} and the id of a hit can be read here.")
        hit = unquote(asked.uri.removeprefix(PLACE))
        looked = await self._told("look", {"id": hit, "frames": 1})
        spoken = await self._told("read", {"id": hit, "before": 0, "after": 0})
        if looked.wrong and spoken.wrong:
            raise MCPError(types.INVALID_PARAMS, _joined(spoken.blocks))
        contents: list[types.TextResourceContents | types.BlobResourceContents] = [
            types.BlobResourceContents(uri=asked.uri, mime_type="image/jpeg", blob=block.base64)
            for block in looked.blocks
            if isinstance(block, View)
        ]
        if not spoken.wrong or not contents:
            words = _joined(looked.blocks if spoken.wrong else spoken.blocks)
            contents.append(types.TextResourceContents(uri=asked.uri, mime_type="text/plain", text=words))
        return types.ReadResourceResult(contents=contents)

    async def _told(self, name: str, arguments: Mapping[str, Any]) -> Told:
        """Ask the tools. What only the server's owner can mend is told to him, and not to the client."""
        try:
            return await self.box.acall(name, arguments)
        except SeehearError as error:
            log.error("%s: %s", name, error)
        except Exception:  # a bug of ours costs one answer
            log.exception("%s failed", name)
        return Told([Words(FAILED)], wrong=True)


def _schema(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments without the user's picture: a server never sees what is in the chat."""
    return {**arguments, "properties": {k: v for k, v in arguments["properties"].items() if k != "with_picture"}}


def _content(block: Block) -> types.TextContent | types.ImageContent:
    if isinstance(block, Words):
        return types.TextContent(text=block.text)
    return types.ImageContent(data=block.base64, mime_type="image/jpeg")


def _joined(blocks: list[Block]) -> str:
    return "\n".join(block.text for block in blocks if isinstance(block, Words))


def _link(hit: Hit) -> types.ResourceLink:
    """A hit for people to open. Its name is a stranger's: cleaned as in what a model is told, without the quotes."""
    about = ", ".join(filter(None, (hit.modality, hit.place, hit.how, f"score {hit.score:.2f}")))
    return types.ResourceLink(
        uri=PLACE + quote(hit.id, safe=""),
        name=told(Path(hit.source).name, NAMED)[1:-1],
        description=about,
        mime_type=MIME[hit.modality],
        annotations=types.Annotations(audience=["user"]),  # the model has been told
    )


async def _serve(served: Server[Any], ours: int, theirs: int) -> None:
    given = _Input(os.fdopen(ours, encoding="utf-8", errors="replace", newline="\n", closefd=False))
    written = anyio.wrap_file(os.fdopen(theirs, "w", encoding="utf-8", closefd=False))
    async with stdio_server(given, written) as (received, sent), anyio.create_task_group() as tasks:
        passing, passed = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        tasks.start_soon(_sift, received, passing, sent.send)
        await served.run(passed, sent, served.create_initialization_options())
        tasks.cancel_scope.cancel()


async def _sift(
    received: AsyncIterable[SessionMessage | Exception],
    passing: ObjectSendStream[SessionMessage | Exception],
    answer: Callable[[SessionMessage], Awaitable[None]],
) -> None:
    """Hand messages on, and answer what is none, as JSON-RPC has it; the SDK would leave the client waiting."""
    async with passing:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # nobody serves any more
            async for item in received:
                if not isinstance(item, Exception):
                    await passing.send(item)
                    continue
                broken = not isinstance(item, ValidationError) or item.errors()[0]["type"] == "json_invalid"
                wrong = types.ErrorData(
                    code=types.PARSE_ERROR if broken else types.INVALID_REQUEST,
                    message=f"A line is one message of JSON-RPC 2.0 (no batch), of {LONGEST:,} characters at most.",
                )
                await answer(SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=None, error=wrong)))


class _Input(anyio.AsyncFile[str]):
    """Standard input by lines of bounded length, each read by a thread that nobody has to wait for.

    A read from a pipe cannot be called off: that of the SDK keeps Ctrl-C waiting for one more line.
    """

    async def readline(self) -> str:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[str] = loop.create_future()

        def settle(line: str) -> None:
            if not found.cancelled():
                found.set_result(line)

        def read() -> None:
            line = _line(self.wrapped)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, line)

        threading.Thread(target=read, daemon=True).start()
        return await found


def _line(file: IO[str]) -> str:
    """The next line that holds anything; of one that is too long, only that it was. Empty at the end."""
    with suppress(OSError, ValueError):  # a terminal that is gone
        while (line := file.readline(LONGEST + 1)).isspace():
            pass
        if len(line) <= LONGEST:
            return LONE.sub(lambda found: found[1] or r"\ufffd", line)
        while line and not line.endswith("\n"):
            line = file.readline(LONGEST)
        return "too long"
    return ""
