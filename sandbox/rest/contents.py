"""Files of a commit: GET /repos/{owner}/{repo}/contents/{path} and …/git/trees/{sha}."""

import base64
import configparser
import posixpath
import textwrap
from urllib.parse import quote

from sandbox.app import WEB_URL, Json
from sandbox.http import ApiError, Request, Response, not_found
from sandbox.rest import lookups
from sandbox.state.git import SUBMODULE_MODE, SYMLINK_MODE, TreeEntry
from sandbox.state.repository import Repository
from sandbox.state.state import State

MAX_INLINE_BYTES = 1024 * 1024
"""Larger files have an empty `content` and the `encoding` "none".

Source: GitHub REST docs, "Get repository content".
"""

MAX_TREE_ENTRIES = 100_000
"""Source: GitHub REST docs, "Get a tree"."""

MAX_DIRECTORY_ENTRIES = 1000
"""Source: GitHub REST docs, "Get repository content"."""


def contents(state: State, request: Request) -> Response:
    """Answer a file with its content, or a directory as a list of entries.

    A symlink is followed if its target is a file of the repository; else the symlink itself is the answer.
    """
    repo = lookups.repository(state, request)
    ref = request.query.get("ref") or repo.default_branch
    path = posixpath.normpath(request.parameters.get("path") or ".").strip("/")
    path = "" if path == "." else path
    sha = repo.resolve(ref)
    if sha is None:
        raise ApiError(404, f"No commit found for the ref {ref}")
    tree = repo.store.tree(sha)
    entry = tree.get(path)
    if entry is None:
        return Response(body=_directory(repo, ref, tree, path))
    if entry.mode == SUBMODULE_MODE:
        url = _submodule_url(repo, tree, path)
        return Response(body=_entry(repo, ref, path, "submodule", entry.oid, 0) | {"submodule_git_url": url})
    if entry.mode == SYMLINK_MODE:
        target = repo.store.blob(entry.oid).decode("utf-8", "replace")
        linked = tree.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        if linked is None or linked.mode in (SYMLINK_MODE, SUBMODULE_MODE):
            return Response(body=_entry(repo, ref, path, "symlink", entry.oid, entry.size) | {"target": target})
        # GitHub REST docs: the content of the linked file is returned.
        entry = linked
    raw = repo.store.blob(entry.oid)
    if ".raw" in request.headers.get("accept", ""):
        return Response(body=raw, content_type="application/vnd.github.raw; charset=utf-8")
    return Response(body=_file(repo, ref, path, entry, raw))


def tree(state: State, request: Request) -> Response:
    """Answer all files of a commit: always recursive, which is all that Kodiai asks for."""
    repo = lookups.repository(state, request)
    ref = request.parameters["ref"]
    sha = repo.resolve(ref)
    if sha is None:
        raise not_found()
    entries = [
        {
            "path": path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            "mode": entry.mode,
            "type": "commit" if entry.mode == SUBMODULE_MODE else "blob",
            "sha": entry.oid,
        }
        | ({} if entry.mode == SUBMODULE_MODE else {"size": entry.size})
        for path, entry in sorted(repo.store.tree(sha).items())
    ]
    shown = entries[:MAX_TREE_ENTRIES]
    url = f"{repo.app.api_url}/repos/{repo.full_name}/git/trees/{sha}"
    body = {"sha": sha, "url": url, "tree": shown, "truncated": len(shown) < len(entries)}
    return Response(body=body)


def _file(repo: Repository, ref: str, path: str, entry: TreeEntry, raw: bytes) -> Json:
    if entry.size > MAX_INLINE_BYTES:
        body = {"content": "", "encoding": "none"}
    else:
        lines = textwrap.wrap(base64.b64encode(raw).decode("ascii"), 60)
        body = {"content": "".join(f"{line}\n" for line in lines), "encoding": "base64"}
    return _entry(repo, ref, path, "file", entry.oid, entry.size) | body


def _directory(repo: Repository, ref: str, tree: dict[str, TreeEntry], path: str) -> list[Json]:
    prefix = f"{path}/" if path else ""
    found: dict[str, Json] = {}
    for name, entry in tree.items():
        if not name.startswith(prefix):
            continue
        name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        first, below, _ = name[len(prefix) :].partition("/")
        full = prefix + first
        if below:
            # Clients need the directory's path, not its object id: any id will do.
            found.setdefault(full, _entry(repo, ref, full, "dir", entry.oid, 0))
        else:
            # In a list a submodule has the type "file". Source: GitHub REST docs, "Get repository content".
            kind = "symlink" if entry.mode == SYMLINK_MODE else "file"
            found[full] = _entry(repo, ref, full, kind, entry.oid, entry.size)
    if not found:
        raise not_found()
    return [found[name] for name in sorted(found)][:MAX_DIRECTORY_ENTRIES]


def _submodule_url(repo: Repository, tree: dict[str, TreeEntry], path: str) -> str | None:
    """The URL of a submodule in `.gitmodules`."""
    if ".gitmodules" not in tree:
        return None
    modules = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        modules.read_string(repo.store.blob(tree[".gitmodules"].oid).decode("utf-8", "replace"))
    except configparser.Error:
        return None
    return next((part.get("url") for _, part in modules.items() if part.get("path") == path), None)


def _entry(repo: Repository, ref: str, path: str, kind: str, oid: str, size: int) -> Json:
    api = f"{repo.app.api_url}/repos/{repo.full_name}"
    url = f"{api}/contents/{quote(path)}?ref={quote(ref, safe='')}"
    git_url = f"{api}/git/{'trees' if kind == 'dir' else 'blobs'}/{oid}"
    html_url = f"{WEB_URL}/{repo.full_name}/{'tree' if kind == 'dir' else 'blob'}/{ref}/{quote(path)}"
    raw_url = f"https://raw.githubusercontent.com/{repo.full_name}/{ref}/{quote(path)}"
    return {
        "type": kind,
        "name": posixpath.basename(path),
        "path": path,
        "sha": oid,
        "size": size,
        "url": url,
        "git_url": git_url,
        "html_url": html_url,
        "download_url": None if kind == "dir" else raw_url,
        "_links": {"self": url, "git": git_url, "html": html_url},
    }
