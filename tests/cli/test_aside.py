"""Output to a reader that may stop: writers never wait, and only lines beyond the limit are lost."""

import os
import select
from collections.abc import Iterator
from time import monotonic
from typing import TextIO

import pytest

from cli.aside import MOST_WAITING, Aside

LINE = "a" * 99 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, TextIO]]:
    """The two ends of a pipe."""
    near, far = os.pipe()
    with os.fdopen(far, "w", encoding="utf-8", closefd=False) as file:
        yield near, file
    for number in (near, far):
        os.close(number)


def read(near: int, file: TextIO, end: str) -> str:
    """What was written, up to and including `end`."""
    text = ""
    while not text.endswith(end):
        text += os.read(near, 65_536).decode(file.encoding)
    return text


def test_what_waits_arrives_in_its_order(pipe: tuple[int, TextIO]) -> None:
    near, file = pipe
    aside = Aside(file)
    lines = [f"{number:,} é \ud800 {LINE}" for number in range(5_000)]
    for line in lines:
        assert aside.write(line) == len(line)
    aside.write("the end\n")
    assert read(near, file, "the end\n") == "".join(lines).replace("\ud800", "\\ud800") + "the end\n"


def test_the_last_lines_are_waited_for_but_not_for_ever(pipe: tuple[int, TextIO]) -> None:
    near, file = pipe
    aside = Aside(file)
    aside.write("the end\n")
    aside.settle(60)
    os.set_blocking(near, False)
    assert os.read(near, 100) == b"the end\n"
    os.set_blocking(near, True)
    aside.write(f"{LINE * 5_000}more\n")
    # The pipe holds a part of it, and the thread has the rest in hand.
    select.select([near], [], [])
    began = monotonic()
    aside.settle(0.05)
    assert monotonic() - began >= 0.05
    assert read(near, file, "more\n").count(LINE) == 5_000


def test_of_too_much_the_later_lines_are_left_out_and_counted(pipe: tuple[int, TextIO]) -> None:
    near, file = pipe
    aside = Aside(file)
    # More than a pipe holds, so the thread is busy with this before too much waits.
    aside.write(LINE * 5_000)
    select.select([near], [], [])
    lines = 5_001 + 3 * MOST_WAITING // len(LINE)
    for _ in range(lines - 5_001):
        aside.write(LINE)
    # There would be room for this one.
    aside.write("short\n")
    text = read(near, file, "lines were dropped here: the output was not being read.\n")
    *shown, told = text.splitlines()
    assert set(shown) == {LINE.strip()}
    assert told == f"... {lines - len(shown):,} lines were dropped here: the output was not being read."
    assert MOST_WAITING // len(LINE) <= len(shown) < lines
    aside.write("and on\n")
    assert read(near, file, "and on\n") == "and on\n"


def test_a_file_that_waits_for_nobody_is_waited_for(pipe: tuple[int, TextIO]) -> None:
    near, file = pipe
    os.set_blocking(file.fileno(), False)
    aside = Aside(file)
    for _ in range(5_000):
        aside.write(LINE)
    aside.write("the end\n")
    assert read(near, file, "the end\n") == LINE * 5_000 + "the end\n"


def test_that_nobody_reads_any_more_is_told_to_who_writes_next_and_nobody_waits_for_it() -> None:
    near, far = os.pipe()
    os.close(near)
    with os.fdopen(far, "w") as file:
        aside = Aside(file)
        aside.write("a")
        aside.settle(60)
        with pytest.raises(BrokenPipeError):
            aside.write("b")
        began = monotonic()
        aside.settle(10)
        assert monotonic() - began < 5
