"""`python -m mentor_pl.cli` is `mentor`."""

import sys

from mentor_pl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
