"""Each test passes, and would with the behaviour it is named for broken; its docstring says why."""
