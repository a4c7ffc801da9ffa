#!/bin/sh
# The user and the secrets stay, except when Debian's purge asks for everything to go.
set -e

case "$1" in
  purge)
    rm -rf /etc/chatting-server
    ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
fi
