"""What a client may ask, change and subscribe to.

The domain's enums are described before any type uses them; otherwise Strawberry would add them without descriptions.
"""

from schema import vocabulary

__all__ = ["vocabulary"]
