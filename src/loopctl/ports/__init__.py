"""What the loop needs of the world, one protocol a file, each with its value types and base error.

Every verb is synchronous, takes a `Stop`, may be called from any thread, and raises nothing but its
port's own error (and `Stopped`, when the `Stop` it was given stops).
"""
