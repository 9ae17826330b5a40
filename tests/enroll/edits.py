"""A LUKS2 header as its owner, the host, may write it: any JSON, with right checksums; and random edits of tokens."""

import hashlib
import json
import struct

BINARY = 4096
SUM, SUM_END = 448, 512


class Header:
    """Both copies of an image's header. Every change makes the second one older, so that the first counts."""

    def __init__(self, image):
        self.image = image
        with open(image, "rb") as f:
            self.binary = f.read(BINARY)
            self.size = struct.unpack(">Q", self.binary[8:16])[0]
            self.text = f.read(self.size - BINARY).split(b"\0")[0]

    def json(self):
        """As it was read."""
        return json.loads(self.text)

    def write(self, text):
        """Other JSON text in the first copy; the second copy is damaged."""
        area = (text + b"\0" * self.size)[:self.size - BINARY]
        binary = bytearray(self.binary)
        binary[SUM:SUM_END] = bytes(SUM_END - SUM)
        binary[SUM:SUM + 32] = hashlib.sha256(bytes(binary) + area).digest()
        with open(self.image, "r+b") as f:
            f.write(bytes(binary) + area)
            f.write(bytes(BINARY))


def escaped(chance, text):
    """Some characters of a JSON string in another way."""
    return "".join("\\u%04x" % ord(c) if c.isalnum() and chance.random() < 0.2 else c for c in text)


class Editor:
    """Random edits of one token. `other` is a token of another disk; `values` are what a host would like to see."""

    def __init__(self, chance, token, other, values):
        self.chance, self.token, self.other, self.values = chance, token, other, values

    def pairs(self):
        """The token as pairs of texts, after some edits of whole fields."""
        c = self.chance
        pairs = [(json.dumps(k), json.dumps(v)) for k, v in self.token.items()]
        for _ in range(c.choice((1, 1, 1, 2, 3))):
            i = c.randrange(len(pairs))
            name, value = pairs[i]
            what = c.choice((0, 0, 1, 1, 1, 2, 3, 4, 4, 5, 6, 7))
            if what == 0:
                pairs[i] = (name, json.dumps(c.choice(self.values)))
            elif what == 1:
                pairs[i] = (name, json.dumps(self.other.get(json.loads(name), c.choice(list(self.other.values())))))
            elif what == 2 and len(pairs) > 1:
                del pairs[i]
            elif what == 3:
                pairs.insert(c.randrange(len(pairs) + 1), (name, json.dumps(c.choice(self.values))))
            elif what == 4:
                pairs[i] = (name, escaped(c, value))
            elif what == 5:
                depth = c.randrange(1, 300)
                pairs[i] = (name, "[" * depth + value + "]" * depth)
            elif what == 6 and value.endswith('"'):
                pairs[i] = (name, value[:-1] + c.choice("A/0") * c.randrange(1, 2000) + '"')
            else:
                c.shuffle(pairs)
        return pairs

    def one(self):
        """The token's text, edited."""
        c = self.chance
        text = bytearray(("{" + ",".join("%s:%s" % p for p in self.pairs()) + "}").encode())
        what = c.randrange(5, 10) if c.randrange(4) == 0 else 0
        if what == 0:
            return bytes(text)
        text = bytearray(json.dumps(self.token).encode())
        for _ in range(c.randrange(1, 4)):
            at = c.randrange(len(text))
            if what == 5:
                text[at] ^= 1 << c.randrange(8)
            elif what == 6:
                text[at:at + c.randrange(1, 60)] = b""
            elif what == 7:
                text[at:at] = bytes(c.randrange(256) for _ in range(c.randrange(1, 8)))
            elif what == 8:
                text[at:at] = text[at:at + c.randrange(1, 200)]
            else:
                del text[at + 1:]
                break
        return bytes(text)
