"""Documents of a given size."""

import json


def document(size: int) -> str:
    """A JSON document of about `size` bytes."""
    return json.dumps({"event": "post.published", "data": {"text": "x" * max(size - 50, 0)}})
