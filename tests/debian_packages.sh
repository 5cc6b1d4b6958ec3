#!/bin/sh
# The Debian packages the end-to-end tests use: Chromium for the browser tests, Janus for those of an SFU, Redis and
# HAProxy for those of several nodes.
# Installed where root; tests that miss one are skipped and say so.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v janus >/dev/null 2>&1 || missing="$missing janus"
command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
command -v redis-server >/dev/null 2>&1 || missing="$missing redis-server"
command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not installed, and its tests will be skipped:$missing (as root: apt-get install$missing)"
    exit 0
fi
echo "installing$missing with apt-get ..."
apt-get update -qq >/dev/null 2>&1 || true
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
    echo "could not install$missing; its tests will be skipped"
