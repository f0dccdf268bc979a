"""A real HTTP server on loopback that serves bytes, and misbehaves when it is told to."""

import contextlib
import hashlib
import os
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Request:
    """One request as the server saw it, and how many bytes of the body it sent."""

    path: str
    range: str | None
    if_range: str | None
    sent: int = 0


@dataclass
class FileServer:
    """What the server gives, and what goes wrong.

    Attributes:
        files: content by path, without the first slash.
        cuts: bytes of the body after which the next connections are cut.
        statuses: statuses that the next requests are answered with instead.
        redirects: target by path.
        ranges: whether it knows ranges; else it always sends everything.
        tags: whether it sends an ETag; else Last-Modified alone.
        pause: seconds between two pieces of 64 KiB.
        certificate: files of a certificate and its key, to serve over https.
    """

    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = True
    pause: float = 0.0
    certificate: tuple[Path, Path] | None = None
    modified: float = 1.7e9
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str) -> str:
        """The address of a file."""
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}/{path}"


def handler_of(server: FileServer) -> type[BaseHTTPRequestHandler]:
    """The class of handlers that do what a `FileServer` says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            seen = Request(name, self.headers["Range"], self.headers["If-Range"])
            server.requests.append(seen)
            if name in server.redirects:
                return self._answer(302, Location=server.redirects[name])
            if server.statuses:
                return self._answer(server.statuses.pop(0), **{"Retry-After": "0"})
            if name not in server.files:
                return self._answer(404)
            self._send(server.files[name], seen)

        def _answer(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(key, value)
            self.end_headers()

        def _send(self, content: bytes, seen: Request) -> None:
            tag = f'"{hashlib.md5(content).hexdigest()}"'
            date = formatdate(server.modified, usegmt=True)
            first = 0
            if server.ranges and seen.range and seen.if_range in (None, tag, date):
                first = int(seen.range.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if first else 200)
            if first:
                last = len(content) - 1
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            if server.tags:
                self.send_header("ETag", tag)
            self.send_header("Last-Modified", date)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            self._body(content[first:], seen)

        def _body(self, body: bytes, seen: Request) -> None:
            if server.cuts:
                body, self.close_connection = body[: server.cuts.pop(0)], True
            for start in range(0, len(body), 65536):
                piece = body[start : start + 65536]
                self.wfile.write(piece)
                seen.sent += len(piece)
                time.sleep(server.pause)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving(**settings: object) -> Iterator[FileServer]:
    """Run a server for as long as the context lasts."""
    server = FileServer(**settings)  # type: ignore[arg-type]
    # loopback is not reached through a proxy
    for key in ("no_proxy", "NO_PROXY"):
        os.environ[key] = ",".join(filter(None, [os.environ.get(key), "127.0.0.1"]))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(server)) as http:
        http.daemon_threads = True
        http.block_on_close = False
        # a client that was killed needs no message
        http.handle_error = lambda *_: None  # type: ignore[method-assign]
        server.port = http.server_port
        if server.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*server.certificate)
            http.socket = context.wrap_socket(http.socket, server_side=True)
        threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        http.shutdown()
