"""A real HTTP server on loopback that misbehaves as it is told, and a proxy that leads every host to it."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """What the server answers, and what it was asked. `cuts`: after how many bytes of each body it hangs up."""

    content: bytes = b""
    version: str | None = '"one"'
    ranges: bool = True
    heeding: bool = True  # If-Range
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    longer: int = 0  # than the content the stated length is
    shift: int = 0  # of the range that is sent
    target: str | None = None  # of a redirect
    pause: float = 0  # seconds before each 64 KiB
    asked: list[str | None] = field(default_factory=list)
    disposition: str | None = None
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        site = self.site
        wanted = self.headers.get("Range")
        site.asked.append(wanted)
        if site.statuses:
            return self.answer(site.statuses.pop(0), b"", {})
        if site.target and not self.path.endswith("end"):
            return self.answer(302, b"", {"Location": site.target})
        named = {"ETag": site.version} if site.version else {}
        named |= {"Content-Disposition": site.disposition, "Content-Type": "x/tar"} if site.disposition else {}
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if not (site.ranges and found and (self.headers["If-Range"] == site.version or not site.heeding)):
            return self.answer(200, site.content, named)
        start = int(found[1]) + site.shift
        if start >= len(site.content):
            return self.answer(416, b"", {})
        span = f"bytes {start}-{len(site.content) - 1}/{len(site.content) + site.longer}"
        return self.answer(206, site.content[start:], named | {"Content-Range": span})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        cut = self.site.cuts.pop(0) if self.site.cuts and body else len(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (self.site.longer if body else 0)))
        self.end_headers()
        for start in range(0, cut, 1 << 16):
            time.sleep(self.site.pause)
            with contextlib.suppress(OSError):  # who asked may have been killed
                self.wfile.write(body[start : min(start + (1 << 16), cut)])


class Tunnel(Handler):
    """A proxy that leads every host to `to`."""

    to: tuple[str, int]

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        with socket.create_connection(self.to) as other:
            back = threading.Thread(target=pump, args=(other, self.connection), daemon=True)
            back.start()
            pump(self.connection, other)
            back.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def serving(
    site: Site, context: ssl.SSLContext | None = None, to: tuple[str, int] | None = None
) -> Iterator[ThreadingHTTPServer]:
    handler = type("Bound", (Tunnel if to else Handler,), {"site": site, "to": to})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}/archive"
    yield server
    server.shutdown()
    server.server_close()
