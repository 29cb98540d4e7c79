"""`python -m scaseg_cli` runs `scaseg`."""

import sys

from scaseg_cli.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
