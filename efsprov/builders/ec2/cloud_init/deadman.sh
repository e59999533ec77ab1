#!/bin/sh
# Powers the instance off when its time is up, or when nobody has renewed the lease for too long: an instance whose
# orchestrator is gone ends by itself, and EC2 terminates what powers itself off. Nothing but the kernel's uptime is
# trusted: the clock may still be set while this runs. A lease that says "keep" holds until the time is up.
# Usage: deadman.sh SECONDS_IN_ALL SECONDS_WITHOUT_LEASE SECONDS_BETWEEN_LOOKS
set -u
limit=$1 patience=$2 pause=$3
lease=/run/efsprov/lease

uptime_seconds() { cut -d. -f1 /proc/uptime; }
renewed() { stat -c %y "$lease" 2>/dev/null; }

power_off() {
    echo "efsprov: $1: powering off" | tee /run/efsprov/off >/dev/console 2>&1
    systemctl poweroff --force
    sleep 60
    # a mount whose server is gone can hold up an orderly end
    systemctl poweroff --force --force
    sleep 60
}

if [ ! -e "$lease" ]; then
    : >"$lease"
    chmod 0666 "$lease"
fi
start=$(uptime_seconds) seen_at=$start seen=$(renewed)
while sleep "$pause"; do
    now=$(uptime_seconds) current=$(renewed)
    if [ "$current" != "$seen" ]; then
        seen=$current seen_at=$now
    fi
    if [ $((now - start)) -ge "$limit" ]; then
        power_off "the time of this builder is up"
    elif [ $((now - seen_at)) -ge "$patience" ] && ! grep -q keep "$lease"; then
        power_off "nobody has asked for this builder in $patience seconds"
    fi
done
