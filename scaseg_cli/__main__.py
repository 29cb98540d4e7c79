"""`python -m scaseg_cli` is `scaseg`."""

from scaseg_cli.cli.app import main

if __name__ == "__main__":
    main()
