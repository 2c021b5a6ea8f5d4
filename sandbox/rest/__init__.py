"""The endpoints of GitHub's REST API that Kodiai uses, and the JSON of their resources."""
