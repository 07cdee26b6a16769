"""A GitHub of a test's own: issues, comments and statuses, over HTTP, held against its API.

Every request, and every answer that is no fault of a test's making, is held against GitHub's
published description; what does not fit is kept in `faults_seen`, which a test wants to be empty.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from github_schema import Asked, Description, description
from served_while import answered_by, served

TOKEN = "ghs_tokenOfTheTests0123456789"
ME = "loopctl-of-the-tests[bot]"
Document = dict[str, Any]
Headers = Mapping[str, str]
Answered = tuple[int, Any, Headers]


@dataclass
class Fault:
    """What happens to requests of a method whose path ends so, so many `times`.

    `status` and `body` are answered, `headers` with them. `does`: it is done all the same, and
    only the answer is another. `cut` drops the connection, `hang` answers nothing.
    """

    method: str
    end: str
    status: int = 0
    body: bytes = b'{"message": "as the test wants it"}'
    headers: Headers = field(default_factory=dict)
    times: int = 1
    does: bool = False
    cut: bool = False
    hang: bool = False

    def meets(self, method: str, path: str) -> bool:
        return self.times > 0 and self.method in (method, "*") and path.endswith(self.end)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    headers: Headers


@dataclass
class GitHub:
    """`issues` by number, `comments` by issue, `statuses` in order; `commits` are those it has."""

    described: Description
    url: str = ""
    repository: str = "shop/api"
    issues: dict[int, Document] = field(default_factory=dict)
    comments: dict[int, list[Document]] = field(default_factory=dict)
    statuses: list[Document] = field(default_factory=list)
    commits: set[str] | None = None
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    faults_seen: list[str] = field(default_factory=list)
    may_label: bool = True
    has_issues: bool = True
    login: str = ME
    association: str = "NONE"
    before: Callable[[Request], None] = field(default=lambda _: None)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _number: int = 0

    def issue(self, body: str, *, title: str = "t", by: str = "", **keys: Any) -> Document:
        """Make one, as a person might with the site; `by` an outsider of that name."""
        self._number += 1
        asked = Asked("get", "/repos/{owner}/{repo}/issues/{issue_number}", {}, {})
        schema = self.described.schema_of_answer(asked, 200)
        assert schema is not None
        made = self.described.least(schema)
        made |= {"number": self._number, "id": self._number, "title": title, "body": body}
        made |= {"state": "open", "labels": [], "comments": 0, **self._author(by), **self._now()}
        made |= {"closed_at": None, "assignee": None, "milestone": None, **keys}
        self.issues[self._number] = made
        self.comments[self._number] = []
        return dict(made)

    def comment(self, number: int, body: str, *, by: str = "") -> Document:
        self._number += 1
        asked = Asked("patch", "/repos/{owner}/{repo}/issues/comments/{comment_id}", {}, {})
        schema = self.described.schema_of_answer(asked, 200)
        assert schema is not None
        made = self.described.least(schema)
        made |= {"id": self._number, "body": body, **self._author(by), **self._now()}
        self.comments[number].append(made)
        self.issues[number]["comments"] = len(self.comments[number])
        return dict(made)

    def labels_of(self, number: int) -> list[str]:
        return [each["name"] for each in self.issues[number]["labels"]]

    def asked(self, method: str, end: str = "") -> list[Request]:
        return [r for r in self.requests if r.method == method and r.path.endswith(end)]

    def label(self, name: str) -> Document:
        return {
            "id": 1,
            "node_id": "n",
            "url": f"{self.url}/labels",
            "name": name,
            "color": "ededed",
            "default": False,
            "description": None,
        }

    def _author(self, by: str) -> Document:
        user: Document = {
            "login": by or self.login,
            "id": 7,
            "node_id": "n",
            "avatar_url": "",
            "url": "",
        }
        user |= dict.fromkeys(
            ["gravatar_id", "html_url", "followers_url", "following_url", "gists_url"], ""
        )
        user |= dict.fromkeys(
            ["starred_url", "subscriptions_url", "organizations_url", "repos_url"], ""
        )
        user |= {"events_url": "", "received_events_url": "", "site_admin": False}
        user["type"] = "Bot" if (by or self.login).endswith("[bot]") else "User"
        return {"user": user, "author_association": "NONE" if by else self.association}

    def _now(self) -> Document:
        # Strictly later each time: what was updated last comes first.
        now = datetime.now(UTC) + timedelta(milliseconds=len(self.requests))
        return {"created_at": now.isoformat(), "updated_at": now.isoformat()}

    # -- answering

    def answer(self, request: Request, asked: Asked) -> Answered:
        """What GitHub does: the status, the document, more headers."""
        name = f"{asked.method} {asked.path.removeprefix('/repos/{owner}/{repo}')}"
        if asked.path != "/user":
            repository = f"{asked.filled['owner']}/{asked.filled['repo']}"
            if repository != self.repository:
                return 404, {"message": "Not Found"}, {}
        return self._operations()[name](asked, request.body)

    def _operations(self) -> Mapping[str, Callable[[Asked, Any], Answered]]:
        issue = "/issues/{issue_number}"
        return {
            "get /user": self._user,
            "get ": self._about,
            "get /issues": self._list,
            "post /issues": self._open,
            f"get {issue}": self._read,
            f"patch {issue}": self._change,
            f"get {issue}/comments": self._comments,
            f"post {issue}/comments": self._comment,
            "patch /issues/comments/{comment_id}": self._change_comment,
            "post /statuses/{sha}": self._status,
            "get /commits/{ref}/statuses": self._statuses,
        }

    def _about(self, asked: Asked, _: Any) -> Answered:
        about = {"full_name": self.repository, "has_issues": self.has_issues}
        return 200, self._least(asked) | about, {}

    def _read(self, asked: Asked, _: Any) -> Answered:
        found = self.issues.get(int(asked.filled["issue_number"]))
        return (404, {"message": "Not Found"}, {}) if found is None else (200, found, {})

    def _comments(self, asked: Asked, _: Any) -> Answered:
        listed = self.comments.get(int(asked.filled["issue_number"]))
        if listed is None:
            return 404, {"message": "Not Found"}, {}
        since = asked.query.get("since", "")
        return self._page([each for each in listed if each["updated_at"] >= since[:19]], asked)

    def _comment(self, asked: Asked, body: Any) -> Answered:
        number = int(asked.filled["issue_number"])
        if problem := _too_long(body["body"], "body", 65_536):
            return 422, problem, {}
        self.issues[number] |= {"updated_at": self._now()["updated_at"]}
        return 201, self.comment(number, body["body"]), {}

    def _statuses(self, asked: Asked, _: Any) -> Answered:
        mine = [s for s in self.statuses if s["url"].endswith(asked.filled["ref"])]
        return self._page(mine[::-1], asked)

    def _user(self, *_: Any) -> Answered:
        if self.login.endswith("[bot]"):
            return 403, {"message": "Resource not accessible by integration"}, {}
        asked = Asked("get", "/user", {}, {})
        return 200, self._least(asked) | {"login": self.login}, {}

    def _least(self, asked: Asked, status: int = 200) -> Document:
        schema = self.described.schema_of_answer(asked, status)
        assert schema is not None
        return dict(self.described.least(schema))

    def _list(self, asked: Asked, _: Any) -> Answered:
        query = asked.query
        kept = [
            issue
            for issue in self.issues.values()
            if query.get("state", "open") in ("all", issue["state"])
            and set(filter(None, query.get("labels", "").split(",")))
            <= {label["name"] for label in issue["labels"]}
        ]
        key = "updated_at" if query.get("sort") == "updated" else "created_at"
        kept.sort(key=lambda issue: issue[key], reverse=query.get("direction", "desc") == "desc")
        return self._page(kept, asked)

    def _page(self, listed: list[Any], asked: Asked) -> Answered:
        size = min(int(asked.query.get("per_page", 30)), 100)
        number = int(asked.query.get("page", 1))
        page = listed[(number - 1) * size : number * size]
        more = len(listed) > number * size
        link = {"Link": f'<{self.url}/next?page={number + 1}>; rel="next"'} if more else {}
        return 200, page, link

    def _open(self, _: Asked, body: Any) -> Answered:
        problem = _too_long(body["title"], "title", 256) or _too_long(body["body"], "body", 65_536)
        if problem:
            return 422, problem, {}
        labels = [self.label(name) for name in body.get("labels", [])] if self.may_label else []
        return 201, self.issue(body["body"], title=body["title"], labels=labels), {}

    def _change(self, asked: Asked, body: Any) -> Answered:
        if problem := _too_long(body.get("body", ""), "body", 65_536):
            return 422, problem, {}
        issue = self.issues[int(asked.filled["issue_number"])]
        issue |= {**body, "updated_at": self._now()["updated_at"]}
        return 200, issue, {}

    def _change_comment(self, asked: Asked, body: Any) -> Answered:
        number = int(asked.filled["comment_id"])
        for comments in self.comments.values():
            for each in comments:
                if each["id"] == number:
                    each |= {**body, "updated_at": self._now()["updated_at"]}
                    return 200, each, {}
        return 404, {"message": "Not Found"}, {}

    def _status(self, asked: Asked, body: Any) -> Answered:
        sha = asked.filled["sha"]
        if self.commits is not None and sha not in self.commits:
            return 422, {"message": f"No commit found for SHA: {sha}"}, {}
        if problem := _too_long(body.get("description") or "", "description", 140):
            return 422, problem, {}
        made = self._least(asked, 201)
        made |= {"url": f"{self.url}/statuses/{sha}", **body, **self._now()}
        self.statuses.append(made)
        return 201, made, {}


def _too_long(text: str, what: str, most: int) -> Document | None:
    if len(text) <= most:
        return None
    said = f"{what} is too long (maximum is {most} characters)"
    error = {"resource": "Issue", "code": "custom", "field": what, "message": said}
    return {
        "message": "Validation Failed",
        "errors": [error],
        "documentation_url": "https://docs.example.test",
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: GitHub

    def handle(self) -> None:
        with suppress(ConnectionError):  # who asked may have gone
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def do_POST(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        data = self.rfile.read(int(self.headers["content-length"] or 0))
        body = json.loads(data) if data else None
        asked = self.hub.described.asked(self.command, self.path)
        path, query = self.path.partition("?")[0], asked.query if asked else {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, path, query, body, headers)
        self.hub.before(request)
        with self.hub.lock:
            self.hub.requests.append(request)
            status, document, more = self._judged(request, asked)
            fault = next((f for f in self.hub.faults if f.meets(self.command, path)), None)
            if fault is not None:
                fault.times -= 1
            if asked is None or status >= 400:
                done: tuple[int, bytes, Headers] = (status, json.dumps(document).encode(), more)
            elif fault is None or fault.does:
                status, document, more = self.hub.answer(request, asked)
                wrong = self.hub.described.faults_of_answer(asked, status, document)
                self.hub.faults_seen += [f"answer to {request.method} {path}: {w}" for w in wrong]
                done = (status, json.dumps(document).encode(), more)
            else:
                done = (fault.status, fault.body, fault.headers)
        if fault is not None and fault.does and fault.status:
            done = (fault.status, fault.body, fault.headers)
        self._say(*done, fault)

    def _judged(self, request: Request, asked: Asked | None) -> Answered:
        """Hold it against what GitHub publishes; what it would answer to what it cannot take."""
        hub, name = self.hub, f"{request.method} {request.path}"
        if asked is None:
            hub.faults_seen.append(f"{name}: GitHub has no such operation")
            return 404, {"message": "Not Found"}, {}
        wrong = hub.described.faults_of_request(asked, request.body)
        wanted = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
        wrong += [f"no {k}: {v}" for k, v in wanted.items() if request.headers.get(k) != v]
        if not request.headers.get("user-agent", "").startswith("loopctl/"):
            wrong.append("no user agent, which GitHub refuses")
        hub.faults_seen += [f"{name}: {each}" for each in wrong]
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials"}, {}
        return (422, {"message": "Validation Failed"}, {}) if wrong else (200, None, {})

    def _say(self, status: int, body: bytes, more: Headers, fault: Fault | None) -> None:
        if fault is not None and fault.hang:
            self.hub.over.wait(60)
        if fault is not None and (fault.cut or fault.hang):
            self.close_connection = True
            return
        self.close_connection |= "Content-Length" in more  # of which less comes than it says
        with suppress(OSError):  # who asked may have gone
            self.send_response(status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in {**headers, **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def github(**keys: Any) -> Iterator[GitHub]:
    """It answers while the block lasts; fails the test that has asked what GitHub does not know."""
    hub = GitHub(described=description(), **keys)
    with served(answered_by(_Handler, hub=hub)) as hub.url:
        try:
            yield hub
        finally:
            hub.over.set()
    assert not hub.faults_seen, "\n".join(hub.faults_seen)
