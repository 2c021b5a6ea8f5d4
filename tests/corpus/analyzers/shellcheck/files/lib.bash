#!/bin/bash
# Functions for the other scripts.

readonly RED=$'\e[31m' RESET=$'\e[0m'

die() {
  echo "${RED}error:${RESET} $*" >&2
  exit 1
}

require() {
  local command
  for command in "$@"; do
    command -v "$command" > /dev/null || die "$command is not installed"
  done
}

confirm() {
  local answer
  read -r -p "$1 [y/N] " answer
  [[ $answer == [yY]* ]]
}

json_field() {
  local file=$1 field=$2
  jq -r --arg field "$field" '.[$field] // empty' "$file"
}

retry() {
  local tries=$1 i
  shift
  for ((i = 1; i <= tries; i++)); do
    "$@" && return 0
    sleep "$((i * 2))"
  done
  return 1
}
