"""GitHub's published description of its API, as far as the tests need it: `make github-api`.

It comes with an npm package, is held against a hash that stands here, and is kept outside of the
work tree, cut down to the operations that loopctl uses. Nothing of it is part of loopctl.
"""
