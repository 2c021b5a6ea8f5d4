"""What the deployment signs with."""

import os

SIGNING_KEY = """-----BEGIN EC PRIVATE KEY-----
{{base64-64}}
{{base64-64}}
-----END EC PRIVATE KEY-----"""

PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
{{base64-64}}
-----END PUBLIC KEY-----"""

GITHUB = os.environ.get("GITHUB_TOKEN", "ghp_{{alnum-36}}")
