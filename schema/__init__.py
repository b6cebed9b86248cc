"""What a client may ask, change and subscribe to.

The domain's enums are described before any type uses them: Strawberry would make up nameless ones of its own.
"""

from schema import vocabulary

__all__ = ["vocabulary"]
