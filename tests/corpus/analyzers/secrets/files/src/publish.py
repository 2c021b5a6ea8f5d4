"""Uploads a release to the package index and tells the channel of it."""

import os
import urllib.request

TOKEN = "pypi-AgEIcHlwaS5vcmc{{alnum-60}}"
CHANNEL = os.environ["TELEGRAM_CHANNEL"]


def tell(text: str) -> None:
    url = "https://api.telegram.org/bot{{digits-10}}:AA{{alnum-33}}/sendMessage"
    body = f"chat_id={CHANNEL}&text={text}".encode()
    with urllib.request.urlopen(url, data=body, timeout=10):
        pass
