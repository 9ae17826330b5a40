#!/usr/bin/python3
"""The manual pages say what the programs' --help says: verbs, options, settings, defaults, exit statuses."""

import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/cloud"))
from tap import Tap  # noqa: E402

PROGRAMS = ("latchkey", "latchkeyctl")
# Options of az and cryptsetup that the pages mention.
FOREIGN = {"vault-name", "test-passphrase", "integrity"}
HELP_ROW = re.compile(r"^  --([a-z][a-z-]*)( [A-Z][^ ]*| yes\|no)? +(.*)$", re.M)


class Help:
    """What a program says about itself."""

    def __init__(self, name):
        text = subprocess.run([os.path.join(ROOT, "build", name), "--help"], check=True, text=True,
                              capture_output=True).stdout
        verbs, settings, rest = re.split(r"\n(?:verbs|options [^\n]*):\n", text)[1:]
        options, statuses = rest.split("\nexit status:")
        self.verbs = re.findall(r"^  ([a-z-]+)", verbs, re.M)
        self.settings = {row[0]: row[2] for row in HELP_ROW.findall(settings)}
        self.options = {row[0]: row[2] for row in HELP_ROW.findall(options)}
        self.statuses = re.findall(r"\b(\d+) [a-z]", statuses)

    def own(self):
        """Options but those that are for verbs of the other program alone."""
        def others(about):
            head = re.match(r"([a-z, -]+):", about)
            return head and not any(v in re.split(r", | --\S+", head.group(1)) for v in self.verbs)
        return {name: about for name, about in self.options.items() if not others(about)}


class Page:
    """A page's source, taken apart, and its text."""

    def __init__(self, name):
        path = os.path.join(ROOT, "src/man", name)
        with open(path, encoding="ascii") as file:
            self.source = file.read()
        self.text = re.sub(".\b", "", subprocess.run(
            ["mandoc", "-T", "ascii", path], check=True, text=True, capture_output=True).stdout)
        self.items = {}
        for block in re.split(r"\n\.It ", self.source)[1:]:
            head, _, body = block.partition("\n")
            body = re.split(r"\n\.(?:El|S[hs])\b", body)[0]
            for option in re.findall(r"Fl -([a-z][a-z-]*)", head):
                self.items.setdefault(option, "")
                self.items[option] += body

    def words(self):
        """The names of all options that are mentioned."""
        return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*[a-z])", self.text)) | \
            set(re.findall(r"Fl -([a-z][a-z-]*)", self.source))

    def section(self, name):
        """The source of a section."""
        return re.split(r"\n\.Sh ", self.source.partition("\n.Sh " + name + "\n")[2])[0]

    def settings(self):
        """The settings that a list documents, and what it says about them."""
        body = self.section("DESCRIPTION").partition("\n.Ss ")[0]
        blocks = [block.partition("\n") for block in re.split(r"\n\.It Cm ", body)[1:]]
        return {head: text for head, _, text in blocks}


def default_of(about):
    """The default that a help line gives in brackets, if it is one that can be looked for."""
    found = re.search(r"\[([^\[\]]+)\](?:;|$)", about)
    word = found.group(1) if found else ""
    return word if re.fullmatch(r"[/\w][\w./-]*", word) and word not in ("none", "Managed") else None


def without_default(rows, says):
    """Rows whose default is missing in what a page says about them."""
    return [name for name, about in rows.items()
            if default_of(about) and default_of(about) not in says.get(name, "")]


def check_settings(t, helps, page):
    """latchkey.conf(5) against the settings of both programs."""
    for name in PROGRAMS:
        t.equal(sorted(page.settings()), sorted(helps[name].settings), "latchkey.conf(5): the settings of " + name)
    t.equal(without_default(helps["latchkey"].settings, page.settings()), [], "latchkey.conf(5): the defaults")


def check_example(t, page):
    """The file that latchkey.conf(5) shows is one: what is wrong then is the trust anchors alone."""
    text = re.search(r"\.Bd -literal\n(.*?)\.Ed", page.section("EXAMPLES"), re.S).group(1)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "root.conf"), "w", encoding="ascii") as file:
            file.write(text)
        said = subprocess.run(
            [os.path.join(ROOT, "build/latchkey"), "attest", "root", "--conf-dir", folder, "--kmsg", "no", "--trust",
             os.path.join(folder, "none")], check=False, text=True, capture_output=True).stderr
    t.ok("trust anchors" in said, "latchkey.conf(5): the example is a configuration", said)


def check_program(t, name, about, page):
    """A program's page against its --help."""
    where = name + "(8): "
    if name == "latchkey":
        verbs = re.findall(r"^\.It Cm ([a-z-]+)", page.section("DESCRIPTION"), re.M)
    else:
        verbs = re.findall(r"^\.Ss ([a-z-]+)", page.section("DESCRIPTION"), re.M)
    t.equal(verbs, about.verbs, where + "the verbs, in their order")
    t.equal(sorted(set(about.own()) - set(page.items)), [], where + "every option has its entry")
    t.equal(sorted(set(page.items) - set(about.own())), [], where + "no entry for an option that is not there")
    t.equal(without_default(about.own(), page.items), [], where + "the defaults")
    t.equal(re.findall(r"^\.It (\d+)$", page.section("EXIT STATUS"), re.M), about.statuses, where + "the exit statuses")


def main():
    """Both programs, three pages."""
    t = Tap()
    helps = {name: Help(name) for name in PROGRAMS}
    pages = {name: Page(name) for name in ("latchkey.8", "latchkeyctl.8", "latchkey.conf.5")}
    known = {option for about in helps.values() for option in list(about.options) + list(about.settings)}
    check_settings(t, helps, pages["latchkey.conf.5"])
    check_example(t, pages["latchkey.conf.5"])
    for name in PROGRAMS:
        check_program(t, name, helps[name], pages[name + ".8"])
    for name, page in pages.items():
        t.equal(sorted(page.words() - known - FOREIGN), [], name + " names no option that is not there")
        t.ok(len(page.text.splitlines()) > 100, name + " has a text")
    with open(os.path.join(ROOT, "initramfs/systemd/latchkey@.service"), encoding="ascii") as file:
        named = re.search(r"^Documentation=man:(\w+)\((\d)\)$", file.read(), re.M)
    t.ok(named and ".".join(named.groups()) in pages, "the unit names a page that is there")
    t.done()


main()
