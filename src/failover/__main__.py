"""`python -m failover`."""

import sys

from failover.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
