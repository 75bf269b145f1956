"""What nobody may touch: a server that counts who calls, a folder with a secret; URLs and paths that lead to them."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import socket
import stat
import threading
from contextlib import chdir, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from PIL import Image
from recordings import tone, write

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)
ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n%b" % (len(PNG), PNG)
INSIDE = ("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.100.100.200", "[fd00::1]", "[fe80::1]")
"""Hosts that only somebody inside a network reaches: of clouds' metadata, private, link-local."""
LOOPBACK = (
    "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "127.1", "2130706433",  # noqa: S104
    "0x7f000001",
    "017700000001", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.1.", "localhost.", "LOCALHOST", "user@127.0.0.1",
    "user:secret@127.0.0.1", "example.org@127.0.0.1", "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "xn--127.0.0.1",
    "127%2e0%2e0%2e1", "127.0.0.1%00.example.org", "127\u30020\u30020\u30021",
)  # fmt: skip
"""This machine, in all the ways that somebody somewhere reads a host."""
SCHEMES = (
    "https", "HTTP", "hTTp", "ftp", "gopher", "dict", "ldap", "sftp", "smb", "ws", "tcp", "udp", "tls", "rtmp", "rtsp",
    "rtp", "mmsh", "mmst", "icecast", "ffrtmphttp", "hls+http", "crypto+http", "unix", "ipfs", "amqp", "srt", "s3",
)  # fmt: skip
"""Schemes that browsers, libraries or FFmpeg know, each over the server."""


class Canary:
    """Listens on a port of this machine, and counts whoever connects, or sends a datagram."""

    def __init__(self) -> None:
        self.hits = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._sockets = [self._listening, _datagrams(socket.AF_INET, "127.0.0.1", self.port)]
        with suppress(OSError):  # a machine without IPv6
            self._sockets += [
                socket.create_server(("::1", self.port), family=socket.AF_INET6),
                _datagrams(socket.AF_INET6, "::1", self.port),
            ]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as ready:
            for one in self._sockets:
                ready.register(one, selectors.EVENT_READ)
            while not self._ended.is_set():
                for key, _ in ready.select(0.05):
                    self.hits += 1
                    self._answer(key.fileobj)

    def _answer(self, called: object) -> None:
        assert isinstance(called, socket.socket)
        if called.type == socket.SOCK_DGRAM:
            called.recv(65_536)
            return
        connection, _ = called.accept()
        with connection, suppress(OSError):
            connection.settimeout(1)
            connection.recv(65_536)
            connection.sendall(ANSWER)

    def urls(self, file: Path) -> list[str]:
        """URLs to the server, in and outside of this machine's network, and to `file`."""
        here, name = f"127.0.0.1:{self.port}", "picture.png"
        http, path = f"http://{here}/{name}", file.as_posix()
        found = [f"http://{host}:{self.port}/{name}" for host in LOOPBACK]
        found += [f"http://{host}/latest/meta-data/" for host in INSIDE]
        found += [f"{scheme}://{here}/{name}" for scheme in SCHEMES]
        found += [
            f"http:/{here}/{name}", f"http:{here}/{name}", f"http:///{here}/{name}", f"//{here}/{name}",
            f"\\\\{here}\\{name}", f"http:\\\\{here}\\{name}", f"http://{here}\\@example.org/{name}", f" {http}",
            f"\t{http}", f"http\n://{here}/{name}", f"{http}\n", f"ht\ttp://{here}/{name}", f"{http}\0.png",
            f"\0{http}", quote(http, safe=""), f"http%3a//{here}/{name}", f"http://{here}/%2e%2e/{name}",
            f"http://{here}/{name}#t=1,2", f"http://{here}/?url={http}", f"URL:{http}", f"url({http})", f"<{http}>",
            f"view-source:{http}", f"feed:{http}", f"jar:{http}!/{name}", f"zip:{http}", f"blob:{http}",
            f"concat:{http}|{http}", f"concatf:{http}", f"subfile,,start,0,end,0,,:{http}", f"crypto:{http}",
            f"async:{http}", f"cache:{http}", f"md5:{http}", f"tee:{http}", f"httpproxy:{http}", f"rtmp:{http}",
            f"hls:{http}", f"tcp:{here}", f"unix:{path}", "pipe:", "pipe:0", "fd:0", "fd:", "-",
            f"file:{path}", f"file://{path}", f"file://localhost{path}", f"FILE://{path}", f"file:/{path}",
            f"concat:{path}", f"subfile,,start,0,end,0,,:{path}", f"crypto:{path}", f"cache:{path}", f"async:{path}",
            f"jar:file://{path}!/{name}", f"netdoc:{path}", f"gopher://{here}/_{quote('GET / HTTP/1.0')}",
            f"ftp://user:secret@{here}/{name};type=i", f"data:image/png;base64,{quote(PNG.hex())}", "data:,x",
            f"data:text/html,<img src={http}>", f"javascript:fetch('{http}')", "about:blank", "lavfi:testsrc",
            "http://", "://", f"x{'://'}{here}", f"http://{'a' * 3000}.example.org/", f"seehear://hit/{quote(http)}",
        ]  # fmt: skip
        return found


def _datagrams(family: int, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind((host, port))
    return made


TOKEN = "xyzzyplugh"  # noqa: S105
"""A word that stands in each file of the secret folder, and nowhere else."""
SAID = f"1\n00:00:00,000 --> 00:00:03,000\nThe word is {TOKEN}.\n"


@dataclass(frozen=True, slots=True)
class Trick:
    """A path that a stranger writes."""

    name: str
    path: str
    named: bool = False
    """It names what it leads to, and no link is in the way, or only a folder's: whoever adds it gets what he says."""


class Secret:
    """Three folders: `secret`, which nobody may open; `photos`, to be added; `asked`, for files to ask with."""

    def __init__(self, base: Path) -> None:
        self.secret, self.photos, self.asked = (base / name for name in ("secret", "photos", "asked"))
        for folder in (self.secret, self.secret / "below", self.photos, self.asked):
            folder.mkdir(parents=True)
        self.picture = self.secret / "picture.jpg"
        exif = Image.Exif()
        exif[0x0110] = TOKEN  # the camera's model, which is told with a picture
        Image.new("RGB", (40, 30), (255, 0, 255)).save(self.picture, exif=exif)
        (self.secret / "words.srt").write_text(SAID)
        (self.secret / "notes.txt").write_text(f"The word is {TOKEN}.\n")
        told = {"start": 0.0, "end": 3.0, "text": f"The word is {TOKEN}."}
        (self.secret / "words.json").write_text(json.dumps({"segments": [told]}))
        write(self.secret / "talk.wav", tone(3.0, 16_000), rate=16_000)
        shutil.copy(self.secret / "words.srt", self.secret / "talk.srt")
        for folder in (self.photos, self.asked):
            Image.new("RGB", (40, 30), (255, 0, 0)).save(folder / "red.png")
            self._plant(folder)
        self.held = os.open(self.picture, os.O_RDONLY)
        """A descriptor of the secret picture, as a server may have one open."""

    def close(self) -> None:
        os.close(self.held)

    def _plant(self, folder: Path) -> None:
        """Links, devices and names of all kinds; what leads to the secret, and to what never ends."""
        links = {
            "link.jpg": self.picture, "relative.jpg": "../secret/picture.jpg", "notes.txt": self.secret / "notes.txt",
            "talk.mp3": self.secret / "talk.wav", "chain3.jpg": "../secret/picture.jpg", "chain2.jpg": "chain3.jpg",
            "chain1.jpg": "chain2.jpg", "loop1.jpg": "loop2.jpg", "loop2.jpg": "loop1.jpg", "self.jpg": "self.jpg",
            "dangling.jpg": "nothing.jpg", "away": self.secret, "deep": self.secret / "below", "zero.png": "/dev/zero",
            "stdin.png": "/dev/stdin", "environ.txt": "/proc/self/environ", "cmdline.md": "/proc/self/cmdline",
            "root.jpg": f"/proc/self/root{self.picture}", "maps.txt": "/proc/self/maps", "tree": "..",
            "a\nb.jpg": self.picture, "\x1b[2J\x1b]0;x\a.jpg": self.picture, "\u202egpj.exe": self.picture,
            "--help": self.picture, "-rf": self.picture, "trailing.jpg.": self.picture, "trailing.jpg ": self.picture,
            "CON": self.picture, "NUL.jpg": self.picture, "*.jpg": self.picture, "{0}%s$(id).jpg": self.picture,
            os.fsdecode(b"\xff\xfe.jpg"): self.picture, "x" * 240 + ".jpg": self.picture,
        }  # fmt: skip
        for name, target in links.items():
            (folder / name).symlink_to(target)
        # Transcripts beside recordings: links to the secret, to what is no file, and one that nobody writes to.
        for stem, name, target in (
            ("one", "one.srt", self.secret / "words.srt"), ("two", "two.json", self.secret / "words.json"),
            ("three", "three.en.vtt", self.secret / "words.srt"), ("four", "four.srt", "/dev/zero"),
            ("five", "five.vtt", "/proc/self/environ"), ("six", "six.srt", "one.srt"),
        ):  # fmt: skip
            write(folder / f"{stem}.wav", tone(1.0, 16_000), rate=16_000)
            (folder / name).symlink_to(target)
        write(folder / "seven.wav", tone(1.0, 16_000), rate=16_000)
        os.mkfifo(folder / "seven.srt")
        os.mkfifo(folder / "pipe.wav")
        with chdir(folder), socket.socket(socket.AF_UNIX) as made:
            made.bind("socket.png")
        with suppress(PermissionError):  # whoever is not root makes no devices
            os.mknod(folder / "device.png", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        self._point(folder)

    def _point(self, folder: Path) -> None:
        """Files that name others: playlists, lists of parts, pictures that are drawn from others."""
        other = self.secret / "talk.wav"
        for name in ("list.m3u8", "list.mp4", "list.wav"):
            (folder / name).write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{other}\n#EXT-X-ENDLIST\n")
        (folder / "parts.mp4").write_text(f"ffconcat version 1.0\nfile '{other}'\n")
        (folder / "drawn.svg").write_text(
            f'<svg xmlns:x="http://www.w3.org/1999/xlink"><image x:href="{self.picture}"/></svg>'
        )
        (folder / "drawn.eps").write_text(f"%!PS-Adobe-3.0 EPSF-3.0\n({other}) (r) file\n")
        (folder / "session.sdp").write_text("v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n")
        (folder / "list.mpd").write_text(f"<?xml version='1.0'?><MPD><BaseURL>file://{other}</BaseURL></MPD>")

    def tricks(self, library: Path) -> list[Trick]:
        """Paths to the secret, to devices, to a library and to nothing, as a stranger may write them."""
        secret, asked = str(self.picture), self.asked
        named = {
            "absolute": secret, "dots": f"{asked}/../secret/picture.jpg",
            "dots below a link": f"{asked}/deep/../picture.jpg",
            "through a linked folder": f"{asked}/away/picture.jpg", "a linked folder": f"{asked}/away",
            "many dots": f"{asked}/{'../asked/' * 300}../secret/picture.jpg", "two slashes": f"/{secret}",
            "root of a process": f"/proc/self/root{secret}", "root of a thread": f"/proc/thread-self/root{secret}",
            "its own tree": f"{asked}/tree/secret/picture.jpg", "dot": f"{self.secret}/./picture.jpg",
            "descriptor": f"/proc/self/fd/{self.held}",
            "descriptor of a process": f"/proc/{os.getpid()}/fd/{self.held}",
            "descriptor as a device": f"/dev/fd/{self.held}", "its folder": str(self.secret), "all": "/", "up": "..",
            "system's": "/etc/passwd", "environ": "/proc/self/environ", "memory": "/proc/self/mem", "log": "/proc/kmsg",
        }  # fmt: skip
        found = [Trick(name, path, named=True) for name, path in named.items()]
        found += [
            Trick(one.name, str(one))
            for one in sorted(asked.iterdir())
            if (one.name not in ("red.png", "away", "deep", "tree") and one.suffix != ".wav") or one.name == "pipe.wav"
        ]
        found += [Trick(f"transcript of {one.name}", str(one)) for one in sorted(asked.glob("[ot-f]*.wav"))]
        linked = asked / "link.jpg"
        other = {
            "NUL": f"{linked}\0.png", "NUL first": f"\0{linked}", "NUL last": f"{secret}\0",
            "slash behind": f"{linked}/", "dot behind": f"{linked}/.", "stream": f"{linked}::$DATA",
            "/dev/zero": "/dev/zero", "/dev/stdin": "/dev/stdin", "/dev/fd/0": "/dev/fd/0", "/dev/tty": "/dev/tty",
            "/dev/random": "/dev/random", "/dev/mem": "/dev/mem", "/proc/self/fd/0": "/proc/self/fd/0",
            "UNC": r"\\127.0.0.1\share\picture.jpg", "UNC with slashes": "//127.0.0.1/share/picture.jpg",
            "device of Windows": r"\\?\C:\picture.jpg", "drive": r"C:\picture.jpg",
            "backslashes": r"..\secret\picture.jpg",
            "home": "~/picture.jpg", "home of root": "~root/picture.jpg", "variable": "$HOME/picture.jpg",
            "percent": f"{asked}/%2e%2e/secret/picture.jpg", "percent twice": f"{asked}/%252e%252e/secret/picture.jpg",
            "four dots": f"{asked}/....//secret/picture.jpg", "other dots": f"{asked}/\u2024\u2024/secret/picture.jpg",
            "other slash": f"{asked}/..\uff0fsecret\uff0fpicture.jpg", "file:": f"file:{secret}", "file://": f"file://{secret}",
            "4,000 letters": "x" * 4000, "40,000 letters": "x" * 40_000, "4,000 folders": "x/" * 4000, "empty": "",
            "option": "--help", "option with a value": "--library=/", "glob": f"{asked}/lin?.jpg", "command": "|id",
            "library": str(library), "its ledger": str(library / "ledger.sqlite"), "its lock": str(library / "lock"),
            "half a character": "\ud800.jpg", "newline": "\n", "escape": "\x1b[2J", "turned": "\u202egpj.jpg",
        }  # fmt: skip
        return found + [Trick(name, path) for name, path in other.items()]
