#!/usr/bin/python3
"""An Azure-like vTPM on swtpm.

  vtpm.py provision --state DIR --tpm TPMDIR [--hcl KIND] [--akcert FORM] ...
      prepares the TPM state in TPMDIR (made anew) like the paravisor does: attestation key at
      0x81000003, its certificate at NV 0x01C101D0, HCL report at NV 0x01400001.  DIR is the
      simulator's state directory; its certificate authorities are made there when missing.
  vtpm.py refresh --state DIR --tpm TPMDIR [--hcl KIND]
      writes a new HCL report with a freshly signed SNP report, keeping keys and the rest.
  vtpm.py serve --tpm TPMDIR --link PATH [--log FILE] [--fault SPEC]... [--pid-file FILE]
      in the foreground, stands in for /dev/tpmrm0: PATH becomes a link to a pty (relay.py).
  vtpm.py show --tpm TPMDIR
      prints what is in there.

TPMDIR holds plain swtpm state (tpm2-00.permall): `swtpm socket --tpm2 --tpmstate dir=TPMDIR ...`
gives the same TPM to QEMU.  One user at a time.
"""

import argparse
import os
import shutil
import sys

from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import amd  # noqa: E402
import hcl  # noqa: E402
import pki  # noqa: E402
import snp  # noqa: E402
import swtpm  # noqa: E402
import tpm2  # noqa: E402

NV_LIMIT = 2048         # what swtpm's TPM allows for one index
HCL_KINDS = ("good", "missing", "corrupt", "tdx", "badbind", "otherak", "trustedlaunch",
             "badsig", "debug", "staletcb", "nosecureboot")
AK_FORMS = ("padded", "exact", "missing", "expired", "fakeca", "otherkey")


def hcl_report(host, ak_public, kind, version=2):
    """The NV contents of the HCL report, good or spoiled in one way; None when there is none."""
    if kind == "missing":
        return None
    signer_key = pki.new_key("rsa").public_key() if kind == "otherak" else ak_public
    runtime = hcl.runtime_data(signer_key, NV_LIMIT - hcl.RUNTIME_AT, kind != "nosecureboot")
    bound = hcl.binding(runtime)
    if kind == "badbind":
        bound = hcl.binding(runtime + b" ")
    if kind in ("tdx", "trustedlaunch"):
        report = bytearray(1024)
        report[0], report[128:192] = 0x81, bound
        report = bytes(report) if kind == "tdx" else bytes(snp.SIZE)
        return hcl.build(report, runtime, hcl.TDX if kind == "tdx" else hcl.TVM)
    options = {"version": version}
    if kind == "badsig":
        options["key"] = ec.generate_private_key(ec.SECP384R1())
    if kind == "debug":
        options["policy"] = 0x3001F | snp.POLICY_DEBUG
    if kind == "staletcb":
        options["tcb"] = bytes([3, 0, 0, 0, 0, 0, 0x14, 0xD1])
    blob = hcl.build(snp.build(host, bound, **options), runtime)
    if kind == "corrupt":
        blob = blob[:4] + b"\xff" * 12 + blob[16:0x4C0] + b"\xff" * 20 + blob[0x4D4:]
    return blob


def ak_certificate(ca, ak_public, form):
    """The NV contents of the AK certificate index; None when there is none."""
    if form == "missing":
        return None
    public = pki.new_key("rsa").public_key() if form == "otherkey" else ak_public
    cert = ca.issue_ak(public, issuer="vtpm-fake-ca" if form == "fakeca" else "vtpm-ca",
                       days=(90, -1) if form == "expired" else (30, 365))
    data = pki.cert_der(cert)
    return data if form == "exact" else data.ljust(NV_LIMIT, b"\0")


def write_index(tpm, index, data):
    """Define an index with the size of its contents and fill it."""
    try:
        tpm.nv_undefine(index)
    except tpm2.TpmError:
        pass
    if data is not None:
        tpm.nv_define(index, len(data))
        tpm.nv_write(index, data)


def provision(state, tpmdir, kind="good", akcert="padded", extend=(), version=2):
    """Make a new vTPM in `tpmdir`; `extend` is a list of (PCR, 32-byte digest)."""
    ca, host = pki.Pki(state), amd.Amd(state)
    if os.path.exists(tpmdir):
        if any(not name.startswith("tpm2-00.") and name != ".lock" for name in os.listdir(tpmdir)):
            raise SystemExit("vtpm: %s holds other files than a TPM's state" % tpmdir)
        shutil.rmtree(tpmdir)
    with swtpm.Swtpm(tpmdir) as process:
        tpm = swtpm.Tpm(process)
        handle, public = tpm.create_primary(tpm2.RH_ENDORSEMENT, tpm2.ak_template())
        tpm.evict(handle, tpm2.AK_HANDLE)
        tpm.flush(handle)
        ak = tpm2.Public(public).key()
        write_index(tpm, tpm2.NV_AK_CERT, ak_certificate(ca, ak, akcert))
        write_index(tpm, tpm2.NV_HCL, hcl_report(host, ak, kind, version))
        for pcr, digest in extend:
            tpm.pcr_extend(pcr, digest)


def refresh(state, tpmdir, kind="good", version=2):
    """A new HCL report for an existing vTPM."""
    host = amd.Amd(state)
    with swtpm.Swtpm(tpmdir) as process:
        tpm = swtpm.Tpm(process)
        ak = tpm2.Public(tpm.read_public(tpm2.AK_HANDLE)).key()
        write_index(tpm, tpm2.NV_HCL, hcl_report(host, ak, kind, version))


def show(tpmdir):
    """Print what a guest would find."""
    with swtpm.Swtpm(tpmdir) as process:
        tpm = swtpm.Tpm(process)
        ak = tpm2.Public(tpm.read_public(tpm2.AK_HANDLE))
        print("AK    0x%08x  RSA-%d, attributes 0x%08x" % (tpm2.AK_HANDLE, ak.bits, ak.attributes))
        for label, index in (("cert", tpm2.NV_AK_CERT), ("HCL", tpm2.NV_HCL)):
            try:
                data = tpm.nv_read(index)
                print("%-5s 0x%08x  %d bytes, %d used" % (label, index, len(data),
                                                        len(data.rstrip(b"\0"))))
            except tpm2.TpmError as e:
                print("%-5s 0x%08x  %s" % (label, index, e))
        for pcr, value in zip(tpm2.PCRS, tpm.pcr_read()):
            print("PCR %d %s" % (pcr, value.hex()))


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("provision", "refresh", "serve", "show"):
        sub = verbs.add_parser(verb)
        sub.add_argument("--tpm", required=True, metavar="TPMDIR")
        if verb in ("provision", "refresh"):
            sub.add_argument("--state", required=True, metavar="DIR")
            sub.add_argument("--hcl", choices=HCL_KINDS, default="good")
            sub.add_argument("--report-version", type=int, choices=(2, 3, 5), default=2)
        if verb == "provision":
            sub.add_argument("--akcert", choices=AK_FORMS, default="padded")
        if verb == "serve":
            sub.add_argument("--link", required=True, metavar="PATH")
            sub.add_argument("--log", metavar="FILE")
            sub.add_argument("--pid-file", metavar="FILE")
            sub.add_argument("--fault", action="append", default=[], metavar="SPEC",
                             help="COMMAND[#N]:ACTION, see relay.py")
    args = parser.parse_args()
    tpmdir = os.path.realpath(args.tpm)
    if args.verb == "provision":
        provision(args.state, tpmdir, args.hcl, args.akcert, version=args.report_version)
    elif args.verb == "refresh":
        refresh(args.state, tpmdir, args.hcl, args.report_version)
    elif args.verb == "show":
        show(tpmdir)
    else:
        import relay
        relay.serve(tpmdir, args.link, args.log, args.fault, args.pid_file)


if __name__ == "__main__":
    main()
