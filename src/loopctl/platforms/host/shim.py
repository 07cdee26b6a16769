"""Started in place of a service: ties its life to the host's, then becomes the service.

Run as `python -I -S shim.py HOST_PID COMMAND…`: nothing is imported but the standard library. The
wish to die with the parent survives exec (prctl(2)), which `preexec_fn` could set only at the risk
of a deadlock.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Become the service; returns 127 with a line on stderr when that cannot be."""
    host, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != host:
        return 127
    os.umask(0o022)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"loopctl: cannot start {command[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main())
