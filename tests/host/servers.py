"""Local HTTP servers on 127.0.0.1 that answer as a story says, and remember what they were asked."""

import contextlib
import json
import threading
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
    """A server whose `answer(asked)` gives (status, body)."""

    answer: object
    asked: list[Asked] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def serving(answer):
    scene = Answering(answer)

    class Handler(BaseHTTPRequestHandler):
        def _do(self):
            length = int(self.headers.get("content-length") or 0)
            asked = Asked(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
            scene.asked.append(asked)
            status, body = scene.answer(asked)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            with contextlib.suppress(ConnectionError):  # the client was fed up
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

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
