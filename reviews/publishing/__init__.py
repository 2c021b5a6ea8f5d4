"""Publishing: one review per run, comments, threads and check runs."""
