"""The part of GitHub's GraphQL API that Kodiai uses."""
