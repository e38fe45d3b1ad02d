"""A real web server with one file, that behaves and misbehaves as servers do."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Behaviour:
    """etag: None is a server that names no version.  cut: bytes after which it closes the connection, None
    for never.  status: what it answers instead of the file.  location: where it sends its callers."""

    content: bytes
    ranges: bool = True
    etag: str | None = '"one"'
    cut: int | None = None
    status: int | None = None
    location: str | None = None
    chunked: bool = False
    asked: list[str | None] = field(default_factory=list)
    """The Range of every request."""


class Server:
    """Serves ``behaviour.content`` at ``url`` until the block is left."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(behaviour))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/set.zip"

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            behaviour.asked.append(self.headers.get("Range"))
            self.close_connection = True
            if behaviour.status:
                self.send_response(behaviour.status)
                if behaviour.location:
                    self.send_header("Location", behaviour.location)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            first = self._first_byte()
            if first == len(behaviour.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{first}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self._send(first)

        def _first_byte(self) -> int:
            wanted = self.headers.get("Range")
            same = self.headers.get("If-Range") == behaviour.etag
            if not (behaviour.ranges and wanted and same):
                return 0
            return int(wanted.removeprefix("bytes=").removesuffix("-"))

        def _send(self, first: int) -> None:
            total = len(behaviour.content)
            self.send_response(206 if first else 200)
            if first:
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            if behaviour.etag:
                self.send_header("ETag", behaviour.etag)
            body = behaviour.content[first : behaviour.cut]
            if behaviour.chunked:
                self.send_header("Transfer-Encoding", "chunked")
                end = b"" if behaviour.cut else b"\r\n0\r\n\r\n"
                size = len(body) + 1 if behaviour.cut else len(body)
                body = b"%x\r\n%s%s" % (size, body, end)
            else:
                self.send_header("Content-Length", str(total - first))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler
