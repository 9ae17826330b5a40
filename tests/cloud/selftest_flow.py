"""The whole flow with swtpm, for every key, `enc` form and service; bad vTPMs; the relay."""

import os
import signal
import ssl
import subprocess
import sys
import time

import jose
import keys
import names
import refclient
import relay
import release
import swtpm
import tpm2
import vtpm


def token_of(env, tpm, parts, handle, **more):
    """Attest and open the envelope with the TPM."""
    answer = refclient.attest(env.ca, refclient.attestation_info(parts), **more)
    if answer.status != 200:
        return answer, None
    session = tpm.policy_session(tpm2.pcr_digest(parts["pcrs"]))
    return answer, refclient.open_envelope(answer.json["token"], lambda data: tpm.rsa_decrypt(
        handle, session, data, refclient.RSAES))


def bearer_for(host):
    """A token for the service under this host name."""
    return refclient.bearer(names.resource_of(host)).json["access_token"]


def releases(t, env, tpm, parts, handle, jwt):
    """Each key from each service, and each `enc` form."""
    store = keys.Store(env.state)
    for service, host in (("vault", names.VAULT_HOST), ("hsm", names.HSM_HOST)):
        access = bearer_for(host)
        for key in list(keys.KINDS) + ["nested"]:
            answer = refclient.release(env.ca, jwt, access, key, host)
            if not t.equal(answer.status, 200, "%s releases %s" % (service, key)):
                print("#", answer.body[:300])
                continue
            payload, sealed = refclient.released(answer)
            data = refclient.unwrap_with_tpm(tpm, handle, parts["pcrs"], sealed)
            label = store.find(service, key)[1]["material"]
            t.equal(data, store.material.export(label), "%s: the TPM unwraps %s" % (service, key))
            oddity = {"vault": "-HSM", "hsm": ""}[service]
            jwk = payload["response"]["key"]["key"]
            kind = keys.KINDS.get(key, "RSA")
            t.equal((jwk["kty"], jwk.get("e")), (kind + oddity, {
                "vault": "AAEAAQ", "hsm": "AQAB"}[service] if kind == "RSA" else None),
                "%s: spelling of kty and e for %s" % (service, key))
        for enc in (None, "RSA_AES_KEY_WRAP_384", "CKM_RSA_AES_KEY_WRAP"):
            answer = refclient.release(env.ca, jwt, access, "oct256", host, "7.6", enc=enc)
            payload, sealed = refclient.released(answer)
            data = refclient.unwrap_with_tpm(tpm, handle, parts["pcrs"], sealed)
            t.equal((data, payload["request"]["enc"]),
                    (store.material.export("oct256-1"), enc or release.DEFAULT_ENC),
                    "%s: enc %s" % (service, enc))
    for version in ("7.3", "7.5", "2025-07-01"):
        answer = refclient.release(env.ca, jwt, bearer_for(names.VAULT_HOST), version=version)
        t.equal(answer.status, 200, "api-version %s" % version)
    for host in ("demo-vault.vault.azure.cn", "demo-hsm.managedhsm.usgovcloudapi.net"):
        answer = refclient.release(env.ca, jwt, bearer_for(host), host=host)
        t.equal(answer.status, 200, "sovereign cloud: %s" % host)
    current = store.find("vault", "rsa2048")[1]["id"]
    answer = refclient.release(env.ca, jwt, bearer_for(names.VAULT_HOST), "rsa2048/" + current)
    jws = jose.Jws(answer.json["value"])
    chain = [jose.un64(c) for c in jws.header["x5c"]]
    t.ok(len(chain) == 3 and jws.payload and "x5t" in jws.header, "vault: x5c has three")


def whole_flow(t, env, tpmdir):
    """Attestation and release with a TPM."""
    vtpm.provision(env.state, tpmdir)
    with swtpm.Swtpm(tpmdir) as process:
        tpm = swtpm.Tpm(process)
        tpm.pcr_extend(4, b"\x44" * 32)
        answer = refclient.thim()
        t.equal(answer.status, 200, "THIM answers")
        parts, handle = refclient.evidence(tpm, answer.json)
        answer, jwt = token_of(env, tpm, parts, handle)
        if not t.equal(answer.status, 200, "AzureGuest attests"):
            print("#", answer.body[:400])
            return
        claims = jose.Jws(jwt).claims()
        tee = claims["x-ms-isolation-tee"]
        t.equal((claims["iss"], claims["exp"] - claims["iat"], claims["secureboot"],
                 tee["x-ms-attestation-type"], tee["x-ms-compliance-status"],
                 claims["x-ms-runtime"]["client-payload"]["nonce"],
                 tee["x-ms-runtime"]["keys"][0]["kid"]),
                ("https://" + names.MAA_HOST, 28800, True, "sevsnpvm", "azure-compliant-cvm",
                 jose.b64(parts["nonce"]), "HCLAkPub"), "claims of a confidential VM")
        key = claims["x-ms-runtime"]["keys"][0]
        t.equal((key["kid"], jose.un64u(key["n"])),
                ("TpmEphemeralEncryptionKey", tpm2.Public(parts["enc_pub"]).modulus),
                "the token names the ephemeral key")
        releases(t, env, tpm, parts, handle, jwt)
        answer, jwt = token_of(env, tpm, parts, handle, host=names.MAA2_HOST)
        t.equal(jose.Jws(jwt).claims()["iss"], "https://" + names.MAA2_HOST, "the second instance")
        t.refused(refclient.release(env.ca, jwt, bearer_for(names.VAULT_HOST)), 403,
                  ("Forbidden", None), "cannot be verified", "its token is no good for the vault")
        info = refclient.attestation_info(parts)
        info["IsolationInfo"] = {"Type": "TrustedLaunch"}
        answer = refclient.attest(env.ca, info)
        session = tpm.policy_session(tpm2.pcr_digest(parts["pcrs"]))
        jwt = refclient.open_envelope(answer.json["token"], lambda data: tpm.rsa_decrypt(
            handle, session, data, refclient.RSAES))
        t.ok("sevsnpvm" not in jwt and "x-ms-isolation-tee" not in jose.Jws(jwt).claims(),
             "Trusted Launch gets a token that claims no SEV-SNP")
        t.refused(refclient.release(env.ca, jwt, bearer_for(names.VAULT_HOST)), 403,
                  ("Forbidden", None), "does not meet", "which releases nothing")


def bad_machines(t, env, tpmdir):
    """vTPMs spoiled by the provisioner are refused, the good one again is not."""
    thim = refclient.thim().json
    for kind, pattern in (("badbind", "SHA-256 of the runtime"), ("otherak", "another key"),
                          ("badsig", "signature is wrong"), ("staletcb", "is for TCB"),
                          ("tdx", "SnpReport")):
        vtpm.refresh(env.state, tpmdir, kind)
        with swtpm.Swtpm(tpmdir) as process:
            parts, _ = refclient.evidence(swtpm.Tpm(process), thim)
        t.refused(refclient.attest(env.ca, refclient.attestation_info(parts)), 400,
                  "InvalidParameter", pattern, "a vTPM with --hcl %s is refused" % kind)
    for form, pattern in (("fakeca", "AikCert does not chain"), ("expired", "AikCert is expired"),
                          ("otherkey", "AikCert is for another"), ("exact", None)):
        vtpm.provision(env.state, tpmdir, akcert=form)
        with swtpm.Swtpm(tpmdir) as process:
            parts, _ = refclient.evidence(swtpm.Tpm(process), thim)
        answer = refclient.attest(env.ca, refclient.attestation_info(parts))
        if pattern:
            t.refused(answer, 400, "InvalidParameter", pattern, "--akcert %s is refused" % form)
        else:
            t.equal(answer.status, 200, "--akcert %s is accepted" % form)
    vtpm.refresh(env.state, tpmdir, "debug")
    with swtpm.Swtpm(tpmdir) as process:
        tpm = swtpm.Tpm(process)
        parts, handle = refclient.evidence(tpm, thim)
        tee = jose.Jws(token_of(env, tpm, parts, handle)[1]).claims()["x-ms-isolation-tee"]
    t.ok(tee["x-ms-sevsnpvm-is-debuggable"] and "x-ms-compliance-status" not in tee,
         "a debuggable guest is attested as such and not compliant")


def served(t, env, tpmdir):
    """The pty: framing, log, faults, flush on close."""
    link, log = os.path.join(env.state, "tpmrm0"), os.path.join(env.state, "tpm.log")
    pid_file = os.path.join(env.state, "vtpm.pid")
    process = subprocess.Popen(
        [sys.executable, os.path.join(os.path.dirname(os.path.realpath(__file__)), "vtpm.py"),
         "serve", "--tpm", tpmdir, "--link", link, "--log", log, "--pid-file", pid_file,
         "--fault", "ReadPublic#1:retry=1", "--fault", "Quote#2:lockout",
         "--fault", "PCR_Read#2:extend=7"], stdout=subprocess.PIPE)
    process.stdout.readline()
    device = relay.Device(link)
    tpm = swtpm.Tpm(device)

    def code(function, *args):
        try:
            function(*args)
            return 0
        except tpm2.TpmError as e:
            return e.code

    t.equal([code(tpm.read_public, tpm2.AK_HANDLE) for _ in range(2)], [relay.RC_RETRY, 0],
            "relay: one TPM_RC_RETRY, then the answer")
    t.equal([code(tpm.quote) for _ in range(3)], [0, relay.RC_LOCKOUT, 0], "relay: lockout")
    first, second = tpm.pcr_read(), tpm.pcr_read()
    t.ok(first[7] != second[7] and first[:7] == second[:7], "relay: PCR 7 extended in between")
    tpm.create_primary(tpm2.RH_NULL, tpm2.rsa_template(tpm2.EPHEMERAL_ATTRIBUTES, bytes(32)))
    device.close()
    time.sleep(0.1)
    device = relay.Device(link)
    t.equal(swtpm.Tpm(device).handles(0x80000000), [], "relay: closing flushes transient objects")
    device.close()
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    process.wait()
    with open(log, encoding="ascii") as f:
        text = f.read()
    t.ok("INIT 11 " in text and "Quote=3" in text and text.count("\nR ") == text.count("\nC "),
         "relay: every command and response is in the log, and counted", text)
    t.ok(not os.path.lexists(link), "relay: the link is gone afterwards")


def connections(t, env):
    """TLS versions, wrong authority, wrong host."""
    url = "https://%s/certs" % names.MAA_HOST
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        t.equal(refclient.call(url, env.ca, version=version).status, 200, version.name)
    for what, address, ca in (("another root", url, os.path.join(env.state, "other-ca.pem")),
                              ("another host", "https://wrong-name.example/", env.ca)):
        try:
            refclient.call(address, ca)
            t.ok(False, "%s fails" % what)
        except ssl.SSLCertVerificationError as e:
            t.ok(True, "%s fails: %s" % (what, e.verify_message))


def run(t, env):
    """All of them."""
    tpmdir = os.path.join(env.state, "tpm")
    t.run("whole flow", whole_flow, env, tpmdir)
    t.run("bad machines", bad_machines, env, tpmdir)
    t.run("relay", served, env, tpmdir)
    t.run("connections", connections, env)
