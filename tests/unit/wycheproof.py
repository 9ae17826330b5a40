#!/usr/bin/python3
"""Prints a Wycheproof file as lines of words: VERDICT ID FIELD... in hexadecimal, "-" for empty.

usage: wycheproof.py FILE

KeywrapTest: key, plaintext, ciphertext. RsaesOaepDecrypt: PKCS#8 key, plaintext, ciphertext, label.
RsassaPkcs1Verify: n, e, message, signature.
"""

import json
import sys

FIELDS = {
    "KeywrapTest": lambda g, t: (t["key"], t["msg"], t["ct"]),
    "RsaesOaepDecrypt": lambda g, t: (g["privateKeyPkcs8"], t["msg"], t["ct"], t["label"]),
    "RsassaPkcs1Verify": lambda g, t: (g["publicKey"]["modulus"], g["publicKey"]["publicExponent"],
                                       t["msg"], t["sig"]),
}


def even(text):
    """Whole bytes: integers come with an odd number of digits."""
    return "0" * (len(text) % 2) + text


def main():
    """One line a test."""
    with open(sys.argv[1], encoding="utf-8") as f:
        data = json.load(f)
    for group in data["testGroups"]:
        for test in group["tests"]:
            fields = FIELDS[group["type"]](group, test)
            print(test["result"], test["tcId"], *(even(v) or "-" for v in fields))


if __name__ == "__main__":
    main()
