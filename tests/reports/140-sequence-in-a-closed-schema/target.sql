SET session_replication_role = origin;
CREATE SCHEMA seqs; CREATE SEQUENCE seqs.t_id; CREATE TABLE t (id int PRIMARY KEY DEFAULT nextval('seqs.t_id'), v text);
DO $$ DECLARE who name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()); BEGIN EXECUTE format('ALTER TABLE t OWNER TO %I; GRANT ALL ON SEQUENCE seqs.t_id TO %I', who, who); END $$;
