#!/bin/sh
# Gives the instance a host key that was in nobody's user-data. `make` prints the new public key, the same one however
# often it is asked; `use` puts it in place. Connections that are open stay open.
# Usage: rekey.sh make|use
set -eu
current=/etc/ssh/ssh_host_ed25519_key
fresh=/etc/ssh/efsprov_host_key

case $1 in
make)
    if [ ! -e "$fresh.pub" ]; then
        umask 077
        rm -f "$fresh"
        ssh-keygen -q -t ed25519 -N '' -C '' -f "$fresh"
    fi
    cat "$fresh.pub"
    ;;
use)
    if [ "$(cat "$current.pub")" != "$(cat "$fresh.pub")" ]; then
        cp -p "$fresh" "$current.new"
        chgrp --reference="$current" "$current.new"
        chmod --reference="$current" "$current.new"
        mv "$current.new" "$current"
        cp "$fresh.pub" "$current.pub"
    fi
    systemctl reload sshd
    ;;
esac
