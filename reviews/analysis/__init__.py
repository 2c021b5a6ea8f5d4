"""What is analysed: which files and lines, and which findings are on changed lines."""
