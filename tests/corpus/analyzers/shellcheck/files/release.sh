#!/usr/bin/env bash
set -euo pipefail
source ./lib.bash

VERSION=$1
BRANCH=$(git rev-parse --abbrev-ref HEAD)

[[ $BRANCH == main ]] || die "not on main"
require git gh

git diff --quiet || die "there are changes"

sed -i "s/^version = .*/version = \"$VERSION\"/" pyproject.toml
git commit -am "Release $VERSION"
git tag -a "v$VERSION" -m "Release $VERSION"

if confirm "push?"; then
  git push origin $BRANCH --tags
fi

notes=$(git log --format='* %s' $(git describe --tags --abbrev=0 HEAD^)..HEAD)
gh release create "v$VERSION" --notes "$notes" dist/*
