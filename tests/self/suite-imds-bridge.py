#!/usr/bin/python3
"""TAP: qemu/imds-bridge gives tokens for the vaults to who asks as the metadata service wants to be asked, and to
nobody else; whatever the host's command does, the answer is one that the service could give."""

import http.client
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "cloud"))
import tap  # noqa: E402

BRIDGE = os.path.join(ROOT, "qemu", "imds-bridge")
PATH = "/metadata/identity/oauth2/token"
VAULT, HSM = "https://vault.azure.net", "https://managedhsm.azure.net"
QUERY = "?api-version=2018-02-01&resource="
ASK = PATH + QUERY + "https%3A%2F%2Fvault.azure.net"
META = ("Metadata", "true")
SOON = int(time.time()) + 3600
CLI = {"accessToken": "to.ke.n", "expiresOn": "2999-01-02 03:04:05.000000", "expires_on": SOON,
       "subscription": "s", "tenant": "t", "tokenType": "Bearer"}
IMDS = {"access_token": "to.ke.n", "client_id": "c", "expires_in": "3600", "expires_on": str(SOON),
        "not_before": str(SOON - 3900), "resource": VAULT, "token_type": "Bearer"}


def script(text):
    """A command line for Python code, which sees the resource as sys.argv[1]."""
    return "%s -c %s {resource}" % (shlex.quote(sys.executable), shlex.quote("import sys, time, os\n" + text))


def prints(value):
    """A command that prints a value as JSON, or a text."""
    return script("print(%r)" % (value if isinstance(value, str) else json.dumps(value)))


class Bridge:
    """The program, listening on a port of its own."""

    def __init__(self, command, *args):
        self.child = subprocess.Popen([BRIDGE, "--command", command, "--listen", "127.0.0.1:0", *args],
                                      stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.said = None
        line = self.child.stderr.readline()
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_args):
        self.log()

    def log(self):
        """What it logged since it listens; it ends."""
        if self.said is None:
            self.child.terminate()
            self.said = self.child.communicate()[1]
        return self.said

    def ask(self, target=ASK, headers=(META,), method="GET", body=None):
        """Status, headers and JSON of an answer."""
        peer = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        peer.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            peer.putheader(name, value)
        peer.endheaders(body)
        answer = peer.getresponse()
        data = answer.read()
        peer.close()
        return answer.status, answer.headers, json.loads(data)


def gives(t):
    """Tokens, in both forms of output."""
    for name, output in (("Azure CLI's output", CLI), ("the service's own output", IMDS),
                         ("expiresOn alone", {"accessToken": "to.ke.n", "expiresOn": "2999-01-02 03:04:05.000000"}),
                         ("expires_in alone", {"access_token": "to.ke.n", "expires_in": 3600}),
                         ("a long token", dict(IMDS, access_token="x" * 8192))):
        with Bridge(prints(output)) as bridge:
            status, headers, body = bridge.ask()
            t.equal((status, headers["Content-Type"].split(";")[0], headers["Connection"]),
                    (200, "application/json", "close"), name)
            t.equal((body["access_token"], body["token_type"], body["resource"]),
                    (output.get("access_token", output.get("accessToken")), "Bearer", VAULT), name + ": the token")
            good = all(isinstance(value, str) for value in body.values()) and int(body["expires_on"]) >= SOON - 60 \
                and abs(int(body["expires_in"]) - (int(body["expires_on"]) - time.time())) < 60
            t.ok(good, name + ": texts, and the times fit", body)
    log = os.path.join(tempfile.gettempdir(), "imds-bridge-%d.log" % os.getpid())
    with Bridge(script("print('{\"access_token\": \"for:' + sys.argv[1] + '\", \"expires_in\": 9}')"),
                "--log", log) as bridge:
        for resource in (VAULT, HSM, "https://vault.usgovcloudapi.net"):
            t.equal(bridge.ask(PATH + QUERY + resource)[2]["access_token"], "for:" + resource, "for " + resource)
        t.equal(bridge.ask("/Metadata/Identity/OAuth2/Token" + QUERY + VAULT, [("METADATA", "TRUE")])[0], 200,
                "case does not matter where the service ignores it")
        with open(log, encoding="ascii") as file:
            text = file.read()
        t.ok(text.count("200 a token for " + VAULT) == 2 and "for:" not in text, "the log has no token", text)
    os.unlink(log)


# what, target, headers, method, status, the code or None for the format of the other paths, words
REFUSED = [
    ("no Metadata header", ASK, [], "GET", 400, "bad_request_102", "metadata header"),
    ("Metadata: false", ASK, [("Metadata", "false")], "GET", 400, "bad_request_102", "metadata header"),
    ("two Metadata headers", ASK, [META, META], "GET", 400, "bad_request_102", "metadata header"),
    ("a forwarded request", ASK, [META, ("X-Forwarded-For", "10.0.0.1")], "GET", 400, "invalid_request", "Forwarded"),
    ("another resource", PATH + QUERY + "https://management.azure.com", [META], "GET", 400, "invalid_resource",
     "management.azure.com"),
    ("a resource with a slash", ASK + "%2F", [META], "GET", 400, "invalid_resource", "vault.azure.net/"),
    ("a host name below a resource", PATH + QUERY + "https://evil.vault.azure.net", [META], "GET", 400,
     "invalid_resource", "evil"),
    ("no resource", PATH + "?api-version=2018-02-01", [META], "GET", 400, "invalid_request", "'resource' is missing"),
    ("an empty resource", PATH + QUERY, [META], "GET", 400, "invalid_request", "'resource' is missing"),
    ("two resources", ASK + "&resource=https%3A%2F%2Fvault.azure.net", [META], "GET", 400, "invalid_request",
     "repeated"),
    ("no api-version", PATH + "?resource=" + VAULT, [META], "GET", 400, "invalid_request", "api-version"),
    ("a made-up api-version", ASK.replace("2018-02-01", "1.0"), [META], "GET", 400, "invalid_request", "api-version"),
    ("no query", PATH, [META], "GET", 400, "invalid_request", "api-version"),
    ("an unknown variable", ASK + "&x=y", [META], "GET", 400, "invalid_request", "Unknown"),
    ("a named identity", ASK + "&client_id=1", [META], "GET", 400, "invalid_request", "Identity not found"),
    ("POST", ASK, [META, ("Content-Length", "0")], "POST", 405, None, ""),
    ("OPTIONS", ASK, [META], "OPTIONS", 405, None, ""),
    ("the certificates of Azure's hosts", "/metadata/THIM/amd/certification", [META], "GET", 400, None,
     "no platform certificates"),
    ("instance data", "/metadata/instance?api-version=2021-02-01", [META], "GET", 404, None, "tokens only"),
    ("a longer path", PATH + "/x" + QUERY + VAULT, [META], "GET", 404, None, "tokens only"),
    ("an absolute URI", "http://169.254.169.254" + ASK, [META], "GET", 404, None, "tokens only"),
]


def refuses(t):
    """Requests that the service would refuse; the command is not even run."""
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "ran")
        with Bridge(script("open(%r, 'w').close()" % mark)) as bridge:
            for name, target, headers, method, status, code, words in REFUSED:
                got, fields, body = bridge.ask(target, headers, method)
                text = body.get("error_description" if code else "error", "")
                t.ok(got == status and (not code or body["error"] == code) and words in text and
                     fields["Content-Type"].startswith("application/json"), "refused: " + name, "%d %r" % (got, body))
            t.ok(not os.path.exists(mark), "no command ran for any of them")
            log = bridge.log()
            t.ok(log.count("\n") == len(REFUSED), "each is a line of the log", log)
        with Bridge(prints(CLI), "--resource", HSM) as bridge:
            t.equal((bridge.ask()[0], bridge.ask(PATH + QUERY + HSM)[0]), (400, 200), "--resource is the whole list")


# what, command, status, words in the log that the guest must not see
BROKEN = [
    ("the command fails", script("sys.exit('no subscription found')"), 503, "no subscription found"),
    ("the command dies", script("os.kill(os.getpid(), 9)"), 503, "exit -9"),
    ("there is no such command", "/nonexistent/az {resource}", 503, "No such file"),
    ("nothing printed", script("pass"), 500, "not JSON"),
    ("a text", prints("to.ke.n"), 500, "not JSON"),
    ("bytes", script("os.write(1, bytes(range(256)))"), 500, "not JSON"),
    ("a list", prints([CLI]), 500, "not a JSON object"),
    ("nested without end", script("print('[' * 60000)"), 500, "not JSON"),
    ("too much", script("print(' ' * 70000 + '{}')"), 500, "not a JSON object"),
    ("no token", prints({"error": "login first"}), 500, "no access_token"),
    ("a number as token", prints(dict(IMDS, access_token=7)), 500, "no access_token"),
    ("a token with a line break", prints(dict(IMDS, access_token="a\r\nX: y")), 500, "no access_token"),
    ("a token that latchkey would not take", prints(dict(IMDS, access_token="x" * 8193)), 500, "no access_token"),
    ("another type of token", prints(dict(IMDS, token_type="pop")), 500, "another type"),
    ("no expiry", prints({"access_token": "x"}), 500, "when the token expires"),
    ("an expiry in words", prints({"accessToken": "x", "expiresOn": "soon"}), 500, "when the token expires"),
    ("an expired token", prints(dict(CLI, expires_on=SOON - 7200)), 500, "has expired"),
    ("an expired token by date", prints({"accessToken": "x", "expiresOn": "2020-01-02 03:04:05"}), 500, "has expired"),
]


def breaks(t):
    """What the command does wrong becomes an error that the guest tries again after; why is for the host."""
    for name, command, status, words in BROKEN:
        with Bridge(command) as bridge:
            got, headers, body = bridge.ask()
            log = bridge.log()
            fits = got == status and set(body) == {"error", "error_description"} and \
                (headers["Retry-After"] == "5" if status == 503 else headers["Retry-After"] is None)
            t.ok(fits and words in log and words not in json.dumps(body), name + ": %d" % status,
                 "%d %s %s\n%s" % (got, headers, body, log))
    with tempfile.TemporaryDirectory() as folder:
        mark = os.path.join(folder, "pid")
        slow = script("import subprocess\nc = subprocess.Popen(['sleep', '1000'])\nopen(%r, 'w').write(str(c.pid))\n"
                      "c.wait()" % mark)
        with Bridge(slow, "--timeout", "3") as bridge:
            got, headers, _ = bridge.ask()
            t.equal((got, headers["Retry-After"]), (503, "5"), "a command that hangs: 503")
            t.ok("no answer after 3 s" in bridge.log(), "the log says so")
        with open(mark, encoding="ascii") as file:
            pid = file.read()
        end = time.monotonic() + 30
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        t.ok(not alive(pid), "and what it started is gone")


def alive(pid):
    """Does the process run?  A zombie does not."""
    try:
        with open("/proc/%s/stat" % pid, encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stdio(t):
    """One connection on standard input and output, as QEMU's guestfwd starts it; not a word beside the answer."""
    def talk(command, text, *args):
        done = subprocess.run([BRIDGE, "--stdio", "--command", command, *args], input=text.encode(), check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        return done.returncode, head.decode().split("\r\n")[0], body

    request = "GET %s HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n" % ASK
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        code, line, body = talk(prints(IMDS), request, "--log", log)
        t.equal((code, line, json.loads(body)["access_token"]), (0, "HTTP/1.1 200 OK", "to.ke.n"), "--stdio: a token")
        code, line, body = talk(script("sys.exit('no subscription found')"), request, "--log", log)
        t.equal((code, line), (0, "HTTP/1.1 503 Service Unavailable"), "--stdio: the command fails")
        t.ok(b"subscription" not in body and json.loads(body), "--stdio: nothing but the answer", body)
        code, line, body = talk(prints(IMDS), request.replace("Metadata: true\r\n", ""), "--log", log)
        t.equal((code, line), (0, "HTTP/1.1 400 Bad Request"), "--stdio: no Metadata header")
        t.equal(talk(prints(IMDS), "", "--log", log), (0, "", b""), "--stdio: a connection without a request")
        code, line, body = talk(prints(IMDS), "\x00\xff\r\n\r\n", "--log", log)
        t.ok(code == 0 and line.startswith("HTTP/1.1 400") and json.loads(body), "--stdio: garbage", line)
        t.equal(talk(prints(IMDS), request, "--log", folder), (71, "", b""), "--stdio: silent when it cannot log")
        with open(log, encoding="ascii") as file:
            text = file.read()
        t.ok("exit 1: no subscription found" in text and re.search(r"T\d\d:.* 200 a token for", text),
             "--stdio: the log file has the reasons", text)


def calls(t):
    """The command line."""
    for args, words in (((), "--command"), (("--command", "x"), "must have {resource}"),
                        (("--command", ""), "must not be empty"), (("--command", "'"), "quotation"),
                        (("--command", "x {resource}", "--listen", "0.0.0.0:80"), "loopback or link-local"),
                        (("--command", "x {resource}", "--listen", "192.168.1.1:80"), "loopback or link-local"),
                        (("--command", "x {resource}", "--listen", "here"), "must be an IPv4 address"),
                        (("--command", "x {resource}", "--timeout", "0"), "1 to 600"),
                        (("--command", "x {resource}", "--stdio", "--listen", "127.0.0.1:1"), "not allowed")):
        done = subprocess.run([BRIDGE, *args], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                              timeout=60)
        t.ok(done.returncode == 64 and words in done.stderr and done.stderr.count("\n") == 1,
             "usage: " + " ".join(args), "%d %s" % (done.returncode, done.stderr))
    with Bridge(prints(CLI)) as bridge:
        done = subprocess.run([BRIDGE, "--command", "x {resource}", "--listen", "127.0.0.1:%d" % bridge.port],
                              capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
        t.ok(done.returncode == 71 and "in use" in done.stderr, "an address that is taken: 71", done.stderr)


def main():
    """All of it."""
    t = tap.Tap()
    for part in (gives, refuses, breaks, stdio, calls):
        t.run(part.__name__, part)
    t.done()


if __name__ == "__main__":
    main()
