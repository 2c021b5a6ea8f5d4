"""Files of a repository at a commit or branch: by GraphQL, many in one query, or by REST, one by one."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import githubkit
import httpx

from reviews.github.app import AppClient
from reviews.github.connection import Connection, parse_json, validated
from reviews.github.errors import GraphQLUnavailable, Refused, Unavailable
from reviews.github.schemas import Blob, Content, decoded
from reviews.github.session import Session, graphql_repository

logger = logging.getLogger(__name__)

FILES_PER_QUERY = 101
"""Files per GraphQL query: a review of a hundred files, and one file of the base branch, takes one call."""


class FileRef(NamedTuple):
    """A file at a commit, or at the current commit of a branch."""

    ref: str
    path: str


def read_file(session: Session, path: str, ref: str) -> str | None:
    """Return a text file's content at `ref`; None if there is no such file."""
    try:
        return session.call("GET", f"/repos/{session.repo}/contents/{quote(path)}", _file_text, params={"ref": ref})
    except Refused as refused:
        if refused.status == 404:
            return None
        raise


def read_organisation_file(session: Session, path: str) -> str | None:
    """Return a text file of the owner's `.github` repository, on its default branch.

    None if there is no such file, or the App is not installed on that repository. Makes two calls: the first is for a
    token that can only read that repository.
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
    names = [f"e{index}" for index in range(len(refs))]
    declared = "".join(f",${name}:String!" for name in names)
    fields = " ".join(f"{name}:object(expression:${name}){{...on Blob{{text isTruncated}}}}" for name in names)
    query = f"query($owner:String!,$name:String!{declared}){{repository(owner:$owner,name:$name){{{fields}}}}}"
    owner, _, name = session.repo.partition("/")
    variables = {"owner": owner, "name": name}
    variables |= {alias: f"{file.ref}:{file.path}" for alias, file in zip(names, refs, strict=True)}

    def read(answer: Any, response: httpx.Response) -> dict[FileRef, Blob]:
        repository = graphql_repository(answer)
        if not repository.keys() >= set(names):
            raise GraphQLUnavailable("the answer lacks requested files")
        blobs = zip(refs, (repository[alias] for alias in names), strict=True)
        # Directories and submodules are objects without `text`.
        found = {file: blob for file, blob in blobs if isinstance(blob, dict) and "text" in blob}
        return {file: validated(blob, Blob, response) for file, blob in found.items()}

    return session.graphql(query, variables, read)


def _by_rest(session: Session, refs: Sequence[FileRef]) -> dict[FileRef, Blob]:
    found = {}
    for file in refs:
        try:
            text = read_file(session, file.path, file.ref)
        except Refused as refused:
            # GitHub refuses one file (too large, blocked); the others may still be available.
            logger.info("file not available", extra={"repo": session.repo, "path": file.path, "error": str(refused)})
            continue
        if text is not None:
            found[file] = Blob(text=text)
    return found


def _file_text(response: httpx.Response) -> str | None:
    """The text of a file; None if it is no text file, or a directory, which is a list."""
    answer = parse_json(response)
    return None if isinstance(answer, list) else decoded(validated(answer, Content, response))
