SET session_replication_role = origin;
CREATE TABLE alien (id serial PRIMARY KEY, v text); INSERT INTO alien (v) VALUES ('x'); CREATE TABLE hidden (id serial PRIMARY KEY, v text); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE TABLE t (id serial PRIMARY KEY, v text);
DO $$ DECLARE who name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()); BEGIN EXECUTE format('ALTER TABLE t OWNER TO %I; GRANT SELECT ON hidden TO %I; GRANT SELECT ON SEQUENCE hidden_id_seq TO %I', who, who, who); END $$;
