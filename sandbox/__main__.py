"""Run a sandbox by hand: `python -m sandbox --port 9000 --webhook-url http://127.0.0.1:8000/webhooks/github`."""

import argparse
import signal
import threading

from sandbox.payloads import webhook_payload
from sandbox.sandbox import Sandbox
from sandbox.state.repository import PullRequest

EXAMPLE_FILES = {
    "README.md": "# demo\n",
    "app.py": "def greet(name):\n    return 'Hello ' + name\n",
    ".kodiai.yml": "telemetry:\n  enabled: true\n",
}
EXAMPLE_CHANGES = {
    "app.py": "import os\n\n\ndef greet(name):\n    if name == None:\n        return\n    return 'Hello ' + name\n",
    "run.sh": "#!/bin/sh\ncd $1\nrm -rf $2\n",
}


def main() -> None:
    """Serve a repository with a pull request until Ctrl-C, then print the reviews and comments posted to it."""
    options = _options()
    # SIGTERM of a process manager has the effect of Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Sandbox(port=options.port, webhook_secret=options.webhook_secret) as github:
        repo = github.create_repository("octo/demo", files=EXAMPLE_FILES)
        pull = repo.open_pull_request(title="Greet nobody", changes=EXAMPLE_CHANGES)
        try:
            print(settings_lines(github))
            print(f"# {repo.full_name} has pull request {pull.number}: {pull.api_url}", flush=True)
            if options.webhook_url:
                response = github.send_webhook(options.webhook_url, "pull_request", webhook_payload(pull, "opened"))
                print(f"# pull_request.opened got {response.status_code}: {response.text}", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            _show(pull)


def settings_lines(github: Sandbox) -> str:
    """Return the lines of an .env file with which Kodiai uses a sandbox."""
    key = github.private_key.replace("\n", "\\n")
    return "\n".join(
        (
            f"KODIAI_GITHUB_API_URL={github.url}",
            f"KODIAI_GITHUB_APP_ID={github.app_id}",
            f"KODIAI_GITHUB_APP_SLUG={github.app_slug}",
            f'KODIAI_GITHUB_PRIVATE_KEY="{key}"',
            f"KODIAI_GITHUB_WEBHOOK_SECRET={github.webhook_secret}",
        )
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A simulated GitHub, to be used by hand.")
    parser.add_argument("--port", type=int, default=9000, help="port on 127.0.0.1 (default 9000; 0: any free port)")
    parser.add_argument("--webhook-secret", default="the-webhook-secret", help="the secret that signs webhooks")
    parser.add_argument("--webhook-url", help="URL to send pull_request.opened to at the start")
    return parser.parse_args()


def _show(pull: PullRequest) -> None:
    for review in pull.reviews:
        print(f"\n# Review {review['id']} by {review['user']['login']}: {review['state']}\n{review['body']}")
        for comment in review["comments"]:
            print(f"\n# {comment['path']}:{comment.get('line')}\n{comment['body']}")
    for comment in pull.comments:
        print(f"\n# Comment {comment['id']} by {comment['user']['login']}\n{comment['body']}")


if __name__ == "__main__":
    main()
