"""A receiver to try Hookline with: python docs/examples/receiver.py PORT SECRET

Checks X-Signature as the documentation tells integrators to, over the bytes as they came and before it reads them.
Prints what is genuine and answers 200; a forgery gets 401, what makes no sense 400.
"""

import hashlib
import hmac
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs

SECRET = sys.argv[2].encode()
LONGEST_BODY = 1024 * 1024


def is_genuine(body: bytes, signature: str) -> bool:
    """Whether the sender of this body has the secret."""
    expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    # As bytes: of texts, compare_digest takes ASCII alone.
    return hmac.compare_digest(expected.encode(), signature.encode())


class Receiver(BaseHTTPRequestHandler):
    """Answers POST alone; anything else is a 501."""

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Check and print one delivery."""
        try:
            status = self.take()
        except (ValueError, KeyError, TypeError):
            status = 400
        self.send_response(status)
        self.end_headers()

    def take(self) -> int:
        """The status to answer with."""
        length = int(self.headers["Content-Length"])
        if not 0 <= length <= LONGEST_BODY:
            return 400
        body = self.rfile.read(length)
        if not is_genuine(body, self.headers.get("X-Signature", "")):
            print("FORGED", flush=True)
            return 401
        text = body.decode()
        if self.headers.get_content_type() == "application/x-www-form-urlencoded":
            text = parse_qs(text)["payload"][0]
        document = json.loads(text)
        print("genuine", document["event"], document["data"], flush=True)
        return 200

    def log_message(self, *_: object) -> None:
        """Say nothing of its own."""


# Ctrl-C ends it as it ends any program: Python would print where it was.
signal.signal(signal.SIGINT, signal.SIG_DFL)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
