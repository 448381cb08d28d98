"""How tests, the demo and pretend phones look into the pretend Twilio, text to the shop, and disturb it."""

from dataclasses import dataclass

from sandbox.twilio_faults import Faults, fault_from
from sandbox.twilio_messages import Messages
from sandbox.twilio_posting import Poster
from sandbox.twilio_server import Reply, Request

_LONGEST_WAIT = 30.0


@dataclass(slots=True)
class Control:
    """Answers requests below /control/."""

    messages: Messages
    poster: Poster
    faults: Faults

    def answer(self, request: Request) -> Reply:
        """GET messages?since=N&timeout=S, phones/NUMBER, webhooks; POST inbound, repeat, faults, clear, settings."""
        name = request.path.removeprefix("/control/")
        try:
            found = self._get(name, request) if request.method == "GET" else self._post(name, request)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            return Reply(400, {"error": str(error) or "The request is not understood."})
        return found or Reply(404, {"error": f"There is no {request.method} /control/{name}."})

    def _get(self, name: str, request: Request) -> Reply | None:
        if name == "messages":
            since = int(request.query.get("since", 0))
            found = self.messages.since(since, min(float(request.query.get("timeout", 0)), _LONGEST_WAIT))
            last = found[-1].number if found else since
            return Reply(200, {"last": last, "messages": [message.shown() for message in found]})
        if name.startswith("phones/"):
            phone = name.removeprefix("phones/").replace("%2B", "+")
            return Reply(200, {"messages": [message.shown() for message in self.messages.of(phone)]})
        if name == "webhooks":
            return Reply(200, {"webhooks": list(self.poster.log)})
        return None

    def _post(self, name: str, request: Request) -> Reply | None:
        given = request.json
        if name == "inbound":
            return Reply(200, self.poster.text(str(given["from"]), str(given["body"]), given.get("to")))
        if name == "repeat":
            return Reply(200, self.poster.repeat(int(given.get("webhook", -1))))
        if name == "faults":
            self.faults.add(fault_from(given))
        elif name == "clear":
            self.faults.clear()
        elif name == "settings":
            self.faults.latency = float(given.get("latency", self.faults.latency))
            self.poster.inbound_url = given.get("inbound_url", self.poster.inbound_url)
        else:
            return None
        return Reply(200, {})
