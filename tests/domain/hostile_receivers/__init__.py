"""Receivers that mean harm: each function in these files is one of them, and says what its attempt must end as.

`python -m tests.domain.hostile_receivers FOLDER` serves them all, each on a port of its own, until its input is closed,
and prints {name: port} first. A process of its own, so that what flooding costs the flooder is not counted as ours.
FOLDER holds NAME.pem for each certificate.
"""

from tests.domain.hostile_receivers import floods, hardly_http, lies, silence, tls
from tests.domain.hostile_receivers.hostile import RECEIVERS

# Each file registers its receivers as it is imported.
__all__ = ["RECEIVERS", "floods", "hardly_http", "lies", "silence", "tls"]
