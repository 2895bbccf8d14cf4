import signal
import sys

from deploy_core.cli.main import main

# An exit that unwinds, so that a half-written file is removed also when the process is asked to end.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

raise SystemExit(main())
