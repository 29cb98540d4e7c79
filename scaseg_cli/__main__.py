"""`python -m scaseg_cli` and the script `scaseg` run the command line."""

import sys


def main() -> int:
    """Run the command line and return the exit code.

    It is imported here, because worker processes import the script `scaseg`, and so this module, without using it.
    """
    from scaseg_cli.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
