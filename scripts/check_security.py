"""Hostile text, code and files against the rewards and the commands: nothing may get out, in, or an unearned grade.

    python scripts/check_security.py [--only code verdict files text]

Prints a table; exit status 1 where a case did not end as expected. The cases are in `scripts/faults/security_*.py`.
"""

from __future__ import annotations

import argparse
import itertools
import sys

from faults import security_code, security_files, security_text, security_verdict
from faults.report import finish

PARTS = {"code": security_code, "verdict": security_verdict, "files": security_files, "text": security_text}


def main() -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    options = parser.parse_args()
    return finish("Untrusted text and files", itertools.chain(*(PARTS[name].outcomes() for name in options.only)))


if __name__ == "__main__":
    sys.exit(main())
