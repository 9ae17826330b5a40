#!/usr/bin/python3
"""TAP: latchkeyctl policy. What it writes is a policy to the vault, holds for the claims of the guest
it was made for and for no other; a measurement is what a second implementation works out."""

import copy
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(ROOT, "tests", "unit"))
import measure_ref  # noqa: E402
import policy  # noqa: E402
import tap  # noqa: E402

CTL = os.path.join(ROOT, "build", "latchkeyctl")
ATTEST = "https://shared.weu.attest.azure.net"
M1, M2, HOST, IDKEY = "a1" * 48, "b2" * 48, "c3" * 32, "d4" * 48
SNP = {"iss": ATTEST, "x-ms-attestation-type": "sevsnpvm", "x-ms-sevsnpvm-is-debuggable": False,
       "x-ms-sevsnpvm-vmpl": 0, "x-ms-sevsnpvm-launchmeasurement": M1,
       "x-ms-sevsnpvm-hostdata": HOST, "x-ms-sevsnpvm-idkeydigest": IDKEY}
TEE = dict(SNP, **{"x-ms-compliance-status": "azure-compliant-cvm"})
GUEST = {"iss": ATTEST, "x-ms-attestation-type": "azurevm", "x-ms-isolation-tee": TEE}


def call(*args):
    """latchkeyctl policy ARGS."""
    return subprocess.run([CTL, "policy", *args], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False, timeout=60)


def document(t, name, *args):
    """A policy that the vault takes."""
    done = call("--attest", ATTEST, *args)
    if not t.equal(done.returncode, 0, name):
        raise AssertionError(done.stderr.decode())
    found = json.loads(done.stdout)
    policy.check(found)
    return found


def grants(document_, claims):
    """Would the vault release for these claims?"""
    return any(policy.met(c, claims) for c in policy.clauses_for(document_, claims["iss"]))


def changed(claims, name, value):
    """The same claims but one; None: without it."""
    out = copy.deepcopy(claims)
    if value is None:
        del out[name]
    else:
        out[name] = value
    return out


def snp(t):
    """Every pin of the SNP path holds."""
    full = document(t, "a policy with every pin", "--measurement", M1, "--host-data", HOST.upper(),
                    "--id-key-digest", IDKEY)
    t.ok(grants(full, SNP), "it holds for its guest")
    for name, value in (("x-ms-sevsnpvm-launchmeasurement", M2), ("x-ms-sevsnpvm-hostdata", "00" * 32),
                        ("x-ms-sevsnpvm-idkeydigest", M1), ("x-ms-sevsnpvm-is-debuggable", True),
                        ("x-ms-sevsnpvm-vmpl", 1), ("x-ms-attestation-type", "tdxvm"),
                        ("iss", "https://other.weu.attest.azure.net")):
        t.ok(not grants(full, changed(SNP, name, value)), "%s = %.20s is refused" % (name, value))
        if name != "iss":
            t.ok(not grants(full, changed(SNP, name, None)), "no %s is refused" % name)
    both = document(t, "two measurements", "--measurement", M1, "--measurement", M2)
    for value, good in ((M1, True), (M2, True), (IDKEY, False)):
        t.equal(grants(both, changed(SNP, "x-ms-sevsnpvm-launchmeasurement", value)), good,
                "measurement %.4s.." % value)
    loose = document(t, "a laboratory's policy", "--measurement", M1, "--debuggable", "yes", "--vmpl",
                     "any")
    t.ok(grants(loose, changed(changed(SNP, "x-ms-sevsnpvm-is-debuggable", True),
                               "x-ms-sevsnpvm-vmpl", 3)), "it takes a debuggable guest, any VMPL")
    uvm = document(t, "compliance instead of a measurement", "--compliance", "azure-compliant-uvm",
                   "--host-data", HOST)
    t.ok(not grants(uvm, SNP), "it wants the compliance status")
    t.ok(grants(uvm, changed(SNP, "x-ms-compliance-status", "azure-compliant-uvm")), "and takes it")


def vtpm(t):
    """The paravisor's claims, below x-ms-isolation-tee."""
    plain = document(t, "a policy for a vTPM guest", "--vtpm")
    t.ok(grants(plain, GUEST), "it holds for its guest")
    t.ok(not grants(plain, TEE), "it does not hold for the same claims at the top")
    for name, value in (("x-ms-compliance-status", "none"), ("x-ms-sevsnpvm-is-debuggable", True),
                        ("x-ms-attestation-type", "tdxvm")):
        t.ok(not grants(plain, changed(GUEST, "x-ms-isolation-tee", changed(TEE, name, value))),
             "%s = %s is refused" % (name, value))
    pinned = document(t, "with a measurement", "--vtpm", "--measurement", M2)
    t.ok(not grants(pinned, GUEST), "another measurement is refused")


def measure(t):
    """Files in, digest out; alone and inside a policy."""
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        def put(name, data):
            path = os.path.join(folder, name)
            with open(path, "wb") as f:
                f.write(data)
            return path

        case = {"vmm": "QEMU", "vcpus": 2, "sig": measure_ref.signature("EPYC-Milan"), "features": 1,
                "image": measure_ref.make_image(rng, 16, True), "firmware_digest": None,
                "kernel": rng.randbytes(123456), "initrd": rng.randbytes(54321),
                "append": "root=/dev/mapper/root quiet".encode()}
        fw, kernel, initrd = (put("fw", case["image"]), put("kernel", case["kernel"]),
                              put("initrd", case["initrd"]))
        base = ["--measure", "--ovmf", fw, "--vcpus", "2"]
        args = base + ["--kernel", kernel, "--initrd", initrd, "--append", case["append"].decode()]
        want = measure_ref.measure(case).hex()
        done = call(*args, "--vcpu-type", "EPYC-Milan")
        t.equal((done.stdout.decode(), done.stderr), (want + "\n", b""), "the measurement")
        done = call(*args, "--vcpu-sig", "0xA00F11", "--guest-features", "1")
        t.equal(done.stdout.decode(), want + "\n", "the same by signature")
        made = document(t, "a policy that measures", *args, "--vcpu-type", "EPYC-Milan",
                        "--measurement", M1)
        for value, good in ((want, True), (M1, True), (M2, False)):
            t.equal(grants(made, changed(SNP, "x-ms-sevsnpvm-launchmeasurement", value)), good,
                    "it %s %.4s.." % ("takes" if good else "refuses", value))
        done = call(*base, "--vcpu-type", "EPYC-Turin", "--guest-features", "0x21")
        case.update(kernel=None, initrd=None, append=None, features=0x21,
                    sig=measure_ref.signature("EPYC-Turin"))
        t.equal(done.stdout.decode(), measure_ref.measure(case).hex() + "\n", "the firmware alone")
        t.ok(b"covers the firmware alone" in done.stderr, "with a warning", done.stderr)
        done = call(*base, "--vmm", "ec2", "--ovmf-digest", M1, "--kernel", kernel)
        case.update(vmm="ec2", features=1, firmware_digest=bytes.fromhex(M1),
                    kernel=open(kernel, "rb").read())
        t.equal(done.stdout.decode(), measure_ref.measure(case).hex() + "\n", "ec2, digest given")
        files(t, base[:1] + base[3:] + ["--vcpu-type", "EPYC"], put, case["image"], folder)


def refused(t, status, words, *args):
    """One line on standard error with these words, nothing on standard output."""
    done = call(*args)
    text = done.stderr.decode().strip()
    good = done.returncode == status and not done.stdout and words in text and "\n" not in text
    t.ok(good, "refused: " + words, "%d %r %r" % (done.returncode, done.stdout, text))


def files(t, args, put, image, folder):
    """Files that are none."""
    bare = measure_ref.make_image(random.Random(3), 2, False)
    refused(t, 65, "no GUID table", "--ovmf", put("a", b"\0" * 4096), *args, "--kernel", put("k", b"k"))
    refused(t, 65, "not whole pages", "--ovmf", put("b", image[:-1]), *args, "--kernel", put("k", b""))
    refused(t, 65, "no page for kernel hashes", "--ovmf", put("c", bare), *args, "--kernel",
            put("k", b""))
    refused(t, 65, "no GUID table", "--ovmf", put("a", b"\0" * 4096), *args)
    refused(t, 71, "No such file", "--ovmf", os.path.join(folder, "missing"), *args)
    refused(t, 78, "not a regular file", "--ovmf", "/dev/null", *args)


def wrong_calls(t):
    """Each says what is missing."""
    milan = ["--vcpu-type", "EPYC-Milan"]
    for status, words, args in (
            (64, "give --attest", []),
            (64, "takes no operands", ["x", "--attest", ATTEST]),
            (64, "--measure needs --ovmf", ["--measure", "--vcpus", "1"]),
            (64, "needs --vcpus", ["--ovmf", "f", *milan]),
            (64, "needs --vcpu-type", ["--ovmf", "f", "--vcpus", "1"]),
            (64, "exclude each other", ["--ovmf", "f", "--vcpus", "1", *milan, "--vcpu-sig", "1"]),
            (64, "only with --kernel", ["--ovmf", "f", "--vcpus", "1", *milan, "--append", "x"]),
            (64, "paravisor", ["--ovmf", "f", "--vcpus", "1", *milan, "--vtpm", "--attest", ATTEST]),
            (64, "only with --measure", ["--attest", ATTEST, "--kernel", "f"]),
            (64, "pins belong", ["--ovmf", "f", "--vcpus", "1", *milan, "--host-data", HOST]),
            (64, "1 to 512", ["--vcpus", "513"]), (64, "1 to 512", ["--vcpus", "0"]),
            (64, "EPYC-Milan", ["--vcpu-type", "Opteron_G5"]),
            (64, "96 hexadecimal digits", ["--measurement", M1[:-1]]),
            (64, "64 hexadecimal digits", ["--host-data", "zz" * 32]),
            (64, "must be hexadecimal", ["--guest-features", "0x1g"]),
            (64, "1 to 8 hexadecimal", ["--vcpu-sig", "1" * 9]),
            (64, "0 to 3", ["--vmpl", "4"]), (64, "yes or no", ["--debuggable", "maybe"]),
            (64, "qemu, ec2 or gce", ["--vmm", "xen"]),
            (64, "without blanks", ["--compliance", "a b"]),
            (64, "more than 8 times", [w for _ in range(9) for w in ("--measurement", M1)]),
            (78, "nothing is pinned", ["--attest", ATTEST]),
            (78, "nothing is pinned", ["--attest", ATTEST, "--host-data", HOST])):
        refused(t, status, words, *args)


def main():
    """All groups."""
    t = tap.Tap()
    for group in (snp, vtpm, measure, wrong_calls):
        t.run(group.__name__, group)
    t.done()


if __name__ == "__main__":
    main()
