#!/bin/sh
# base.sh TAR: what debian:bookworm-slim holds, made from Debian's archive: the essential packages
# and apt, without the documentation and translations that `slim` leaves out. (/usr is merged from
# the start, because the package that would merge it later needs all of Perl.)
set -eu
mirror=http://deb.debian.org/debian
mmdebstrap --quiet --variant=minbase \
  --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/man/*' \
  bookworm "$1" \
  "deb $mirror bookworm main" "deb $mirror bookworm-updates main" \
  "deb $mirror-security bookworm-security main"
