"""The simulated host: a processor of AMD's with its certificates, and firmware that may change.

`Amd(state)` is the host that lives in STATE/amd; any number of programs may look at it at once.
Three products are known (amdcert.PRODUCTS), each with one chip and with roots of its own, made when
they are first asked for and kept, since RSA-4096 keys take seconds.  A chip has another VCEK for
each TCB, as the real ones derive theirs: vcek(tcb) is the same for ever.

For programs in other languages the present host's files are kept in STATE/amd as well: host.json
(product, TCB, chip id), vcek.key, vcek.pem, ask.pem, ark.pem.
"""

import json
import os
import shutil

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import amdcert
import pki
from amdcert import PRODUCTS

DEFAULT_PRODUCT = "Milan"
CSP_ID = "latchkey-simulated-csp"
SERIALS = {"ark": 65536, "ask": 65537, "asvk": 65538}


def older(product, tcb):
    """A TCB that the host may have had before this one: older microcode."""
    at = product.layout.index("ucode")
    return tcb[:at] + bytes([max(0, tcb[at] - 1)]) + tcb[at + 1:]


class Amd:
    """`product`, `tcb`, `old_tcb`, `chip_id`; `vcek_key`, `vcek_pem`, `chain_pem`, `ark_pem`."""

    def __init__(self, state):
        self.state = os.path.realpath(state)
        self.dir = os.path.join(self.state, "amd")
        with pki.locked(self.state):
            if not self._read():
                shutil.rmtree(self.dir, ignore_errors=True)
                os.makedirs(self.dir)
                self._change(PRODUCTS[DEFAULT_PRODUCT])
        self.load()

    def _path(self, *name):
        return os.path.join(self.dir, *name)

    def _read(self):
        """host.json; None when there is none (or one without products)."""
        try:
            with open(self._path("host.json"), encoding="ascii") as f:
                host = json.load(f)
            return host if "product" in host else None
        except FileNotFoundError:
            return None

    # --- keys and certificates, made when missing (the lock is held by the caller) ---------------

    def _key(self, product, name, kind):
        path = self._path(product.name, name + ".key")
        if not os.path.exists(path):
            pki.write_private(path, pki.key_pem(pki.new_key(kind)))
        with open(path, "rb") as f:
            return serialization.load_pem_private_key(f.read(), None)

    def _pem(self, product, name, make):
        path = self._path(product.name, name + ".pem")
        if not os.path.exists(path):
            cert = x509.load_der_x509_certificate(make())
            pki.write_private(path, pki.cert_pem(cert))
        with open(path, encoding="ascii") as f:
            return f.read()

    def _authority(self, product, name):
        """The certificate (PEM) of "ark", or of "ask" or "asvk" below it."""
        cn = {"ark": "ARK-", "ask": "SEV-", "asvk": "SEV-VLEK-"}[name] + product.name
        root = name == "ark"

        def make():
            ark = self._key(product, "ark", "rsa4096")
            public = (ark if root else self._key(product, name, "rsa4096")).public_key()
            return amdcert.certificate(
                cn, public, "ARK-" + product.name, ark,
                amdcert.ca_extensions(public, None if root else 0, root), SERIALS[name], 25)

        os.makedirs(self._path(product.name), exist_ok=True)
        return self._pem(product, name, make)

    def _leaf(self, product, tcb, chip_id):
        """The VCEK of a chip at a TCB: (key, PEM)."""
        self._authority(product, "ask")
        name = "vcek-" + tcb[::-1].hex()
        key = self._key(product, name, "ec384")
        return key, self._pem(product, name, lambda: amdcert.certificate(
            "SEV-VCEK", key.public_key(), "SEV-" + product.name, self._key(product, "ask", ""),
            amdcert.leaf_extensions(product, tcb, chip_id)))

    def _change(self, product, tcb=None, fresh=False):
        """Make this the host, and write the files of the present."""
        was = self._read() or {"chips": {}, "product": None}
        chips = was["chips"]
        if product.name not in chips:
            chips[product.name] = os.urandom(product.chip).hex()
        tcb = tcb or product.tcb
        chip_id = bytes.fromhex(chips[product.name]).ljust(amdcert.CHIP_SIZE, b"\0")
        update = not fresh and was["product"] == product.name and was["tcb"] != tcb.hex()
        before = was["tcb"] if update else older(product, tcb).hex()
        key, vcek = self._leaf(product, tcb, chip_id)
        for name, text in (("vcek.pem", vcek), ("ask.pem", self._authority(product, "ask")),
                           ("ark.pem", self._authority(product, "ark"))):
            pki.write_private(self._path(name), text.encode())
        pki.write_private(self._path("vcek.key"), pki.key_pem(key))
        pki.write_private(self._path("host.json"), json.dumps(
            {"product": product.name, "tcb": tcb.hex(), "old_tcb": before,
             "chip_id": chip_id.hex(), "chips": chips}).encode())

    # --- for everybody -------------------------------------------------------------------------

    def load(self):
        """Read the present host (again)."""
        host = self._read()
        self.product = PRODUCTS[host["product"]]
        self.chip_id = bytes.fromhex(host["chip_id"])
        self.chips = {n: bytes.fromhex(c).ljust(amdcert.CHIP_SIZE, b"\0")
                      for n, c in host["chips"].items()}
        self.tcb, self.old_tcb = bytes.fromhex(host["tcb"]), bytes.fromhex(host["old_tcb"])
        self.vcek_key, self.vcek_pem = self.vcek()
        self.chain_pem = self.chain()
        self.ark_pem = self.authority("ark")
        return self

    def change(self, product=None, tcb=None):
        """Another processor, or other firmware on it (a TCB as in a report): other VCEKs."""
        product = PRODUCTS[product] if product else self.product
        if tcb is not None and len(tcb) != 8:
            raise ValueError("a TCB has 8 bytes")
        with pki.locked(self.state):
            self._change(product, tcb)
        return self.load()

    def new_tcb(self, tcb):
        """The host gets new firmware: another TCB, and so another VCEK (reports turn stale)."""
        return self.change(tcb=tcb)

    def reset(self):
        """The host as it was at the first start; chips stay what they are."""
        product = PRODUCTS[DEFAULT_PRODUCT]
        self.load()
        if (self.product, self.tcb, self.old_tcb) != (product, product.tcb,
                                                      older(product, product.tcb)):
            with pki.locked(self.state):
                self._change(product, fresh=True)
        return self.load()

    def authority(self, name, product=None):
        """The certificate (PEM) of "ark", "ask" or "asvk" of a product by name (the present)."""
        with pki.locked(self.state):
            return self._authority(PRODUCTS[product] if product else self.product, name)

    def authority_key(self, name, product=None):
        """And its key, for tests that sign what AMD would not."""
        self.authority(name, product)
        return self._key(PRODUCTS[product] if product else self.product, name, "")

    def chain(self, product=None):
        """ASK and ARK as PEM."""
        return self.authority("ask", product) + self.authority("ark", product)

    def vcek(self, tcb=None, product=None):
        """The VCEK of a product's chip at a TCB (of the present ones): (key, PEM)."""
        product = PRODUCTS[product] if product else self.product
        tcb = tcb or (self.tcb if product == self.product else product.tcb)
        with pki.locked(self.state):
            return self._leaf(product, tcb, self.chips[product.name])

    def other_vcek(self):
        """A certificate (PEM) for this chip and TCB, but for a key that the chip does not have."""
        public = pki.new_key("ec384").public_key()
        cert = amdcert.certificate("SEV-VCEK", public, "SEV-" + self.product.name,
                                   self.authority_key("ask"),
                                   amdcert.leaf_extensions(self.product, self.tcb, self.chip_id))
        return pki.cert_pem(x509.load_der_x509_certificate(cert)).decode()

    def vlek(self):
        """The provider's VLEK at the present TCB: (key, its PEM, ASVK and ARK as PEM)."""
        product, name = self.product, "vlek-" + self.tcb[::-1].hex()
        above = self.authority("asvk") + self.authority("ark")
        with pki.locked(self.state):
            key = self._key(product, name, "ec384")
            return key, self._pem(product, name, lambda: amdcert.certificate(
                "SEV-VLEK", key.public_key(), "SEV-VLEK-" + product.name,
                self._key(product, "asvk", ""),
                amdcert.leaf_extensions(product, self.tcb, csp_id=CSP_ID), years=1,
                started=30)), above

    def trusted(self):
        """The ARKs (PEM) of all products that were ever used here."""
        out = []
        for name in PRODUCTS:
            if os.path.exists(self._path(name, "ark.pem")):
                with open(self._path(name, "ark.pem"), encoding="ascii") as f:
                    out.append(f.read())
        return out

    def thim(self, tcb=None):
        """The body of THIM's answer."""
        tcb = tcb or self.tcb
        return {"vcekCert": self.vcek(tcb)[1], "tcbm": tcb[::-1].hex().upper(),
                "certificateChain": self.chain_pem, "cacheControl": "86400"}
