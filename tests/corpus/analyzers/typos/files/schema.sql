-- One row for each job; finished jobs are deleted imediately.
CREATE TABLE jobs (
    id      bigserial PRIMARY KEY,
    queue   text NOT NULL,
    payload bytea NOT NULL,
    due     timestamptz,
    claimed_by text,
    lenght  integer GENERATED ALWAYS AS (octet_length(payload)) STORED
);
CREATE INDEX jobs_due ON jobs (queue, due) WHERE claimed_by IS NULL;
