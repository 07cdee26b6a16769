"""The command line: typer commands over `loopctl.api`, and the only place that exits."""
