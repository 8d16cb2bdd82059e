"""``python -m crysformer``: the command line."""

import sys

from crysformer.cli import main

if __name__ == "__main__":
    sys.exit(main())
