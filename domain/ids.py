"""Which numbers can be a row's id at all."""

LARGEST_ID = 2**63 - 1


def is_id(value: int) -> bool:
    """Whether a number can be a row's id: PostgreSQL takes no other as a bigint, so any other leads nowhere."""
    return 0 < value <= LARGEST_ID
