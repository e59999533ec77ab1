#!/bin/sh
# Makes the instance a builder: installs the target's Python and the EFS mount helper, and mounts the file system with
# TLS and IAM. What goes on is in /run/efsprov/status, one line: "ready", "failed: why", or what is being done.
# Usage: prepare.sh USER MOUNT_POINT FOLDER FILE_SYSTEM ACCESS_POINT|- PACKAGE...
set -u
user=$1 mount_point=$2 folder=$3 file_system=$4 access_point=$5 mount_target=$6
shift 6
status=/run/efsprov/status
log=/run/efsprov/prepare.log

say() {
    printf '%s\n' "$*" >"$status.new"
    chmod 0644 "$status.new"
    mv "$status.new" "$status"
    echo "efsprov: $*"
}

fail() {
    say "failed: $* ($(tail -n 3 "$log" | tr '\n' ' '))"
    exit 1
}

# Mirrors are busy, and the first mount of a new mount target may time out: neither is a reason to give up.
several_times() {
    wait=2
    for attempt in 1 2 3 4 5; do
        if "$@" >>"$log" 2>&1; then
            return 0
        fi
        echo "attempt $attempt of '$*' failed" >>"$log"
        sleep "$wait"
        wait=$((wait * 2))
    done
    return 1
}

mkdir -p /run/efsprov
: >"$log"
say "installing $*"
several_times dnf -y -q install "$@" || fail "the packages $* cannot be installed"

# What an earlier release has is linked. With this protection Linux asks the server for permission (ACCESS) before each
# link to a file; it guards users of one machine from each other, and this one has no others.
sysctl -q -w fs.protected_hardlinks=0 >>"$log" 2>&1 || true # without it links only take longer

say "mounting $file_system"
options=tls,iam
if [ "$access_point" != - ]; then
    options="$options,accesspoint=$access_point"
fi
# The mount helper finds the mount target by the VPC's DNS. Where that is off, or a company's resolver answers, it does not:
# the address needs none (efs-utils' README, "mounttargetip").
if [ "$mount_target" != - ]; then
    options="$options,mounttargetip=$mount_target"
fi
mkdir -p "$mount_point"
several_times mount -t efs -o "$options" "$file_system:/" "$mount_point" || fail "$file_system cannot be mounted"

if [ ! -d "$folder" ]; then
    mkdir -p "$folder" >>"$log" 2>&1 || fail "the folder $folder cannot be made"
    chown "$user" "$folder" >>"$log" 2>&1 # an access point gives it to its own user whoever asks
fi
runuser -u "$user" -- test -w "$folder" || fail "$user may not write to $folder: use an access point, or another folder"
say ready
