"""A web server on the loopback device, which can misbehave, and which can be a proxy."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Web:
    """``files`` by path. ``requests`` has what was asked: (method, path, headers by lower-case name)."""

    url: str = ""
    files: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    login: str = ""
    breaks_after: list = field(default_factory=list)  # for each coming GET, the bytes after which it breaks off
    statuses: list = field(default_factory=list)  # for each coming request, a status instead of an answer
    retry_after: str = ""  # told with each of them
    ranges: bool = True
    tells_size: bool = True

    def requested(self, method="GET"):
        return [path for request, path, _ in self.requests if request == method]


@contextmanager
def serve(context=None):
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, *, body):
            web.requests.append(
                (self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            )
            content = web.files.get(self.path)
            status = web.statuses.pop(0) if web.statuses else 200
            if web.login and self.headers.get("Authorization") != web.login:
                status = 401
            elif content is None and status == 200:
                status = 404
            if status != 200:
                self.send_response(status)
                if status in {301, 302}:
                    self.send_header("Location", content.decode())
                if web.retry_after:
                    self.send_header("Retry-After", web.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            offset = 0
            wanted = self.headers.get("Range", "")
            if web.ranges and wanted:
                offset = int(wanted.removeprefix("bytes=").rstrip("-"))
                if offset >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
            self.send_response(206 if offset else 200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            if web.tells_size:
                self.send_header("Content-Length", str(len(content) - offset))
            else:
                self.send_header("Connection", "close")
            self.end_headers()
            if not body:
                return
            sent = content[offset:]
            if web.breaks_after:
                sent = sent[: web.breaks_after.pop(0)]
                self.wfile.write(sent)
                self.wfile.flush()
                self.connection.shutdown(2)
                self.close_connection = True
                return
            self.wfile.write(sent)
            if not web.tells_size:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    web.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
