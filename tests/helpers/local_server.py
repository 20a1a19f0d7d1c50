"""A web server on this machine, which can break off, change its files, and tell what it was asked."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MONDAY, TUESDAY = "Mon, 02 Jan 2017 10:00:00 GMT", "Tue, 03 Jan 2017 10:00:00 GMT"


class Web(ThreadingHTTPServer):
    """A server on this machine: ``files`` by path, dated ``modified``; ``log`` has the answers that it gave.

    ``cut`` breaks the connection after so many bytes of a file. ``ranges`` is False where it always sends all, and
    ``if_range`` is False where it does not look whether the file has changed; ``sizes`` where it does not tell them.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.modified, self.log = {}, MONDAY, []
        self.cut, self.ranges, self.if_range, self.sizes = None, True, True, True

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        web = self.server
        content = web.files.get(self.path)
        if content is None:
            web.log.append((self.path, 404, 0))
            return self.send_error(404)
        first, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        unchanged = self.headers.get("If-Range") == web.modified or not web.if_range
        if asked and web.ranges and unchanged:
            first, status = int(asked[1]), 206
        if status == 206 and first >= len(content):
            web.log.append((self.path, 416, first))
            return self.send_error(416)
        web.log.append((self.path, status, first))
        self.send_response(status)
        if web.sizes:
            self.send_header("Content-Length", str(len(content) - first))
        self.send_header("Last-Modified", web.modified)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[first : web.cut])
