"""Text of strangers, where a person may read it on a terminal."""


def plain(text: str) -> str:
    r"""The text with what a terminal would obey written out, as `\x1b`; lines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else repr(each)[1:-1] for each in text)
