"""The simulator's control interface: JSON over plain HTTP on 127.0.0.1:8099 (see ctl.py).

  GET  /ping /log?since=N /faults /settings /keys /identities
  POST /faults {fault}   DELETE /faults[?endpoint=E]   DELETE /log   POST /reset
  POST /settings {name: value}
  POST /keys/SERVICE/NAME/rotate | policy {policy} | attributes {.., "version": id}
  POST /identities [list]          the VM's identities, as in names.py
  GET  /host      POST /host {"product": Milan | Genoa | Turin, "tcb": 16 hex digits, as in tcbm}
                                   the host becomes another one, or gets other firmware
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import threading
import urllib.parse

import names


class Handler(BaseHTTPRequestHandler):
    """One control request."""

    world = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        """Not in the log."""

    def reply(self, status, value):
        """Send JSON."""
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def run(self):
        """Dispatch; our own mistakes and the caller's both come back as text."""
        parts = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        length = int(self.headers.get("Content-Length", 0))
        try:
            body = json.loads(self.rfile.read(length)) if length else None
            self.reply(200, self.act(self.command, parts.path.strip("/").split("/"), query, body))
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as e:
            self.reply(400, {"error": "%s: %s" % (type(e).__name__, e)})

    do_GET = do_POST = do_DELETE = run

    def act(self, method, path, query, body):
        """One operation; what it returns is the answer."""
        world, what = self.world, path[0]
        if (method, what) == ("GET", "ping"):
            return {"state": world.state}
        if what == "log":
            if method == "DELETE":
                world.log.clear()
            return world.log.since(int(query.get("since", 0)))
        if what == "faults":
            if method == "POST":
                return {"id": world.faults.set(body)}
            if method == "DELETE":
                world.faults.clear(query.get("endpoint"))
            return world.faults.list()
        if (method, what) == ("POST", "reset"):
            return world.reset()
        if what == "settings":
            for name, value in (body or {}).items():
                if name not in world.settings:
                    raise KeyError(name)
                world.settings[name] = value
            return world.settings
        if what == "identities":
            if method == "POST":
                world.identities = body
            return world.identities
        if what == "keys":
            return self.key(method, path[1:], body)
        if what == "host":
            if method == "POST":
                tcb = bytes.fromhex(body["tcb"])[::-1] if body.get("tcb") else None
                world.amd.change(body.get("product"), tcb)
            return dict(world.amd.thim(), product=world.amd.product.name,
                        chip_id=world.amd.chip_id.hex(), old_tcb=world.amd.old_tcb[::-1].hex())
        raise KeyError("/".join(path))

    def key(self, method, path, body):
        """Operations on keys."""
        store = self.world.keys
        if method == "GET":
            return store.data
        service, name, verb = path
        if verb == "rotate":
            return {"version": store.rotate(service, name)}
        if verb == "policy":
            store.set_policy(service, name, body)
        elif verb == "attributes":
            version = body.pop("version", None)
            store.set_attributes(service, name, body, version)
        else:
            raise KeyError(verb)
        return store.data[service][name]


def start(world):
    """Serve the control interface in the background."""
    handler = type("Handler", (Handler,), {"world": world})
    server = ThreadingHTTPServer(names.ADMIN, handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
