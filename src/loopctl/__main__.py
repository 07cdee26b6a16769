"""The console script. `--version` is answered before anything heavy is imported."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; the process exits with the code of the contract."""
    if sys.argv[1:] == ["--version"]:
        from loopctl import __version__

        sys.stdout.write(f"loopctl {__version__}\n")
        return
    from loopctl.cli.entry import entry

    sys.exit(entry(sys.argv[1:]))


if __name__ == "__main__":
    main()
