"""The demo: Kodiai against a GitHub in a box, told and checked in the terminal."""
