"""Third parties' text that a person may read on a terminal."""


def plain(text: str) -> str:
    r"""The text with everything unprintable, which a terminal could obey, escaped as in `\x1b`; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)
