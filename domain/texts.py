"""What any text from a person must satisfy before it may reach the database."""

import unicodedata

from domain.errors import FaultCode, Faults


def check_text(
    faults: Faults,
    value: str,
    *field: str,
    longest: int,
    what: str,
    required: bool = True,
    lines: bool = False,
) -> None:
    """Note what is wrong with a text: it is blank though `required`, has more than `longest` characters, or one that is
    not allowed: half of a surrogate pair, or a control character.

    With `lines`, line ends and tabs are allowed. Without, they are not, nor are the characters that turn the direction
    of the text around them: U+202A to U+202E, U+2066 to U+2069.
    """
    if required and not any(_is_seen(character) for character in value):
        faults.add(FaultCode.REQUIRED, f"{what} must not be blank.", *field)
    elif len(value) > longest:
        faults.add(FaultCode.TOO_LONG, f"{what} may have at most {longest:,} characters.", *field)
    elif any(_is_wrong(character, lines=lines) for character in value):
        faults.add(FaultCode.INVALID, f"{what} holds a character that is not allowed.", *field)


def is_clean(value: str) -> bool:
    """Whether PostgreSQL can take the text: no NUL, no half of a surrogate pair."""
    return "\x00" not in value and not any("\ud800" <= character <= "\udfff" for character in value)


def cleaned(value: str, longest: int) -> str:
    """A third party's text, made fit to be kept: without what `is_clean` forbids, and cut to `longest` characters."""
    kept = value if is_clean(value) else "".join(character for character in value if is_clean(character))
    return kept[:longest]


def _is_seen(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf"}


def _is_wrong(character: str, *, lines: bool) -> bool:
    if character in "\n\r\t":
        return not lines
    if "\u202a" <= character <= "\u202e" or "\u2066" <= character <= "\u2069":
        return not lines
    return unicodedata.category(character) in {"Cc", "Cs"}
