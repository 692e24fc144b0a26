"""Local HTTP servers on 127.0.0.1 that answer as a story says, and remember what they were asked."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict
    body: bytes


@dataclass
class Answering:
    """A server whose `answer(asked)` gives (status, body); an iterator's pieces are sent as they come."""

    answer: object
    asked: list[Asked] = field(default_factory=list)
    url: str = ""


def _content(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@contextlib.contextmanager
def serving(answer):
    scene = Answering(answer)

    class Handler(BaseHTTPRequestHandler):
        def _do(self):
            length = int(self.headers.get("content-length") or 0)
            asked = Asked(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
            scene.asked.append(asked)
            status, body = scene.answer(asked)
            pieces = body if isinstance(body, Iterator) else iter([_content(body)])
            with contextlib.suppress(ConnectionError):  # the client was fed up
                self.send_response(status)
                self.end_headers()  # the end of the connection is the end of the answer
                for piece in pieces:
                    self.wfile.write(piece)

        do_GET = do_POST = do_PUT = _do  # noqa: N815 - http.server's own names

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    scene.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield scene
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
