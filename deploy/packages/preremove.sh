#!/bin/sh
# Stops the roles when the package goes, not when it is upgraded.
set -e

case "$1" in
  # dpkg: remove; rpm: no version stays.
  remove | 0)
    if [ -d /run/systemd/system ]; then
      for role in ingest delivery archiver; do
        systemctl disable --now "chatting-server-$role.service" || true
      done
    fi
    ;;
esac
