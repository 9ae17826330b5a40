#!/bin/sh
# initqueue/timeout hook, sourced by dracut once two thirds of rd.retry are over.
#
# rd.neednet=1 makes dracut's queue wait for a network, and the root is mounted only behind that queue. Where there is
# no network to be had, dracut would end the boot ("Could not boot") in two situations that are none of the kind:
# latchkey is about to give up and the passphrase prompt to appear; or somebody has typed the passphrase already and
# nothing needs the network any more. Neither branch can last: a key request ends by latchkey's deadline (and by the
# RuntimeMaxSec of latchkey@.service). Without systemd the first is latchkey-settled.sh's.

_latchkey_volumes_open() {
    while read -r _name _device _key _; do
        [ "$_key" = /run/latchkey/key.sock ] || continue
        [ -e "/dev/mapper/$_name" ] || return 1
    done < /etc/crypttab
}

if [ -n "$DRACUT_SYSTEMD" ] && systemctl --quiet is-active 'latchkey@*.service'; then
    # dracut's loop counter; zero is how a timeout hook asks for more time
    # shellcheck disable=SC2034
    main_loop=0
elif [ -z "$netroot" ] && [ -r /etc/crypttab ] && _latchkey_volumes_open; then
    # hookdir is dracut's
    # shellcheck disable=SC2154
    for _wait in "$hookdir"/initqueue/finished/wait-*.sh; do
        [ -f "$_wait" ] || continue
        case $(cat "$_wait") in
            */tmp/net.*.did-setup*)
                warn "latchkey: the volumes are open, not waiting for the network any longer"
                rm -f -- "$_wait"
                ;;
        esac
    done
fi
