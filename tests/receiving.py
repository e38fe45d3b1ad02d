"""A real web server that messages are sent to, which answers as receivers do: well, badly or not at all."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

SECRET = "T0ken-never-to-be-shown"
"""Part of every mailbox's URL, easy to look for."""


@dataclass
class Behaviour:
    """answers: status codes, one a request; the last one for all that follow.  location: of a redirect.
    hang, drip: how many seconds it takes to answer, silent or a byte at a time.  garbage: what it answers
    instead of HTTP."""

    answers: list[int] = field(default_factory=lambda: [200])
    location: str | None = None
    hang: float = 0.0
    drip: float = 0.0
    garbage: bytes | None = None


@dataclass(frozen=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    message: dict[str, Any]


class Mailbox:
    """Receives at ``url`` until the block is left."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.behaviour = behaviour or Behaviour()
        self.requests: list[Received] = []
        self.at_once = self.most_at_once = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/{SECRET}"

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [request.message for request in self.requests]

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.messages]

    def wait_for(self, *events: str, seconds: float = 30) -> list[dict[str, Any]]:
        """The messages, once these events are among them."""
        end = time.monotonic() + seconds
        while not set(events) <= set(self.events):
            assert time.monotonic() < end, f"{events} wanted, {self.events} came"
            time.sleep(0.01)
        return self.messages

    def __enter__(self) -> Mailbox:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.socket.close()
        self._thread.join()

    def _answer(self) -> int:
        answers = self.behaviour.answers
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {k.lower(): v for k, v in self.headers.items()}
                received = Received(self.command, self.path, headers, json.loads(body))
                box.at_once += 1
                box.most_at_once = max(box.most_at_once, box.at_once)
                box.requests.append(received)
                with suppress(OSError):  # whoever asked has gone
                    self._reply(box.behaviour)
                box.at_once -= 1

            def do_GET(self) -> None:
                box.requests.append(Received("GET", self.path, {}, {"event": "a GET"}))
                self.send_response(200)
                self.end_headers()

            def _reply(self, behaviour: Behaviour) -> None:
                time.sleep(behaviour.hang)
                if behaviour.garbage is not None:
                    self.wfile.write(behaviour.garbage)
                    return
                end = time.monotonic() + behaviour.drip
                while time.monotonic() < end:
                    self.wfile.write(b"x")
                    time.sleep(0.05)
                self.send_response(box._answer())
                if behaviour.location:
                    self.send_header("Location", behaviour.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
