"""The corpus: pull requests as people open them, in real git histories, and the review that each must get.

`pulls/` has the pull requests, a function each. `reviews/` has the review of each as a reader would see it, and
`labels.txt` says of every finding whether a good engineer would want it said. `make corpus` writes both anew.
"""
