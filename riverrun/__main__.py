"""`python -m riverrun`: how the supervisor starts its children."""

import sys

from riverrun.cli import main

if __name__ == "__main__":
    sys.exit(main())
