"""The schema of the SQLite store, as the steps that made it."""

from __future__ import annotations

import sqlite3

from autolog.stores.sqlite.rows import label

# "AuLg": tells our files from other SQLite databases.
APPLICATION_ID = 0x41754C67

_FIRST = """
CREATE TABLE traces(
  rid INTEGER PRIMARY KEY,
  trace_id BLOB NOT NULL UNIQUE,
  rank INTEGER NOT NULL,             -- 0: no root seen, 1: root of this process, 2: root of all
  state INTEGER NOT NULL,            -- 0 in progress, 1 ok, 2 error
  name TEXT NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  experiment TEXT NOT NULL,
  run TEXT, session TEXT, user TEXT,
  request TEXT, response TEXT,       -- previews
  spans INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  usage TEXT,                        -- JSON of token counts, the outermost model calls summed
  total_tokens INTEGER,
  cost_input REAL, cost_output REAL, cost_total REAL,
  tags TEXT, metadata TEXT           -- JSON objects of strings
);
CREATE INDEX traces_start ON traces(start_ns);
CREATE INDEX traces_experiment ON traces(experiment, start_ns);
CREATE INDEX traces_state ON traces(state, start_ns) WHERE state != 1;
CREATE INDEX traces_name ON traces(name, start_ns);
CREATE INDEX traces_session ON traces(session, start_ns) WHERE session IS NOT NULL;
CREATE INDEX traces_user ON traces(user, start_ns) WHERE user IS NOT NULL;
CREATE INDEX traces_run ON traces(run, start_ns) WHERE run IS NOT NULL;

CREATE TABLE spans(
  rid INTEGER NOT NULL,              -- of the trace
  span_id BLOB NOT NULL,
  parent_id BLOB,
  name TEXT NOT NULL,
  type TEXT NOT NULL,
  status INTEGER NOT NULL,           -- 0 unset, 1 ok, 2 error
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  model TEXT,
  provider TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cost REAL,
  error_type TEXT,
  PRIMARY KEY(rid, span_id)
) WITHOUT ROWID;

-- One compressed JSON array of span payloads for each trace and flush; a later one replaces an earlier one.
CREATE TABLE payloads(
  id INTEGER PRIMARY KEY,
  rid INTEGER NOT NULL,
  codec INTEGER NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX payloads_trace ON payloads(rid);

-- What traces are found by besides their columns: ('tag.<name>', value) and ('model', name).
-- The start in the key makes "newest first" a walk along it.
CREATE TABLE labels(
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  start_ns INTEGER NOT NULL,
  rid INTEGER NOT NULL,
  PRIMARY KEY(key, value, start_ns, rid)
) WITHOUT ROWID;
CREATE INDEX labels_trace ON labels(rid);
"""

_SECOND = """
ALTER TABLE traces ADD COLUMN version TEXT;
ALTER TABLE traces ADD COLUMN client_request_id TEXT;
CREATE INDEX traces_version ON traces(version, start_ns) WHERE version IS NOT NULL;
CREATE INDEX traces_request_id ON traces(client_request_id) WHERE client_request_id IS NOT NULL;
CREATE INDEX traces_duration ON traces(end_ns - start_ns);
CREATE INDEX traces_tokens ON traces(total_tokens) WHERE total_tokens IS NOT NULL;
CREATE INDEX traces_cost ON traces(cost_total) WHERE cost_total IS NOT NULL;

CREATE TABLE assessments(
  id TEXT PRIMARY KEY,
  rid INTEGER NOT NULL,              -- of the trace
  kind INTEGER NOT NULL,             -- 0 feedback, 1 expectation
  name TEXT NOT NULL,
  span_id BLOB,
  value TEXT,                        -- JSON
  number REAL,                       -- the value where it is a number, or true (1) or false (0)
  text TEXT,                         -- the value where it is a string
  source_type TEXT NOT NULL,
  source_id TEXT NOT NULL,
  rationale TEXT,
  error TEXT,
  metadata TEXT,                     -- JSON object of strings
  created_ns INTEGER NOT NULL,
  updated_ns INTEGER NOT NULL,
  overrides TEXT,
  valid INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX assessments_trace ON assessments(rid);
CREATE INDEX assessments_number ON assessments(kind, name, number);
CREATE INDEX assessments_text ON assessments(kind, name, text);

CREATE TABLE runs(
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  experiment TEXT NOT NULL,
  status TEXT NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  tags TEXT                          -- JSON object of strings
) WITHOUT ROWID;
CREATE INDEX runs_experiment ON runs(experiment, start_ns);

-- What traces are found by besides their columns, each as a number: tags, models, and types and names of spans.
-- The start in the key makes "newest first" a walk along it.
ALTER TABLE labels RENAME TO old_labels;
CREATE TABLE labels(
  word INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  rid INTEGER NOT NULL,
  PRIMARY KEY(word, start_ns, rid)
) WITHOUT ROWID;
INSERT OR IGNORE INTO labels SELECT label(iif(key = 'model', 'span.model', key), value), start_ns, rid FROM old_labels;
INSERT OR IGNORE INTO labels
  SELECT label('span.name', s.name), t.start_ns, t.rid FROM spans s CROSS JOIN traces t ON t.rid = s.rid;
INSERT OR IGNORE INTO labels
  SELECT label('span.type', s.type), t.start_ns, t.rid FROM spans s CROSS JOIN traces t ON t.rid = s.rid;
DROP TABLE old_labels;

-- From a word to the newest traces that have it, without reading the payloads and the traces themselves.
CREATE INDEX payloads_ids ON payloads(id, rid);
CREATE INDEX traces_rids ON traces(rid, start_ns);

-- The last row of payloads whose words are in the index of words, which is made when it is first filled.
CREATE TABLE indexed(last INTEGER NOT NULL);
INSERT INTO indexed VALUES (0);
"""

_THIRD = """
ALTER TABLE traces ADD COLUMN error TEXT;               -- what the span that failed first says
ALTER TABLE spans ADD COLUMN first_token_ns INTEGER;    -- from its start to the first piece of an answer
ALTER TABLE spans ADD COLUMN duplicate INTEGER;         -- 1: the same call as the model call above it

CREATE TABLE datasets(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  experiment TEXT NOT NULL,
  tags TEXT,                         -- JSON object of strings
  created_ns INTEGER NOT NULL,
  updated_ns INTEGER NOT NULL
);
CREATE TABLE records(
  number INTEGER PRIMARY KEY,        -- in the order in which they came
  dataset INTEGER NOT NULL,
  id TEXT NOT NULL,                  -- a digest of the inputs
  codec INTEGER NOT NULL,
  body BLOB NOT NULL,                -- JSON of inputs, outputs, expectations, tags and where it is from, compressed
  created_ns INTEGER NOT NULL,
  updated_ns INTEGER NOT NULL,
  UNIQUE(dataset, id)
);
CREATE INDEX records_dataset ON records(dataset);
"""

STEPS = (_FIRST, _SECOND, _THIRD)
VERSION = len(STEPS)


def migrate(connection: sqlite3.Connection) -> int:
    """Bring the schema to this version inside the caller's transaction; return the version that was found."""
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.create_function("label", 2, label)
    for number, step in enumerate(STEPS[found:], start=found + 1):
        for statement in _statements(step):
            connection.execute(statement)
        # Kept in the database header, so it changes with the transaction or not at all.
        connection.execute(f"PRAGMA user_version = {number}")
    if found == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    return found


def _statements(script: str) -> list[str]:
    # executescript() would commit the transaction that we are in.
    statements: list[str] = []
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            statements.append(statement)
            statement = ""
    return statements
