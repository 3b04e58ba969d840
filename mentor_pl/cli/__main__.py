"""`python -m mentor_pl.cli` is `mentor`."""

import sys
from pathlib import Path

# -m puts the current folder before all that is installed; it stays where this package lies in it.
if not sys.flags.safe_path and Path(sys.path[0]) != Path(__file__).parents[2]:
    del sys.path[0]

from mentor_pl.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
