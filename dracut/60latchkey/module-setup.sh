#!/bin/bash
# dracut module: what latchkey needs in an initramfs, with systemd in it or without (dracut 059 and dracut-ng).
#
# Settings, for a file in /etc/dracut.conf.d (the defaults suit an installed latchkey):
#   latchkey_network=no        do not pull the network module in: something else brings the network up
#   latchkey_confdir=DIR       configuration folder to take                  (/etc/latchkey)
#   latchkey_crypttab=FILE     crypttab to take the volumes from             (/etc/crypttab)
#   latchkey_bin=FILE          the program                                   (/usr/bin/latchkey)
#   latchkey_unitdir=DIR       where latchkey.socket and latchkey@.service are

# A module's functions see dracut's variables; the linter does not.
# shellcheck disable=SC2154

_latchkey_socket=/run/latchkey/key.sock

_latchkey_settings() {
    _latchkey_bin=${latchkey_bin:-$dracutsysrootdir/usr/bin/latchkey}
    _latchkey_confdir=${latchkey_confdir:-$dracutsysrootdir/etc/latchkey}
    _latchkey_crypttab=${latchkey_crypttab:-$dracutsysrootdir/etc/crypttab}
    _latchkey_unitdir=${latchkey_unitdir:-$dracutsysrootdir${systemdsystemunitdir:-/usr/lib/systemd/system}}
}

# Will the image run systemd? While dependencies are collected dracut cannot tell yet.
_latchkey_with_systemd() {
    local _module
    for _module in systemd dracut-systemd; do
        [[ " $omit_dracutmodules " != *" $_module "* ]] || return 1
    done
    [[ -x $dracutsysrootdir${systemdutildir:-/usr/lib/systemd}/systemd ]]
}

# The crypttab lines whose key comes from our socket.
_latchkey_volumes() {
    [[ -r $_latchkey_crypttab ]] || return 0
    awk -v socket="$_latchkey_socket" '$1 !~ /^#/ && $3 == socket' "$_latchkey_crypttab"
}

# Does a LUKS volume that this host boots from carry a binding?
_latchkey_bound_here() {
    local _dev
    for _dev in "${!host_fs_types[@]}"; do
        [[ ${host_fs_types[$_dev]} == crypto_LUKS ]] || continue
        cryptsetup luksDump "$_dev" 2> /dev/null \
            | grep -q '^[[:space:]]*[0-9]\+: latchkey$' && return 0
    done
    return 1
}

# The value of a setting ("name = value") in a configuration file.
_latchkey_setting() {
    sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" "$2" | sed 's/[[:space:]]*$//'
}

# The files that the configuration names: trust anchors (latchkey's default where it names none) and init-data.
_latchkey_named_files() {
    local _conf _file
    for _conf in "$_latchkey_confdir"/*.conf; do
        [[ -f $_conf ]] || continue
        _file=$(_latchkey_setting trust "$_conf")
        printf '%s\n' "${_file:-/etc/ssl/certs/ca-certificates.crt}"
        _latchkey_setting init-data "$_conf"
    done | sort -u
}

# called by dracut
check() {
    _latchkey_settings
    if [[ ! -x $_latchkey_bin ]]; then
        derror "latchkey: $_latchkey_bin is not there"
        return 1
    fi
    require_binaries awk sed || return 1

    if [[ $hostonly ]] || [[ $mount_needs ]]; then
        _latchkey_bound_here && return 0
        return 255
    fi
    return 0
}

# called by dracut
depends() {
    local _deps="crypt"

    _latchkey_with_systemd && _deps+=" systemd dracut-systemd"
    # split off from crypt in dracut-ng 103; unknown to dracut 059
    if _latchkey_with_systemd && declare -F dracut_module_path > /dev/null && [[ -d $(dracut_module_path systemd-cryptsetup) ]]; then
        _deps+=" systemd-cryptsetup"
    fi
    [[ ${latchkey_network:-yes} == no ]] || _deps+=" network"
    echo "$_deps"
}

# called by dracut
cmdline() {
    [[ ${latchkey_network:-yes} == no ]] && return 0
    _latchkey_bound_here && printf '%s' " rd.neednet=1"
    return 0
}

# called by dracut
installkernel() {
    # Built in on some kernels, absent on others: a missing one is no error.
    hostonly='' instmods "=drivers/char/tpm"
    # For guests that own their SNP device: its driver, and configfs-tsm, through which Linux 6.7 and later give
    # reports. latchkey.socket has both loaded and configfs mounted.
    hostonly='' instmods sev-guest tsm configfs
    hostonly='' instmods hv_vmbus hv_storvsc hv_netvsc pci-hyperv mana hv_utils
    hostonly='' instmods dm_crypt algif_skcipher
    # An authenticated volume is dm-crypt over dm-integrity, with a composed cipher that dm-crypt asks for by name.
    hostonly='' instmods dm_integrity authenc hmac sha256_generic gcm aegis128 chacha20poly1305
    return 0
}

_latchkey_install_config() {
    local _file _from

    for _file in "$_latchkey_confdir"/*.conf; do
        [[ -f $_file ]] || continue
        inst_simple "$_file" "/etc/latchkey/${_file##*/}"
    done

    while IFS= read -r _file; do
        case $_file in
            /etc/latchkey/*) _from=$_latchkey_confdir/${_file#/etc/latchkey/} ;;
            /*) _from=$dracutsysrootdir$_file ;;
            *)
                derror "latchkey: $_file, which the configuration names, is not an absolute path"
                return 1
                ;;
        esac
        if [[ ! -r $_from ]]; then
            derror "latchkey: $_from, which the configuration names, cannot be read; the volume would not unlock"
            return 1
        fi
        inst_simple "$_from" "$_file"
    done < <(_latchkey_named_files)
}

# A host-only image takes crypttab over by itself (module crypt). A generic one does not, so our lines go in here.
_latchkey_install_crypttab() {
    local _line
    [[ $hostonly ]] && return 0
    mkdir -p "$initdir/etc"
    while IFS= read -r _line; do
        grep -qxF -- "$_line" "$initdir/etc/crypttab" 2> /dev/null || printf '%s\n' "$_line" >> "$initdir/etc/crypttab"
    done < <(_latchkey_volumes)
}

_latchkey_install_units() {
    inst_simple "$_latchkey_unitdir/latchkey.socket" "$systemdsystemunitdir/latchkey.socket"
    inst_simple "$_latchkey_unitdir/latchkey@.service" "$systemdsystemunitdir/latchkey@.service"
    $SYSTEMCTL -q --root "$initdir" add-wants sockets.target latchkey.socket
    # What latchkey.socket wants; dracut 059 has them in every image, which is not promised.
    inst_multiple -o "$systemdsystemunitdir"/modprobe@.service "$systemdsystemunitdir"/sys-kernel-config.mount
}

# called by dracut
install() {
    _latchkey_settings

    inst_simple "$_latchkey_bin" /usr/bin/latchkey
    if dracut_module_included systemd; then
        _latchkey_install_units
    else
        inst_multiple mkdir mount mv readlink sed
        inst_hook initqueue/settled 05 "$moddir/latchkey-settled.sh"
    fi
    inst_hook initqueue/timeout 90 "$moddir/timeout.sh"

    _latchkey_install_config || return 1
    _latchkey_install_crypttab

    if [[ $hostonly_cmdline == yes ]]; then
        local _cmdline
        _cmdline=$(cmdline)
        [[ $_cmdline ]] && printf '%s\n' "$_cmdline" >> "$initdir/etc/cmdline.d/60latchkey.conf"
    fi
    return 0
}
