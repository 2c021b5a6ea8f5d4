"""A sandbox to play with by hand: `python -m sandbox --port 9000 --webhook-url http://127.0.0.1:8000/webhooks/github`."""

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
    """Serve one repository with one pull request until Ctrl-C, then show what was posted to it."""
    options = _options()
    # To be stopped by a process manager is no different from Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Sandbox(port=options.port, webhook_secret=options.webhook_secret) as github:
        repo = github.create_repository("octo/demo", files=EXAMPLE_FILES)
        pull = repo.open_pull_request(title="Greet nobody", changes=EXAMPLE_CHANGES)
        try:
            print(settings_lines(github))
            print(f"# {repo.full_name} has pull request {pull.number}: {pull.api_url}", flush=True)
            if options.webhook_url:
                answer = github.send_webhook(options.webhook_url, "pull_request", webhook_payload(pull, "opened"))
                print(f"# pull_request.opened was answered with {answer.status_code}: {answer.text}", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            _show(pull)


def settings_lines(github: Sandbox) -> str:
    """What a .env of Kodiai needs to work with a sandbox, one KODIAI_… a line."""
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
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="GitHub in a box, for playing by hand.")
    parser.add_argument("--port", type=int, default=9000, help="port on 127.0.0.1 (default 9000; 0: any free one)")
    parser.add_argument("--webhook-secret", default="the-webhook-secret", help="what webhooks are signed with")
    parser.add_argument("--webhook-url", help="send pull_request.opened there at the start")
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
