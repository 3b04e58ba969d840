"""`python -m mentor_pl` is `mentor`."""

import sys

from mentor_pl.cli import main

if __name__ == "__main__":
    sys.exit(main())
