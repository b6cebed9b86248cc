"""Where a process of Hookline begins: `hookline`, and `python -m cli`."""

from cli.loading import load


def main() -> None:
    """Run the command that the arguments name."""
    load("cli.main").app(prog_name="hookline")


if __name__ == "__main__":
    main()
