"""Files of a repository at a commit or branch: by GraphQL, many in one query, or by REST, one by one."""

import logging
import stat
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import githubkit
import httpx

from reviews.github.app import AppClient
from reviews.github.connection import Connection, parse_as, parse_json, validated
from reviews.github.errors import GraphQLUnavailable, Refused, Unavailable
from reviews.github.facts import FILES_PER_QUERY
from reviews.github.schemas import Blob, Content, NotText, Tree, decoded
from reviews.github.session import Session, graphql_repository

logger = logging.getLogger(__name__)


class FileRef(NamedTuple):
    """A file at a commit, or at the current commit of a branch; without `with_text` only what kind of file it is."""

    ref: str
    path: str
    with_text: bool = True


def read_file(session: Session, path: str, ref: str) -> str | None:
    """Return a text file's content at `ref`; None if there is no such file. Raises `NotText`."""
    try:
        return session.call("GET", f"/repos/{session.repo}/contents/{quote(path)}", _file_text, params={"ref": ref})
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def read_organisation_file(session: Session, path: str) -> str | None:
    """Return a text file of the owner's `.github` repository, on its default branch.

    None if there is no such file, or the App is not installed on that repository. Raises `NotText`. Makes two calls:
    the first is for a token that can only read that repository.
    """
    installation_id = session.installation_id()
    repo = f"{session.repo.partition('/')[0]}/.github"
    try:
        with AppClient() as app:
            token = app.reading_token(installation_id, repo).token
        connection = Connection(f"installation-{installation_id}", lambda: githubkit.TokenAuthStrategy(token))
        try:
            return connection.call("GET", f"/repos/{repo}/contents/{quote(path)}", _file_text)
        finally:
            connection.close()
    except Refused as refused:
        if refused.status in (403, 404, 422, 451):
            return None
        raise


def read_blobs(session: Session, refs: Sequence[FileRef]) -> dict[FileRef, Blob]:
    """Return files; those that do not exist or are not available are missing in the result.

    By GraphQL, up to `FILES_PER_QUERY` per call; by REST, one call per file, if GraphQL is unavailable.
    """
    found: dict[FileRef, Blob] = {}
    for start in range(0, len(refs), FILES_PER_QUERY):
        batch = refs[start : start + FILES_PER_QUERY]
        try:
            found |= _by_graphql(session, batch)
        except (Refused, Unavailable, GraphQLUnavailable) as error:
            logger.info("GraphQL unavailable, falling back to REST", extra={"error": str(error)})
            found |= _by_rest(session, batch)
    return found


def _by_graphql(session: Session, refs: Sequence[FileRef]) -> dict[FileRef, Blob]:
    commits = {ref: f"c{index}" for index, ref in enumerate(dict.fromkeys(file.ref for file in refs))}
    paths = {path: f"p{index}" for index, path in enumerate(dict.fromkeys(file.path for file in refs))}
    declared = "".join(f",${name}:String!" for name in (*commits.values(), *paths.values()))
    fields = " ".join(
        f"{alias}:object(expression:${alias}){{...on Commit{{"
        + " ".join(_field(file, paths[file.path]) for file in refs if file.ref == ref)
        + "}}"
        for ref, alias in commits.items()
    )
    query = f"query($owner:String!,$name:String!{declared}){{repository(owner:$owner,name:$name){{{fields}}}}}"
    owner, _, name = session.repo.partition("/")
    variables = {"owner": owner, "name": name}
    variables |= {alias: value for value, alias in (*commits.items(), *paths.items())}

    def read(answer: Any, response: httpx.Response) -> dict[FileRef, Blob]:
        repository = graphql_repository(answer)
        found = {}
        for file in refs:
            commit = repository.get(commits[file.ref], {})
            # None: there is no such commit.
            entry = commit.get(paths[file.path], _MISSING) if isinstance(commit, dict) else None
            if entry is _MISSING:
                raise GraphQLUnavailable("the answer lacks requested files")
            if isinstance(entry, dict) and not stat.S_ISDIR(_mode(entry)):
                content = entry.get("object")
                facts = {**(content if isinstance(content, dict) else {}), "mode": entry.get("mode")}
                found[file] = validated(facts, Blob, response)
        return found

    return session.graphql(query, variables, read)


_MISSING = object()


def _field(file: FileRef, path: str) -> str:
    text = " isTruncated text" if file.with_text else ""
    return f"{path}:file(path:${path}){{mode object{{...on Blob{{oid byteSize isBinary{text}}}}}}}"


def _mode(entry: Mapping[str, Any]) -> int:
    mode = entry.get("mode")
    return mode if type(mode) is int and 0 <= mode < 2**32 else 0


def _by_rest(session: Session, refs: Sequence[FileRef]) -> dict[FileRef, Blob]:
    found = {}
    trees = {ref: _tree(session, ref) for ref in dict.fromkeys(file.ref for file in refs)}
    for file in refs:
        files, are_all = trees[file.ref]
        known = files.get(file.path, Blob())
        if not file.with_text or known.is_link or known.is_submodule or (are_all and file.path not in files):
            if known.oid:
                found[file] = known
            continue
        text = None
        try:
            text = read_file(session, file.path, file.ref)
        except NotText:
            pass
        except Refused as refused:
            # GitHub refuses one file (too large, blocked); the others may still be available.
            logger.info("file not available", extra={"repo": session.repo, "path": file.path, "error": str(refused)})
            continue
        if text is not None or known.oid:
            found[file] = known.model_copy(update={"text": text})
    return found


def _tree(session: Session, ref: str) -> tuple[dict[str, Blob], bool]:
    """The files of a commit without their texts, by path, and whether these are all: GitHub may not list them."""
    path = f"/repos/{session.repo}/git/trees/{quote(ref, safe='')}"
    try:
        tree = session.call("GET", path, parse_as(Tree), params={"recursive": "1"})
    except (Refused, Unavailable) as error:
        logger.info("tree not available", extra={"repo": session.repo, "ref": ref, "error": str(error)})
        return {}, False
    files = {file.path: Blob(oid=file.sha, byteSize=file.size, mode=int(file.mode, 8)) for file in tree.tree}
    return files, not tree.truncated


def _file_text(response: httpx.Response) -> str:
    """The text of a file. Raises `NotText`, also for a directory, which is a list."""
    answer = parse_json(response)
    if isinstance(answer, list):
        raise NotText
    return decoded(validated(answer, Content, response))
