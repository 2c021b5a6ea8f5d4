"""Kodiai's settings for the tests: nothing of the developer's own environment or `.env` reaches them.

SQLite in a file (never in memory: WAL and locks are part of what is tested), of this run of pytest alone, or PostgreSQL
when `KODIAI_TEST_POSTGRES_URL` names a server. The queue is in the database, or on Redis when `KODIAI_TEST_TASKS_URL`
names a server and a database of it, which the tests empty; each process of `pytest -n` takes one further up.
"""

import os

from sandbox.app import key_pair
from tests.support.processes import is_alive

for name in list(os.environ):
    if name.startswith("KODIAI_") and not name.startswith("KODIAI_TEST_"):
        del os.environ[name]
os.environ["KODIAI_ENV_FILE"] = os.devnull
os.environ["KODIAI_GITHUB_APP_FILE"] = os.devnull
os.environ["KODIAI_SECRET_KEY"] = "a-key-for-tests-only-" + "0123456789" * 4
os.environ["KODIAI_GITHUB_WEBHOOK_SECRET"] = "the-webhook-secret"
os.environ["KODIAI_GITHUB_APP_ID"] = "1"
# That of every sandbox of this process.
os.environ["KODIAI_GITHUB_PRIVATE_KEY"] = key_pair()[0]
os.environ["DATABASE_URL"] = os.environ.get("KODIAI_TEST_POSTGRES_URL") or "sqlite:///var/test.sqlite3"
if tasks_url := os.environ.get("KODIAI_TEST_TASKS_URL"):
    server, _, number = tasks_url.rpartition("/")
    process = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    os.environ["KODIAI_TASKS_URL"] = f"{server}/{int(number) + int(process)}"

from kodiai.settings import *  # noqa: E402, F403
from kodiai.settings import DATABASES, VAR_DIR  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Processes of `pytest -n` inherit the number of the one that started them.
    run = os.environ.setdefault("KODIAI_TEST_RUN", str(os.getpid()))
    VAR_DIR.mkdir(exist_ok=True)
    for left in VAR_DIR.glob("test-*.sqlite3*"):  # By runs that were killed.
        if not is_alive(int(left.name.removeprefix("test-").partition(".")[0])):
            left.unlink(missing_ok=True)
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / f"test-{run}.sqlite3")}
# Each client of a test would look for all static files again.
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
