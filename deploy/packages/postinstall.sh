#!/bin/sh
# Makes the roles' user, and gives it the configuration to read. Starts, enables and restarts nothing: an upgrade has an
# order (setup, delivery and archivers, ingest last).
set -e

case "$1" in
  # dpkg: configure; rpm: the number of installed versions.
  configure | 1 | 2)
    systemd-sysusers chatting-server.conf
    chgrp chatting-server /etc/chatting-server /etc/chatting-server/chatting-server.toml
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload || true
    fi
    ;;
esac
