#!/bin/sh
# initqueue/settled hook of an image without systemd, sourced by dracut about twice a second.
#
# It starts `latchkey unlock` once, in the background, and keeps dracut's job that asks for the passphrase aside until
# that has ended. Not from initqueue/online: that hook comes once for each interface, with some versions of
# NetworkManager never, and without a network not at all; latchkey waits for a route itself, and meanwhile it talks to
# the TPM. Its deadline ends the waiting, and then the prompt appears.

# Seconds, behind latchkey's own deadline, for the case that the deadline itself fails.
_latchkey_last_resort=300
_latchkey_run=/run/latchkey
# hookdir is dracut's
# shellcheck disable=SC2154
_latchkey_jobs=$hookdir/initqueue/settled
_latchkey_parked=$hookdir/initqueue/latchkey

_latchkey_uptime() {
    read -r _uptime _ < /proc/uptime
    echo "${_uptime%%.*}"
}

_latchkey_start() {
    (umask 077 && mkdir -p "$_latchkey_run")
    mkdir -p "$_latchkey_parked"
    _latchkey_uptime > "$_latchkey_run/unlock-began"
    # A guest that owns its SNP device: its driver, and the file system through which reports are asked for.
    { modprobe -q sev-guest && mount -t configfs configfs /sys/kernel/config; } > /dev/null 2>&1
    (
        /usr/bin/latchkey unlock < /dev/null &
        echo $! > "$_latchkey_run/unlock-pid"
        wait $! || echo "latchkey: not every volume was opened: the passphrase is asked for"
        : > "$_latchkey_run/unlock-done"
    ) &
}

# dracut's job for a device is named after it (parse-crypt.sh).
_latchkey_park() {
    for _conf in /etc/latchkey/*.conf; do
        _uuid=$(sed -n 's/^[[:space:]]*uuid[[:space:]]*=[[:space:]]*//p' "$_conf")
        if [ -z "$_uuid" ] || [ ! -e "/dev/disk/by-uuid/$_uuid" ]; then continue; fi
        _device=$(readlink -f "/dev/disk/by-uuid/$_uuid")
        _job=cryptroot-ask-${_device##*/}.sh
        [ ! -e "$_latchkey_jobs/$_job" ] || mv "$_latchkey_jobs/$_job" "$_latchkey_parked/$_job"
    done
}

_latchkey_wait() {
    _latchkey_park
    # dracut's loop counter: what it gives up by does not run while the deadline does
    # shellcheck disable=SC2034
    main_loop=0
    read -r _began < "$_latchkey_run/unlock-began"
    if [ $(($(_latchkey_uptime) - _began)) -gt "$_latchkey_last_resort" ]; then
        read -r _pid < "$_latchkey_run/unlock-pid"
        kill -KILL "$_pid"
    fi
}

# Where a volume is open by now, the job sees that itself and asks nothing.
_latchkey_unpark() {
    for _job in "$_latchkey_parked"/*.sh; do
        [ ! -e "$_job" ] || mv "$_job" "$_latchkey_jobs/"
    done
}

[ -e "$_latchkey_run/unlock-began" ] || _latchkey_start
if [ -e "$_latchkey_run/unlock-done" ]; then
    _latchkey_unpark
else
    _latchkey_wait
fi
