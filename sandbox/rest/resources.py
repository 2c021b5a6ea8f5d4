"""Repositories, pull requests and files as GitHub shows them. Source of the fields: GitHub's OpenAPI description."""

from urllib.parse import quote

from sandbox.app import WEB_URL, Json, account, installation_id, node_id
from sandbox.state.diffs import ChangedFile, FileStatus
from sandbox.state.repository import PullRequest, Repository

REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")

_REPOSITORY_LINKS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def repository(repo: Repository, *, fork_of_owner: str | None = None) -> Json:
    """Return a full repository. `fork_of_owner` makes it that account's fork, with another id and name."""
    owner = fork_of_owner or repo.owner
    full_name = f"{owner}/{repo.name}"
    number = installation_id(full_name) if fork_of_owner else repo.id
    url = f"{repo.app.api_url}/repos/{full_name}"
    return {
        "id": number,
        "node_id": node_id("R", number),
        "name": repo.name,
        "full_name": full_name,
        "private": repo.private,
        "owner": account(owner, repo.app.api_url),
        "html_url": f"{WEB_URL}/{full_name}",
        "description": None,
        "fork": fork_of_owner is not None,
        "url": url,
        **{name: url + path for name, path in _REPOSITORY_LINKS.items()},
        "created_at": repo.created_at,
        "updated_at": repo.created_at,
        "pushed_at": repo.created_at,
        "git_url": f"git://github.com/{full_name}.git",
        "ssh_url": f"git@github.com:{full_name}.git",
        "clone_url": f"{WEB_URL}/{full_name}.git",
        "svn_url": f"{WEB_URL}/{full_name}",
        "mirror_url": None,
        "homepage": None,
        "size": 1,
        "stargazers_count": 0,
        "watchers_count": 0,
        "watchers": 0,
        "language": None,
        "has_issues": True,
        "has_projects": True,
        "has_downloads": True,
        "has_wiki": True,
        "has_pages": False,
        "has_discussions": False,
        "forks_count": 0,
        "forks": 0,
        "archived": False,
        "disabled": False,
        "open_issues_count": len(repo.pulls),
        "open_issues": len(repo.pulls),
        "license": None,
        "allow_forking": True,
        "is_template": False,
        "web_commit_signoff_required": False,
        "topics": [],
        "visibility": "private" if repo.private else "public",
        "default_branch": repo.default_branch,
    }


def pull_request(pull: PullRequest) -> Json:
    """Return a full pull request, as the REST API and webhooks show it."""
    repo, api_url = pull.repository, pull.app.api_url
    issue_url = f"{api_url}/repos/{repo.full_name}/issues/{pull.number}"
    statuses_url = f"{api_url}/repos/{repo.full_name}/statuses/{pull.head_sha}"
    files = pull.files()
    base_repo = repository(repo)
    head_owner = pull.author if pull.fork else repo.owner
    head_repo = repository(repo, fork_of_owner=pull.author) if pull.fork else base_repo
    links = {
        "self": pull.api_url,
        "html": pull.html_url,
        "issue": issue_url,
        "comments": f"{issue_url}/comments",
        "review_comments": f"{pull.api_url}/comments",
        "review_comment": f"{api_url}/repos/{repo.full_name}/pulls/comments{{/number}}",
        "commits": f"{pull.api_url}/commits",
        "statuses": statuses_url,
    }
    return {
        "url": pull.api_url,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "html_url": pull.html_url,
        "diff_url": f"{pull.html_url}.diff",
        "patch_url": f"{pull.html_url}.patch",
        "issue_url": issue_url,
        "number": pull.number,
        "state": pull.state,
        "locked": pull.locked,
        "title": pull.title,
        "user": account(pull.author, api_url),
        "body": pull.body,
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.closed_at if pull.merged else None,
        "merge_commit_sha": pull.base_sha if pull.merged else None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [account(login, api_url) for login in pull.requested_reviewers],
        "requested_teams": [],
        "labels": [label(repo, name) for name in pull.labels],
        "milestone": None,
        "draft": pull.draft,
        "commits_url": links["commits"],
        "review_comments_url": links["review_comments"],
        "review_comment_url": links["review_comment"],
        "comments_url": links["comments"],
        "statuses_url": statuses_url,
        "head": {
            "label": f"{head_owner}:{pull.head_ref}",
            "ref": pull.head_ref,
            "sha": pull.head_sha,
            "user": account(head_owner, api_url),
            "repo": head_repo,
        },
        "base": {
            "label": f"{repo.owner}:{pull.base_ref}",
            "ref": pull.base_ref,
            "sha": pull.base_sha,
            "user": account(repo.owner, api_url),
            "repo": base_repo,
        },
        "_links": {name: {"href": href} for name, href in links.items()},
        "author_association": pull.author_association,
        "auto_merge": None,
        "active_lock_reason": None,
        "merged": pull.merged,
        "mergeable": None if pull.merged else True,
        "rebaseable": None if pull.merged else True,
        "mergeable_state": "unknown" if pull.merged else "clean",
        "merged_by": account(repo.owner, api_url) if pull.merged else None,
        "comments": len(pull.comments),
        "review_comments": len(pull.review_comments),
        "maintainer_can_modify": False,
        "commits": len(repo.store.commits_between(pull.base_sha, pull.head_sha)),
        "additions": sum(file.additions for file in files),
        "deletions": sum(file.deletions for file in files),
        "changed_files": len(files),
    }


def label(repo: Repository, name: str) -> Json:
    """Return a label of a repository."""
    number = installation_id(f"label {repo.full_name} {name}")
    return {
        "id": number,
        "node_id": node_id("LA", number),
        "url": f"{repo.app.api_url}/repos/{repo.full_name}/labels/{quote(name)}",
        "name": name,
        "color": "ededed",
        "default": False,
        "description": None,
    }


def changed_file(repo: Repository, base_sha: str, head_sha: str, file: ChangedFile) -> Json:
    """Return an entry of "List pull requests files", without `patch` and `previous_filename` where there is none."""
    full_name = repo.full_name
    sha = base_sha if file.status is FileStatus.REMOVED else head_sha
    path = quote(file.path)
    entry: Json = {
        "sha": file.oid,
        "filename": file.path,
        "status": file.status.value,
        "additions": file.additions,
        "deletions": file.deletions,
        "changes": file.additions + file.deletions,
        "blob_url": f"{WEB_URL}/{full_name}/blob/{sha}/{quote(file.path, safe='')}",
        "raw_url": f"{WEB_URL}/{full_name}/raw/{sha}/{quote(file.path, safe='')}",
        "contents_url": f"{repo.app.api_url}/repos/{full_name}/contents/{path}?ref={sha}",
    }
    if file.patch is not None:
        entry["patch"] = file.patch
    if file.previous_path is not None:
        entry["previous_filename"] = file.previous_path
    return entry


def issue(pull: PullRequest) -> Json:
    """Return a pull request as an issue, as Search and the webhook `issue_comment` show it."""
    repo, api_url = pull.repository, pull.app.api_url
    url = f"{api_url}/repos/{repo.full_name}/issues/{pull.number}"
    return {
        "url": url,
        "repository_url": f"{api_url}/repos/{repo.full_name}",
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": pull.html_url,
        "id": pull.id,
        "node_id": node_id("PR", pull.id),
        "number": pull.number,
        "title": pull.title,
        "user": account(pull.author, api_url),
        "labels": [label(repo, name) for name in pull.labels],
        "state": pull.state,
        "locked": pull.locked,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(pull.comments),
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "author_association": pull.author_association,
        "active_lock_reason": None,
        "draft": pull.draft,
        "pull_request": {
            "url": pull.api_url,
            "html_url": pull.html_url,
            "diff_url": f"{pull.html_url}.diff",
            "patch_url": f"{pull.html_url}.patch",
            "merged_at": pull.closed_at if pull.merged else None,
        },
        "body": pull.body,
        "reactions": no_reactions(url),
        "performed_via_github_app": None,
        "state_reason": None,
    }


def no_reactions(url: str) -> Json:
    """Return the `reactions` of a comment or issue that has none."""
    return {"url": f"{url}/reactions", "total_count": 0, **dict.fromkeys(REACTIONS, 0)}
