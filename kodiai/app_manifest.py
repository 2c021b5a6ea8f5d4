"""GitHub's App manifest flow: the manifest, where it goes, and what GitHub answers.

Source: GitHub docs, "Registering a GitHub App from a manifest"; REST docs, "Create a GitHub App from a manifest".
"""

import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx
from django.conf import settings
from pydantic import BaseModel, Field, ValidationError

CODE = re.compile(r"[A-Za-z0-9_-]{1,100}")
"""The temporary code that GitHub redirects with. It is valid for one hour, and once."""
CODE_SECONDS = 60 * 60
MAX_NAME = 34
"""Characters of an App's name. Source: GitHub docs, "Registering a GitHub App"."""
TIMEOUT = httpx.Timeout(8)
WEB, API = "https://github.com", "https://api.github.com"


class ConversionFailed(Exception):
    """GitHub did not give the App's credentials; the sentence says what to do."""


class Credentials(BaseModel):
    """GitHub's answer to a code: the new App."""

    id: int = Field(gt=0)
    slug: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,99}$")
    pem: str = Field(max_length=20_000)
    webhook_secret: str = Field(min_length=1, max_length=1000)
    html_url: str = ""


def manifest(name: str, base_url: str, webhook_url: str, redirect_url: str) -> dict[str, Any]:
    """Return the manifest of an App with the permissions and events that the doctor looks for, and no more."""
    # Imported here: it imports the client of GitHub, which the web process does not need.
    from kodiai.doctor.github import EVENTS, needed_permissions

    return {
        "name": name,
        "description": "Reviews pull requests.",
        "url": base_url,
        "hook_attributes": {"url": webhook_url, "active": True},
        "redirect_url": redirect_url,
        "public": False,
        "default_permissions": needed_permissions(),
        "default_events": list(EVENTS),
    }


def registration_url(web: str, organisation: str, state: str) -> str:
    """Return the address to which the form with the manifest is sent: of a person, or of an organisation."""
    owner = f"/organizations/{quote(organisation, safe='')}" if organisation else ""
    return f"{web}{owner}/settings/apps/new?{urlencode({'state': state})}"


def default_web() -> str:
    """Return the web address of the GitHub whose API is configured."""
    api = str(settings.KODIAI_GITHUB_API_URL)
    if api == API:
        return WEB
    host = urlsplit(api).netloc
    if host.startswith("api.") and host.endswith(".ghe.com"):
        return f"https://{host.removeprefix('api.')}"
    return api.removesuffix("/api/v3")


def api_of(web: str) -> str:
    """Return the address of the API of a GitHub: github.com, a subdomain of ghe.com, or Enterprise Server.

    Source: GitHub Enterprise Cloud docs, "About GitHub Enterprise Cloud with data residency"; GitHub Enterprise Server
    REST docs, "Getting started".
    """
    if web == default_web():
        return str(settings.KODIAI_GITHUB_API_URL)
    host = urlsplit(web).netloc
    if web == WEB:
        return API
    return f"https://api.{host}" if host.endswith(".ghe.com") else f"{web}/api/v3"


def install_url(slug: str) -> str:
    """Return the page of GitHub that installs an App. Enterprise Server has Apps at another place.

    Source: GitHub Enterprise Server docs, "Installing your own GitHub App".
    """
    web = default_web()
    hosted = web == WEB or urlsplit(web).netloc.endswith(".ghe.com")
    return f"{web}/{'apps' if hosted else 'github-apps'}/{quote(slug, safe='')}/installations/new"


def convert(api: str, code: str) -> Credentials:
    """Exchange the code for the App's credentials. Raises `ConversionFailed`."""
    if not CODE.fullmatch(code):
        raise ConversionFailed("GitHub's answer has no valid code. Begin again.")
    try:
        headers = {"Accept": "application/vnd.github+json", "User-Agent": "kodiai"}
        answer = httpx.post(f"{api}/app-manifests/{code}/conversions", headers=headers, timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ConversionFailed(
            f"{api} cannot be reached ({type(error).__name__}). The App exists on GitHub, but Kodiai has no key: "
            "delete the App there, and begin again."
        ) from error
    if answer.status_code != 201:
        raise ConversionFailed(f"GitHub answered {answer.status_code}: the code is an hour old, or used. Begin again.")
    try:
        found = Credentials.model_validate_json(answer.content)
    except ValidationError as error:
        # The error would quote what is secret.
        raise ConversionFailed("GitHub's answer is not an App with its key. Begin again.") from error
    if "-----BEGIN" not in found.pem:
        raise ConversionFailed("GitHub's answer has no private key. Begin again.")
    return found
