"""Kodiai: a self-hosted GitHub App that reviews pull requests and never loses a delivery."""
