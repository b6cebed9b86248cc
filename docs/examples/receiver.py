"""A receiver to try Hookline with: python docs/examples/receiver.py PORT SECRET

Checks X-Signature as the documentation tells integrators to, prints what it got, and answers 200, or 401 to a forgery.
"""

import hashlib
import hmac
import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

SECRET = sys.argv[2].encode()


class Receiver(BaseHTTPRequestHandler):
    """Answers POST alone; anything else is a 501."""

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
        """Check and print one delivery."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        expected = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
        genuine = hmac.compare_digest(expected, self.headers.get("X-Signature", ""))
        print(
            "genuine" if genuine else "FORGED", self.headers["X-Hookline-Event"], json.loads(body)["data"], flush=True
        )
        self.send_response(200 if genuine else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing of its own."""


HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
