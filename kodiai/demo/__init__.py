"""The demo: Kodiai reviews pull requests of a simulated GitHub, and checks in the terminal that it did."""
