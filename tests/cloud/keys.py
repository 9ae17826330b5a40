"""The keys in the simulated vault and Managed HSM: material, versions, attributes, policies.

Names: rsa2048 rsa3072 rsa4096 ec256 ec384 ec521 oct256, whose policy is for confidential VMs; snp,
snp-ec256 and snp-oct256 for guests that have their SNP report themselves; and keys that cannot be released:
disabled, expired, notyet, noops, notexportable, nomatch (policy asks for what no token says),
badauthority (policy names another attestation service).  `nested` has a policy with every operator.
Version ids are fixed: the first 32 hex digits of SHA-256("SERVICE/NAME/NUMBER").
"""

import copy
import hashlib
import json
import os
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import jose
import names
import pki
import policy as policies

KINDS = {"rsa2048": "RSA", "rsa3072": "RSA", "rsa4096": "RSA", "ec256": "EC", "ec384": "EC",
         "ec521": "EC", "oct256": "oct"}
CURVES = {"ec256": ("P-256", ec.SECP256R1), "ec384": ("P-384", ec.SECP384R1),
          "ec521": ("P-521", ec.SECP521R1)}
SPECIAL = ("disabled", "expired", "notyet", "noops", "notexportable", "nomatch", "badauthority",
           "nested")
SNP = {"snp": "rsa2048", "snp-ec256": "ec256", "snp-oct256": "oct256"}
ALL = (*KINDS, *SNP, *SPECIAL)
OPS = {"RSA": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
       "EC": ["sign", "verify"], "oct": ["encrypt", "decrypt", "wrapKey", "unwrapKey"]}
TEE = "x-ms-isolation-tee."


def condition(claim, value, operator="equals"):
    """One condition of a policy."""
    return {"claim": claim, operator: value}


def cvm_policy(authority="https://" + names.MAA_HOST):
    """The policy that Microsoft documents for confidential VMs."""
    return {"version": "1.0.0", "anyOf": [{"authority": authority, "allOf": [
        condition(TEE + "x-ms-attestation-type", "sevsnpvm"),
        condition(TEE + "x-ms-compliance-status", "azure-compliant-cvm")]}]}


def snp_policy(*more, authority="https://" + names.MAA_HOST):
    """A policy for SNP guests without a paravisor, whose claims are at the top of the token."""
    return {"version": "1.0.0", "anyOf": [{"authority": authority, "allOf": [
        condition("x-ms-attestation-type", "sevsnpvm"),
        condition("x-ms-sevsnpvm-is-debuggable", "false"),
        condition("x-ms-sevsnpvm-vmpl", "0"), *more]}]}


def nested_policy():
    """A policy that uses every operator and nesting, and that a good token meets."""
    return {"version": "1.0.0", "anyOf": [
        {"authority": "https://%s/" % names.MAA2_HOST, "anyOf": [
            condition(TEE + "x-ms-attestation-type", "sevsnpvm")]},
        {"authority": "https://%s/" % names.MAA_HOST, "allOf": [
            condition(TEE + "x-ms-sevsnpvm-is-debuggable", "false"),
            condition(TEE + "x-ms-sevsnpvm-vmpl", 0),
            condition(TEE + "x-ms-sevsnpvm-vmpl", 1, "less"),
            condition(TEE + "x-ms-sevsnpvm-vmpl", "0", "lessOrEquals"),
            condition(TEE + "x-ms-sevsnpvm-guestsvn", -1, "greater"),
            condition(TEE + "x-ms-sevsnpvm-guestsvn", 0, "greaterOrEquals"),
            condition("x-ms-attestation-type", "sgx", "notEquals"),
            condition("x-ms-sgx-mrenclave", False, "exists"),
            {"anyOf": [condition("secureboot", True), condition("no-such-claim", "x")]}]}]}


def version_id(service, name, number):
    """The fixed id of a version."""
    return hashlib.sha256(("%s/%s/%d" % (service, name, number)).encode()).hexdigest()[:32]


class Material:
    """Private keys in STATE/keys, made once."""

    def __init__(self, state):
        self.dir = os.path.join(state, "keys")
        self.cache = {}
        with pki.locked(state):
            os.makedirs(self.dir, exist_ok=True)
            for kind in KINDS:
                self._ensure(kind + "-1", kind)
            self._ensure("rsa2048-2", "rsa2048")

    def _ensure(self, label, kind):
        path = os.path.join(self.dir, label)
        if os.path.exists(path):
            return
        if kind == "oct256":
            data = os.urandom(32)
        else:
            key = ec.generate_private_key(CURVES[kind][1]()) if kind in CURVES else \
                rsa.generate_private_key(65537, int(kind[3:]))
            data = pki.key_pem(key)
        pki.write_private(path, data)

    def make(self, kind):
        """Another key of this kind (rotation): its label."""
        number = 2
        while os.path.exists(os.path.join(self.dir, "%s-%d" % (kind, number))):
            number += 1
        self._ensure("%s-%d" % (kind, number), kind)
        return "%s-%d" % (kind, number)

    def load(self, label):
        """A private key object, or the bytes of an oct key."""
        if label not in self.cache:
            with open(os.path.join(self.dir, label), "rb") as f:
                data = f.read()
            if not label.startswith("oct"):
                data = serialization.load_pem_private_key(data, None)
            self.cache[label] = data
        return self.cache[label]

    def export(self, label):
        """What a release wraps: PKCS#8 DER or the raw bytes."""
        key = self.load(label)
        if isinstance(key, bytes):
            return key
        return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                                 serialization.NoEncryption())

    def public_jwk(self, label):
        """The public members of the JWK."""
        key = self.load(label)
        if isinstance(key, bytes):
            return {}
        if isinstance(key, rsa.RSAPrivateKey):
            jwk = jose.rsa_jwk(key.public_key())
            return {"n": jwk["n"], "e": jwk["e"]}
        n, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        return {"crv": CURVES[label.split("-")[0]][0], "x": jose.b64u(jose.uint(n.x, size)),
                "y": jose.b64u(jose.uint(n.y, size))}


class Store:
    """Keys by service ('vault', 'hsm') and name; survives a restart in STATE/keys/store.json."""

    def __init__(self, state):
        self.lock, self.material = threading.RLock(), Material(state)
        self.path = os.path.join(self.material.dir, "store.json")
        self.data = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as f:
                self.data = json.load(f)
        if any(set(self.data.get(s, ())) != set(ALL) for s in ("vault", "hsm")):
            self.reset()        # the first start, or the file of an older simulator

    def _save(self):
        pki.write_private(self.path, json.dumps(self.data, indent=1).encode())

    @staticmethod
    def _version(service, name, number, label):
        now = int(time.time())
        return {"id": version_id(service, name, number), "material": label, "enabled": True,
                "nbf": None, "exp": None, "created": now, "updated": now}

    def _initial(self, service, name):
        """A key as it is at the first start."""
        kind = name if name in KINDS else SNP.get(name, "rsa2048")
        labels = ["rsa2048-2", "rsa2048-1"] if name == "rsa2048" else [kind + "-1"]
        versions = [self._version(service, name, i + 1, lab) for i, lab in enumerate(labels)]
        if name == "rsa2048":
            versions[0]["enabled"] = False      # rotated away
        return {"kind": KINDS[kind], "type": kind, "versions": versions, "exportable": True,
                "release": True, "immutable": False,
                "policy": snp_policy() if name in SNP else cvm_policy()}

    def reset(self):
        """The keys as at the first start (material is kept)."""
        with self.lock:
            self.data = {s: {n: self._initial(s, n) for n in ALL}
                         for s in ("vault", "hsm")}
            for service in self.data.values():
                service["disabled"]["versions"][0]["enabled"] = False
                service["expired"]["versions"][0]["exp"] = int(time.time()) - 86400
                service["notyet"]["versions"][0]["nbf"] = int(time.time()) + 86400 * 365
                service["noops"]["release"] = False
                service["notexportable"].update(exportable=False, policy=None)
                service["nomatch"]["policy"]["anyOf"][0]["allOf"].append(
                    condition(TEE + "x-ms-sevsnpvm-hostdata", "00" * 31 + "01"))
                service["badauthority"]["policy"] = cvm_policy("https://other.eus.attest.azure.net")
                service["nested"]["policy"] = nested_policy()
            self._save()

    def find(self, service, name, version=None):
        """(key, version) with the current version when none is given; (None, None) if absent."""
        with self.lock:
            key = self.data[service].get(name.lower())
            if key is None:
                return None, None
            versions = [v for v in key["versions"] if version in (None, "", v["id"])]
            return copy.deepcopy((key, versions[-1])) if versions else (None, None)

    def rotate(self, service, name):
        """A new version with new material becomes the current one; its id."""
        with self.lock:
            key = self.data[service][name]
            key["versions"].append(self._version(service, name, len(key["versions"]) + 1,
                                                 self.material.make(key["type"])))
            self._save()
            return key["versions"][-1]["id"]

    def set_policy(self, service, name, policy):
        """Replace a key's release policy; PolicyError when it is none."""
        policies.check(policy)
        with self.lock:
            self.data[service][name]["policy"] = policy
            self._save()

    def set_attributes(self, service, name, changes, version=None):
        """Change enabled, nbf, exp of a version, or exportable, release of the key."""
        with self.lock:
            key = self.data[service][name]
            target = [v for v in key["versions"] if version in (None, v["id"])][-1]
            for what, value in changes.items():
                if what in ("enabled", "nbf", "exp"):
                    target[what] = value
                elif what in ("exportable", "release"):
                    key[what] = value
                else:
                    raise KeyError(what)
            target["updated"] = int(time.time())
            self._save()
