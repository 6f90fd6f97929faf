"""Where the stand-ins keep their state: one SQLite file, in which every answer given is already written."""

import json
import sqlite3
import string
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import urandom
from pathlib import Path
from typing import Any

type Obj = dict[str, Any]
"""An object as its provider's API shows it, with every reference as an id."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, kind TEXT NOT NULL,
    created INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS by_created ON objects (kind, created);
CREATE TABLE IF NOT EXISTS notes (
    id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (id, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due (
    at INTEGER NOT NULL, seq INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, id TEXT NOT NULL,
    UNIQUE (what, id));
CREATE INDEX IF NOT EXISTS due_first ON due (at, seq);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL, endpoint TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'pending', attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL, answer INTEGER, error TEXT, answered_at REAL);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (status, next_at);
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event);
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, request TEXT NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL,
    request_id TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_at ON answers (at);
CREATE INDEX IF NOT EXISTS notes_value ON notes (name, value);
"""
AS_LETTERS = ((string.ascii_letters + string.digits).encode() * 5)[:256]


def new_id(prefix: str, length: int = 24) -> str:
    """Return a fresh id in Stripe's style: *prefix*, then *length* letters and digits."""
    return prefix + urandom(length).translate(AS_LETTERS).decode()


class Store:
    """Objects, what is due, deliveries and remembered answers. One thread, one writer."""

    def __init__(self, folder: Path) -> None:
        """Open, or make, the state kept in *folder*."""
        folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(folder / "fakes.sqlite3", autocommit=True, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")  # an acknowledged write outlives kill -9
        self.db.executescript(SCHEMA)
        self._depth = 0

    def index(self, *paths: str) -> None:
        """Find objects fast by the fields at *paths* (`a.b`)."""
        for path in paths:
            name = "by_" + path.replace(".", "_")
            self.db.execute(f"CREATE INDEX IF NOT EXISTS {name} ON objects (kind, json_extract(body, '$.{path}'))")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all of what happens inside, or none of it. Transactions may be nested. The inner one can fail alone."""
        name = f"level_{self._depth}"
        self.db.execute(f"SAVEPOINT {name}" if self._depth else "BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            self.db.execute(f"ROLLBACK TO {name}" if self._depth else "ROLLBACK")
            if self._depth:
                self.db.execute(f"RELEASE {name}")
            raise
        self._depth -= 1
        self.db.execute(f"RELEASE {name}" if self._depth else "COMMIT")

    def put(self, obj: Obj) -> Obj:
        """Write *obj*, new or changed, and return it."""
        body = json.dumps(obj, separators=(",", ":"))
        self.db.execute(
            "INSERT INTO objects (id, kind, created, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (obj["id"], obj["object"], obj.get("created", 0), body),
        )
        return obj

    def get(self, id_: str | None, kind: str | None = None) -> Obj | None:
        """Return the object called *id_*, if it is there and of that *kind*."""
        row = self.db.execute("SELECT kind, body FROM objects WHERE id = ?", (id_,)).fetchone()
        if row is None or (kind is not None and row["kind"] != kind):
            return None
        body: Obj = json.loads(row["body"])
        return body

    def need(self, id_: str | None) -> Obj:
        """Return the object called *id_*, which the caller knows to be there."""
        obj = self.get(id_)
        if obj is None:
            raise LookupError(id_)
        return obj

    def seq(self, id_: str) -> int | None:
        """Return the place of *id_* in the order of making."""
        row = self.db.execute("SELECT seq FROM objects WHERE id = ?", (id_,)).fetchone()
        return None if row is None else int(row["seq"])

    def find(self, kind: str, where: str = "1", args: tuple[object, ...] = (), tail: str = "") -> list[Obj]:
        """Return the objects of *kind* for which the SQL *where* holds, newest first unless *tail* orders."""
        order = tail or "ORDER BY seq DESC"
        sql = f"SELECT body FROM objects WHERE kind = ? AND {where} {order}"  # noqa: S608 -- ours alone
        return [json.loads(row["body"]) for row in self.db.execute(sql, (kind, *args))]

    def by(self, kind: str, **fields: object) -> list[Obj]:
        """Return the objects of *kind* whose fields (`a__b` for a.b) equal the values given, newest first."""
        names = (name.replace("__", ".") for name in fields)
        where = " AND ".join(f"json_extract(body, '$.{name}') = ?" for name in names)
        return self.find(kind, where, tuple(fields.values()))

    def note(self, id_: str, name: str, value: object) -> None:
        """Remember something about *id_* that the API does not show."""
        self.db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", (id_, name, json.dumps(value)))

    def noted(self, id_: str, name: str, default: Any = None) -> Any:
        """Return what `note` remembered about *id_*, or *default*."""
        row = self.db.execute("SELECT value FROM notes WHERE id = ? AND name = ?", (id_, name)).fetchone()
        return default if row is None else json.loads(row["value"])

    def schedule(self, at: int, what: str, id_: str) -> None:
        """Let *what* happen to *id_* at the second *at*. A new time replaces the old one."""
        self.unschedule(what, id_)
        self.db.execute("INSERT INTO due (at, what, id) VALUES (?, ?, ?)", (at, what, id_))

    def unschedule(self, what: str, id_: str) -> None:
        """Forget that *what* was to happen to *id_*."""
        self.db.execute("DELETE FROM due WHERE what = ? AND id = ?", (what, id_))

    def take_due(self, until: int) -> tuple[int, str, str] | None:
        """Take the first thing due no later than *until*: its second, what it is, and whose."""
        row = self.db.execute("SELECT * FROM due WHERE at <= ? ORDER BY at, seq LIMIT 1", (until,)).fetchone()
        if row is None:
            return None
        self.db.execute("DELETE FROM due WHERE seq = ?", (row["seq"],))
        return row["at"], row["what"], row["id"]

    def next_due(self) -> int | None:
        """Return the second of the next thing due."""
        row = self.db.execute("SELECT min(at) AS at FROM due").fetchone()
        return None if row["at"] is None else int(row["at"])

    def remembered(self, key: str) -> Mapping[str, Any] | None:
        """Return the answer remembered under an idempotency *key*."""
        row = self.db.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else dict(row)

    def remember(self, key: str, request: str, status: int, body: str, request_id: str, at: int) -> None:
        """Remember the answer given under an idempotency *key*."""
        self.db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
            (key, request, status, body, request_id, at),
        )

    def forget_answers(self, before: int) -> None:
        """Forget the answers remembered before that second."""
        self.db.execute("DELETE FROM answers WHERE at < ?", (before,))
