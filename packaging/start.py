"""Where the single executable begins."""

import sys

from failover.cli.main import main

sys.exit(main())
