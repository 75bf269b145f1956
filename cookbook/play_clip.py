"""Play a clip in headless Chromium's video element, in real time, and print what the element says of it at its end.

    python cookbook/play_clip.py CLIP.mp4

Prints JSON: where it stands, how long it is, its size, the pictures shown and dropped, bytes of sound that were
decoded, the error. The exit status is 1 where it was not played to its end. Needs `apt-get install chromium`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = b"""<!doctype html><video muted autoplay src="clip.mp4"></video><script>
const video = document.querySelector("video");
const tell = () => { const seen = video.getVideoPlaybackQuality(); fetch("/", {method: "POST", body: JSON.stringify({
  ended: video.ended, currentTime: video.currentTime, duration: video.duration, width: video.videoWidth,
  height: video.videoHeight, shown: seen.totalVideoFrames, dropped: seen.droppedVideoFrames,
  sound: video.webkitAudioDecodedByteCount, error: video.error && video.error.message})}) };
video.addEventListener("ended", tell); video.addEventListener("error", tell);
</script>"""
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
said: dict[str, object] = {"ended": False, "error": "nothing was heard of it in two minutes"}
done = threading.Event()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp4" if self.path == "/clip.mp4" else "text/html")
        self.end_headers()
        self.wfile.write(Path(sys.argv[1]).read_bytes() if self.path == "/clip.mp4" else PAGE)

    def do_POST(self) -> None:
        said.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        done.set()

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    chromium = shutil.which("chromium") or sys.exit("there is no chromium on the PATH: apt-get install chromium")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = f"http://127.0.0.1:{server.server_port}/"
        command = [chromium, *ARGUMENTS, f"--user-data-dir={folder}", page]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            done.wait(120)
            browser.terminate()
    print(json.dumps(said))
    sys.exit(not said["ended"])
