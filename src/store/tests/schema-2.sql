-- The schema of version 2, dumped from a file.
BEGIN TRANSACTION;
CREATE TABLE certificates (
    sha256 TEXT PRIMARY KEY NOT NULL,
    der BLOB NOT NULL
);
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY,
    certificate TEXT NOT NULL,
    hostname TEXT NOT NULL,
    ip TEXT NOT NULL,
    port INTEGER NOT NULL,
    protocol TEXT NOT NULL,
    key_type TEXT NOT NULL,
    vantage TEXT NOT NULL,
    UNIQUE (certificate, hostname, ip, port, protocol, key_type, vantage)
);
CREATE TABLE entries (
    key TEXT PRIMARY KEY NOT NULL,
    last_configured INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE leaves (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    subject TEXT,
    issuer TEXT,
    issuer_common_name TEXT,
    serial TEXT,
    not_before INTEGER,
    not_after INTEGER
);
CREATE TABLE mentions (
    key TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES certificates,
    PRIMARY KEY (key, sha256)
) WITHOUT ROWID;
CREATE TABLE remembered (
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    fetched INTEGER NOT NULL,
    changed INTEGER,
    content TEXT NOT NULL,
    PRIMARY KEY (key, position)
) WITHOUT ROWID;
CREATE TABLE spans (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint INTEGER NOT NULL REFERENCES endpoints,
    is_first INTEGER NOT NULL,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    leaf INTEGER REFERENCES leaves,
    told TEXT,
    error_kind TEXT,
    error TEXT,
    correct INTEGER,
    chained INTEGER,
    severity TEXT NOT NULL,
    CHECK ((leaf IS NOT NULL) + (told IS NOT NULL) + (error_kind IS NOT NULL) = 1)
);
CREATE INDEX mentions_by_certificate ON mentions (sha256);
CREATE INDEX endpoints_by_hostname ON endpoints (hostname);
CREATE INDEX spans_by_endpoint ON spans (endpoint, id);
CREATE INDEX spans_by_leaf ON spans (leaf);
COMMIT;
PRAGMA application_id = 1668704108;
PRAGMA user_version = 2;
