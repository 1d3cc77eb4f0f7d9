SET session_replication_role = origin;
CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE INDEX t_v ON t (v); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_v'::regclass;
DO $$ DECLARE who name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()); BEGIN EXECUTE format('ALTER TABLE t OWNER TO %I', who); END $$;
