"""The documentation: every link leads somewhere, and the commands, files, tests and queries that it names exist."""

import ast
import gzip
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from graphql import build_schema, parse, validate

from cli.main import app
from domain import ids

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
SCHEMA = build_schema((ROOT / "schema" / "schema.graphql").read_text())
PROGRAMS = ("hookline", ".venv/bin/hookline")
ALL_TESTS = "\n".join(
    path.read_text() for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in path.parts
)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# What the shell does not pass on to the command, and `...` for what the reader fills in.
ENDS_A_COMMAND = {"|", "||", "&&", ";", ">", "2>", "&", "#", "..."}
# Made by a command, or by the reader of a guide.
MADE = {"web/dist", "tests/receivers/node_modules", "domain/providers/NAME.py"}
FOLDERS = "api|bench|cli|deploy|docs|domain|schema|tests|web|workers"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fenced(text: str) -> Iterator[str]:
    """The lines of shell blocks, with continued lines joined."""
    for block in re.findall(r"^ *```(?:sh|bash|shell|console)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL):
        yield from (line.strip().removeprefix("$ ") for line in block.replace("\\\n", " ").splitlines())


def commands(page: Path) -> Iterator[str]:
    """Everything that is shown as something to type."""
    text = page.read_text()
    yield from fenced(text)
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`\n]+)`", prose)


def typed(page: Path, *programs: str) -> Iterator[list[str]]:
    """The words after each of these programs, wherever it stands in a line."""
    for line in commands(page):
        found = re.search(rf"(?:^|&& |\bmigrate |\| )(?:{'|'.join(map(re.escape, programs))}) (.*)", line)
        if found:
            try:
                words = shlex.split(found[1], comments=True)
            except ValueError:  # a sentence with an apostrophe
                continue
            yield words[: next((n for n, word in enumerate(words) if word in ENDS_A_COMMAND), len(words))]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_link_leads_nowhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if heading and there.suffix == ".md":
            assert heading in headings(there), target


def headings(page: Path) -> set[str]:
    """The anchors of a page, as the sites that show it make them."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in found}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists_with_its_options(page: Path) -> None:
    for words in typed(page, *PROGRAMS):
        check(typer.main.get_command(app), words)


def check(command: Any, words: list[str]) -> None:
    """Follow the words down the tree of commands. Raises AssertionError if one does not exist."""
    # Not isinstance: typer bundles its own copy of click.
    rest = list(words)
    while hasattr(command, "commands") and rest and re.fullmatch(r"[a-z][a-z-]*(\|[a-z-]+)*", rest[0]):
        names = rest.pop(0).split("|")
        for name in names:
            assert name in command.commands, f"hookline {' '.join(words)}"
        command = command.commands[names[0]]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        option = word.strip("[]").partition("=")[0]
        if option.startswith("--"):
            assert option in known | {"--help", "--install-completion"}, f"hookline {' '.join(words)}"


def test_each_variable_that_an_option_reads_is_documented_as_a_clients_and_no_other_is() -> None:
    section = (ROOT / "docs" / "settings.md").read_text().partition("## Of a client\n")[2]
    assert set(re.findall(r"`(HOOKLINE_[A-Z_]+)`", section)) == set(variables_of(typer.main.get_command(app)))


def variables_of(command: Any) -> Iterator[str]:
    """The environment variables that the options of a command and its subcommands read."""
    yield from (parameter.envvar for parameter in command.params if parameter.envvar)
    for below in getattr(command, "commands", {}).values():
        yield from variables_of(below)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_target_of_make_exists(page: Path) -> None:
    for words in typed(page, "make"):
        for word in words:
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                break
            assert word in TARGETS, f"make {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_and_every_test_that_is_named_is_there(page: Path) -> None:
    for path in named_paths(page.read_text()):
        assert path in MADE or list(ROOT.glob(path)), path
    for test in re.findall(r"`(test_\w+)`", page.read_text()):
        assert re.search(rf"def {test}\b", ALL_TESTS), test


def named_paths(text: str) -> Iterator[str]:
    """Our files and folders that a text names as code."""
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)):
        yield from (path.rstrip("/.") for path in re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*-]*", code))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_query_is_one_that_the_schema_answers(page: Path) -> None:
    for query in queries(page.read_text()):
        assert not validate(SCHEMA, parse(query)), query


def queries(text: str) -> Iterator[str]:
    """All GraphQL that is shown: in blocks of its own, in programs, in what curl sends, and within sentences."""
    yield from re.findall(r"^ *```graphql\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    yield from re.findall(r"""["`]\s*((?:query|mutation|subscription)\b[^"`]*\{[^"`]*\})\s*["`]""", text)
    yield from re.findall(r"`(\{ [a-z]\w+ [^`\n\"]*\})`", text)
    yield from (json.loads(body)["query"] for body in re.findall(r"""'(\{"query": .*\})'""", text))


def test_the_tests_above_find_what_they_look_for() -> None:
    operations = ROOT / "docs" / "operations.md"
    assert [*named_paths("`api/gone.py` and `ls web/src/`, but `../api/x` and `an/api/x` are not ours")] == [
        "api/gone.py", "web/src"
    ]  # fmt: skip
    assert len([*queries((ROOT / "docs" / "subscriptions.md").read_text())]) > 6
    assert len([*queries((ROOT / "README.md").read_text())]) == 2
    assert ["status"] in list(typed(operations, *PROGRAMS))
    assert ["run"] in list(typed(ROOT / "CONTRIBUTING.md", "make"))
    with pytest.raises(AssertionError):
        check(typer.main.get_command(app), ["token", "destroy"])
    with pytest.raises(AssertionError):
        check(typer.main.get_command(app), ["token", "create", "--king"])


def test_the_index_leads_to_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)", index.read_text())}
    assert {page for page in (ROOT / "docs").glob("*.md") if page != index} <= linked
    assert (ROOT / "docs" / "decisions") in linked


def test_the_dashboard_s_script_is_as_large_as_the_guide_to_proxies_says() -> None:
    told = re.search(r"dashboard's (\d+) kB of script into (\d+)", (ROOT / "docs" / "operations.md").read_text())
    dist = ROOT / "web" / "dist"
    assert dist.exists(), "the pages are not built: make web"
    begins_with = re.findall(r"/(assets/[\w.-]+\.js)", (dist / "index.html").read_text())
    scripts = [(dist / script).read_bytes() for script in begins_with]
    # Level 1, as nginx compresses by default.
    sizes = sum(map(len, scripts)), sum(len(gzip.compress(script, 1)) for script in scripts)
    assert told is not None
    assert [int(number) * 1000 for number in told.groups()] == pytest.approx(sizes, rel=0.1)


def test_the_number_of_a_log_line_becomes_an_id_as_the_guide_says() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text()
    [(command, noun, number)] = re.findall(r"`(printf '(\w+):(\d+)' [^`]+)`", operations)
    made = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == ids.make(noun, int(number))


def test_every_decision_has_its_four_parts() -> None:
    for page in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = page.read_text().lower()
        assert text.startswith("# "), page.name
        for part in ("context", "decision", "consequence", "thought of"):
            assert part in text, f"{page.name} has no {part}"


def test_each_module_of_the_domain_imports_only_from_above_it_or_from_its_left_in_the_drawing() -> None:
    drawing = (ROOT / "docs" / "architecture.md").read_text().partition("## `domain/`")[2].split("```")[1]
    drawn = [word.rstrip("/") for line in drawing.splitlines() for word in re.split(r" {3,}", line)[0].split()]
    found = {path.name.removesuffix(".py"): path for path in (ROOT / "domain").iterdir()}
    modules = found.keys() - {"__init__", "__pycache__", "migrations"}
    assert modules <= set(drawn)
    for name in modules:
        above = {*drawn[: drawn.index(name) + 1], "migrations"}
        assert imports_of(found[name]) <= above, (
            f"{name} stands above what it imports: {imports_of(found[name]) - above}"
        )


def imports_of(module: Path) -> set[str]:
    """What a module of the domain, or any module of a package, imports from the domain."""
    files = sorted(module.rglob("*.py")) if module.is_dir() else [module]
    names: set[str] = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            package, _, name = node.module.partition(".")
            if package == "domain":
                names |= {name.split(".")[0]} if name else {alias.name for alias in node.names}
    return names
