#!/usr/bin/env bash
# Deploys a build to the given environment.
set -euo pipefail

environment=${1:?usage: deploy.sh ENVIRONMENT [VERSION]}
version=${2:-$(git describe --tags)}
release_dir=/srv/app/releases/$version

log() {
  printf '%s %s\n' "$(date +%T)" "$*" >&2
}

upload() {
  local archive=$1
  scp $archive "deploy@$environment.example.com:/tmp/"
  ssh "deploy@$environment.example.com" "mkdir -p $release_dir && tar -xzf /tmp/$(basename "$archive") -C $release_dir"
}

cleanup() {
  cd /srv/app/releases
  rm -rf "$OLD_DIR/"*
}

main() {
  log "deploying $version to $environment"
  archive=$(mktemp --suffix=.tar.gz)
  trap 'rm -f "$archive"' EXIT
  git archive --format=tar.gz -o "$archive" "$version"
  upload "$archive"
  if [ $? -ne 0 ]; then
    log "failed"
    exit 1
  fi
  log "done"
}

main "$@"
