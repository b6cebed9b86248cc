"""Hostile receivers: each function in these files is one, and declares how its attempt must end.

`python -m tests.domain.hostile_receivers FOLDER` serves them all, each on a port of its own, until its input is closed,
and prints {name: port} first. It is a separate process so that what flooding costs the flooder is not counted as ours.
FOLDER holds NAME.pem for each certificate.
"""

from tests.domain.hostile_receivers import floods, hardly_http, lies, silence, tls
from tests.domain.hostile_receivers.hostile import RECEIVERS

# Each file registers its receivers as it is imported.
__all__ = ["RECEIVERS", "floods", "hardly_http", "lies", "silence", "tls"]
