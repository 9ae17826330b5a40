"""The release operation's cryptography: wrap a key to the KEK, sign the answer.

Tamper faults (endpoints vault and hsm):
  flip          one bit of the AES-KWP part flipped; the JWS is good
  flip-kek      one bit of the RSA part flipped; the JWS is good
  short         ciphertext cut to 250 bytes; the JWS is good
  truncated-jws the JWS lacks its end
  jws-payload   one bit of the payload changed after signing
  jws-key       signed by a key that is not the certificate's
  jws-alg-none  alg "none" and no signature
  x5c-host      a good chain and signature, but for another host
  x5c-ca        a chain to another root
  x5c-expired   an expired leaf (EC: cannot sign RS256 either)
  no-x5c        no chain
  nonce         another nonce in request.nonce;   no-nonce: none
  enc           wraps with SHA-1 and says so, whatever was asked for
  enc-lie       wraps with SHA-1 and says what was asked for
  kid           another key's kid;   kty: another kty
  public-half   another key's public half beside the right private key
  other-key     another key of the same kind altogether, consistent in itself
  exponent      the same RSA key with another private exponent, as good as the first
  primes        the same RSA key with its primes exchanged, and the CRT members that follow
  zeros         the same RSA key, each integer with zeros in front
  no-crt        the same RSA key without the CRT members
  kek           wrapped to another KEK
  no-key-hsm, no-value, html (200 with a page of a captive portal)
"""

import hashlib
import math
import os

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

import der
import jose
import pki
from keys import OPS

ENC = {"CKM_RSA_AES_KEY_WRAP": hashes.SHA1, "RSA_AES_KEY_WRAP_256": hashes.SHA256,
       "RSA_AES_KEY_WRAP_384": hashes.SHA384}
DEFAULT_ENC = "CKM_RSA_AES_KEY_WRAP"
KEK_BITS = (2048, 3072, 4096)
TAMPERS = ("flip", "flip-kek", "short", "truncated-jws", "jws-payload", "jws-key", "jws-alg-none",
           "x5c-host", "x5c-ca", "x5c-expired", "no-x5c", "nonce", "no-nonce", "enc", "enc-lie",
           "kid", "kty", "public-half", "other-key", "exponent", "primes", "zeros", "no-crt", "kek",
           "no-key-hsm", "no-value", "html")


def kwp(kek, data):
    """AES key wrap with padding, RFC 5649."""
    return keywrap.aes_key_wrap_with_padding(kek, data)


def wrap(public, enc, data):
    """RSA-OAEP of a fresh AES-256 key, then that key's KWP of the data."""
    algorithm = ENC[enc]()
    kek = os.urandom(32)
    oaep = padding.OAEP(padding.MGF1(algorithm), algorithm, None)
    return public.encrypt(kek, oaep) + kwp(kek, data)


def unwrap(private, enc, blob):
    """The other way round (for the tests' reference client)."""
    algorithm, k = ENC[enc](), private.key_size // 8
    kek = private.decrypt(blob[:k], padding.OAEP(padding.MGF1(algorithm), algorithm, None))
    return keywrap.aes_key_unwrap_with_padding(kek, blob[k:])


def pick_kek(claims):
    """The first RSA key of x-ms-runtime.keys that may encrypt: (kid, public key)."""
    runtime = claims.get("x-ms-runtime")
    keys = runtime.get("keys") if isinstance(runtime, dict) else None
    for jwk in keys if isinstance(keys, list) else []:
        if not isinstance(jwk, dict) or jwk.get("kty") != "RSA" or \
                not isinstance(jwk.get("kid"), str):
            continue
        ops = jwk.get("key_ops")
        if jwk.get("use") == "enc" or (isinstance(ops, list) and "encrypt" in ops):
            public = jose.rsa_from_jwk(jwk)
            if public.key_size not in KEK_BITS:
                raise jose.FormatError("a key of %d bits cannot wrap" % public.key_size)
            return jwk["kid"], public
    return None, None


def other_material(store, label):
    """Another private key of the same kind."""
    kind = label.split("-")[0]
    return store.material.make(kind)


def numbers(pkcs8):
    """The numbers of an RSA key."""
    return serialization.load_der_private_key(pkcs8, None).private_numbers()


def other_exponent(pkcs8):
    """PKCS#8 of the same RSA key with d + lambda(n), or without it: as good an exponent."""
    n = numbers(pkcs8)
    step = (n.p - 1) * (n.q - 1) // math.gcd(n.p - 1, n.q - 1)
    d = n.d + step if n.d < step else n.d % step
    key = rsa.RSAPrivateNumbers(n.p, n.q, d, n.dmp1, n.dmq1, n.iqmp, n.public_numbers).private_key()
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def encoded(n, p, q, pad=0, crt=True):
    """PKCS#8 of an RSA key, by hand: the libraries put primes and zeros in order."""
    d, public = n.d, n.public_numbers
    parts = [0, public.n, public.e, d]
    parts += [p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)] if crt else [p, q]

    def integer(v):
        raw = bytes(pad) + v.to_bytes(v.bit_length() // 8 + 1, "big")
        return der.tlv(2, raw if v else b"\0")

    pkcs1 = der.tlv(0x30, b"".join(integer(v) for v in parts))
    algorithm = der.tlv(0x30, bytes.fromhex("06092a864886f70d0101010500"))
    return der.tlv(0x30, b"\2\1\0" + algorithm + der.tlv(4, pkcs1))


def primes_exchanged(pkcs8):
    """The other CRT form."""
    n = numbers(pkcs8)
    return encoded(n, n.q, n.p)


def zeros_in_front(pkcs8):
    """Integers longer than they need be."""
    n = numbers(pkcs8)
    return encoded(n, n.p, n.q, pad=3)


def without_crt(pkcs8):
    """What a careless encoder leaves out."""
    n = numbers(pkcs8)
    return encoded(n, n.p, n.q, crt=False)


ENCODINGS = {"exponent": other_exponent, "primes": primes_exchanged, "zeros": zeros_in_front,
             "no-crt": without_crt}


def public_members(store, service, label, kty):
    """The JWK members of the answer, with the oddities of either service."""
    jwk = dict(store.material.public_jwk(label))
    if service == "vault" and kty == "RSA":
        jwk["e"] = "AAEAAQ"
    return dict({"kty": kty + "-HSM" if service == "vault" else kty}, **jwk)


def attributes(key, version):
    """The attributes object."""
    out = {"enabled": version["enabled"]}
    out.update({n: version[n] for n in ("nbf", "exp") if version[n] is not None})
    out.update({"created": version["created"], "updated": version["updated"],
                "recoveryLevel": "CustomizedRecoverable+Purgeable", "recoverableDays": 7,
                "exportable": key["exportable"]})
    return out


def policy_member(key):
    """The release_policy object."""
    return {"contentType": "application/json; charset=utf-8",
            "data": jose.b64u(jose.compact(key["policy"])), "immutable": key["immutable"]}


def header(world, service, leaf, chain, struck):
    """The JWS header of either service."""
    der = pki.cert_der(leaf)
    x5c = [jose.b64(pki.cert_der(c)) for c in chain]
    s256 = jose.b64u(hashlib.sha256(der).digest())
    if service == "vault":
        sha1 = hashlib.sha1(der)
        out = {"alg": "RS256", "kid": sha1.hexdigest().upper(), "x5t": jose.b64u(sha1.digest()),
               "typ": "JWT", "x5t#S256": s256, "x5c": x5c}
    else:
        out = {"alg": "RS256", "kid": s256, "x5c": x5c, "x5t#S256": s256}
    if "no-x5c" in struck:
        del out["x5c"]
    return out


def spoil_ciphertext(blob, kek_size, struck):
    """The tamper faults that touch the ciphertext alone."""
    blob = bytearray(blob)
    if "flip" in struck:
        blob[kek_size + 9] ^= 0x04
    if "flip-kek" in struck:
        blob[kek_size // 2] ^= 0x04
    return bytes(blob[:250]) if "short" in struck else bytes(blob)


def sign(world, service, payload, struck):
    """The compact JWS: signed with the key of the service's own TLS certificate."""
    signer = {"x5c-host": "wrong-host", "x5c-ca": "other-ca", "x5c-expired": "expired"}
    name = next((signer[s] for s in struck if s in signer), service)
    chain = world.pki.chain(name)
    chain = chain + [world.pki.cert("other-root" if name == "other-ca" else "tls-root")]
    head = header(world, service, chain[0], chain, struck)
    key = world.pki.key(name)
    if "jws-key" in struck or isinstance(key, ec.EllipticCurvePrivateKey):
        key = world.pki.key("aad")
    if "jws-alg-none" in struck:
        head["alg"] = "none"
        return jose.b64u(jose.compact(head)) + "." + jose.b64u(jose.compact(payload)) + "."
    jws = jose.sign(head, payload, key)
    if "jws-payload" in struck:
        first, body, last = jws.split(".")
        raw = bytearray(jose.un64u(body))
        at = raw.index(b'"recoverableDays":7')
        raw[at + 18] = ord("8")
        jws = first + "." + jose.b64u(bytes(raw)) + "." + last
    return jws[:len(jws) - 200] if "truncated-jws" in struck else jws


def build(world, service, key, version, kek, request, struck):
    """The answer's JSON.  `kek` is (kid, public key); `request` the fields to echo."""
    kek_kid, kek_public = kek
    store, label, enc = world.keys, version["material"], request["enc"]
    request = dict(request)
    if "other-key" in struck:
        label = other_material(store, label)
    if {"enc", "enc-lie"} & set(struck):
        enc = DEFAULT_ENC
        request["enc"] = enc if "enc" in struck else request["enc"]
    if "nonce" in struck:
        request["nonce"] = "another-nonce"
    if "no-nonce" in struck:
        request.pop("nonce", None)
    if "kek" in struck:
        kek_public = rsa.generate_private_key(65537, kek_public.key_size).public_key()
    data = store.material.export(label)
    if key["kind"] == "RSA":
        for how in ENCODINGS:
            data = ENCODINGS[how](data) if how in struck else data
    blob = wrap(kek_public, enc, data)
    blob = spoil_ciphertext(blob, kek_public.key_size // 8, struck)
    head = {"kid": kek_kid, "alg": "dir", "enc": request["enc"]}
    sealed = {"schema_version": "1.0", "header": head, "ciphertext": jose.b64u(blob)}
    if service == "hsm":
        sealed = {"ciphertext": sealed["ciphertext"], "header": head, "schema_version": "1.0"}
    shown = other_material(store, label) if "public-half" in struck else label
    kid = request["kid"].replace("/keys/", "/keys/other") if "kid" in struck else request["kid"]
    kty = {"RSA": "EC", "EC": "oct", "oct": "RSA"}[key["kind"]] if "kty" in struck else key["kind"]
    jwk = dict({"kid": kid, "key_ops": OPS[key["kind"]]},
               **public_members(store, service, shown, kty))
    if "no-key-hsm" not in struck:
        jwk["key_hsm"] = jose.b64u(jose.compact(sealed))
    payload = {"request": request, "response": {"key": {
        "key": jwk, "attributes": attributes(key, version), "tags": {},
        "release_policy": policy_member(key)}}}
    jws = sign(world, service, payload, struck)
    return {"result": jws} if "no-value" in struck else {"value": jws}
