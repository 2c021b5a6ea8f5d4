#!/bin/bash
# Sourced by the others.
export APP_ENV=${APP_ENV:-development}
export PATH="$HOME/.local/bin:$PATH"
LOG_LEVEL=info
REGIONS="eu-west-1 us-east-1"
SECRET=`cat /run/secrets/app`
alias ll='ls -l'
